//! WASI's `path_filestat_set_times`. Workers may set the times of open files alone, because Landlock does not restrict `utimensat` of
//! paths. So a file whose path is not to follow links is opened first.
//!
//! Source: `path_filestat_set_times` of WASI preview 1 (wasi_snapshot_preview1.witx).

use wasmtime::{AsContextMut, Result, bail};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::grow::Guest;
use super::map::{memory, range};
use super::wasi::{errno, wasi};

/// `lookupflags`, and `rights` to read a file and to set its times.
const SYMLINK_FOLLOW: u32 = 1;
const RIGHTS: i64 = 1 << 1 | 1 << 23;

/// Longer paths are left to wasmtime-wasi, which refuses them.
const MAX_PATH_BYTES: u32 = 64 << 10;

#[expect(clippy::too_many_arguments, reason = "the function's parameters in WASI")]
pub(super) fn path_filestat_set_times(
    mut guest: Guest<'_>,
    directory: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<i32> {
    let fuel = guest.as_context_mut().hostcall_fuel();
    let memory = memory(&mut guest, "path_filestat_set_times")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let (accessed, modified) = (accessed.cast_signed(), modified.cast_signed());
    let [directory, lookup_flags, at, len, flags] = [directory, lookup, path, path_len, flags].map(u32::cast_signed);
    if lookup & SYMLINK_FOLLOW != 0 || path_len > MAX_PATH_BYTES {
        let context = wasi(state).begin_own_call(fuel);
        let mut memory = GuestMemory::Unshared(bytes);
        let set = preview1::path_filestat_set_times(
            context,
            &mut memory,
            directory,
            lookup_flags,
            at,
            len,
            accessed,
            modified,
            flags,
        );
        return in_tokio(set);
    }
    let Some(range) = range(bytes.len(), path, path_len as usize) else {
        bail!(
            "path_filestat_set_times({directory}, {lookup}, {path:#x}, {path_len}, ..): the path does not lie in memory"
        )
    };
    /// The new descriptor is written before the path.
    const PATH_AT: i32 = 8;
    let path = state.windows.host_reads(range.clone(), || bytes[range].to_vec());
    let mut host = [&[0; PATH_AT as usize][..], &path].concat();
    let wasi = wasi(state);
    let context = wasi.begin_own_call(fuel);
    let mut memory = GuestMemory::Unshared(&mut host);
    let opened = preview1::path_open(context, &mut memory, directory, lookup_flags, PATH_AT, len, 0, RIGHTS, 0, 0, 0);
    match in_tokio(opened)? {
        errno::SUCCESS => {}
        // It is a symbolic link, which cannot be opened.
        errno::LOOP => return Ok(errno::NOTSUP),
        errno => return Ok(errno),
    }
    let file = i32::from_le_bytes(host[..4].try_into().expect("four bytes"));
    let mut nothing = GuestMemory::Unshared(&mut []);
    let set = preview1::fd_filestat_set_times(wasi.begin_call(), &mut nothing, file, accessed, modified, flags);
    let errno = in_tokio(set)?;
    in_tokio(preview1::fd_close(wasi.begin_call(), &mut nothing, file))?;
    Ok(errno)
}
