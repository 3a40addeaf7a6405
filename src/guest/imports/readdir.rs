//! WASI's `fd_readdir`, with a memory (see `wasi::Listings`), and the calls that end a listing.
//!
//! Source: `fd_readdir` of WASI preview 1 (wasi_snapshot_preview1.witx).

use wasmtime::{AsContextMut, Result, bail};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::grow::Guest;
use super::map::{memory, range};
use super::wasi::{errno, wasi};
use crate::guest::wasi::{Listing, MAX_LISTING_BYTES, Wasi};

/// How many bytes of a directory are read at first; most fit.
const FIRST_BYTES: usize = 64 << 10;

/// Writes entries of the directory `descriptor`, from the one with this cookie on, to the `len` bytes at `buffer`, and how many bytes
/// that are to `used`.
pub(super) fn fd_readdir(
    mut guest: Guest<'_>,
    descriptor: u32,
    buffer: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> Result<i32> {
    let fuel = guest.as_context_mut().hostcall_fuel();
    let memory = memory(&mut guest, "fd_readdir")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let wasi = wasi(state);
    if cookie == 0 {
        wasi.listings.forget(descriptor);
    }
    if wasi.listings.get(descriptor).is_none() {
        match list(wasi, descriptor, fuel)? {
            Ok(listing) => wasi.listings.put(descriptor, listing),
            Err(errno) => return Ok(errno),
        }
    }
    let part = wasi.listings.get(descriptor).and_then(|listing| listing.part(cookie, len as usize));
    let Some(part) = part.map(<[u8]>::to_vec) else {
        let context = wasi.begin_own_call(fuel);
        let mut memory = GuestMemory::Unshared(bytes);
        let [descriptor, buffer, len, used] = [descriptor, buffer, len, used].map(u32::cast_signed);
        return in_tokio(preview1::fd_readdir(
            context,
            &mut memory,
            descriptor,
            buffer,
            len,
            cookie.cast_signed(),
            used,
        ));
    };
    let part_len = (part.len() as u32).to_le_bytes();
    for (address, values) in [(buffer, &part[..]), (used, &part_len)] {
        let Some(range) = range(bytes.len(), address, values.len()) else {
            bail!("fd_readdir({descriptor}, {buffer:#x}, {len}, {cookie}, {used:#x}): the entries do not lie in memory")
        };
        state.windows.host_writes(range.clone(), || bytes[range].copy_from_slice(values));
    }
    Ok(errno::SUCCESS)
}

/// Reads a directory from the start, as much of it as may be kept. The inner error is an error number of WASI.
fn list(wasi: &mut Wasi, descriptor: u32, fuel: usize) -> Result<Result<Listing, i32>> {
    /// The number of bytes is written before the entries.
    const ENTRIES_AT: usize = 8;
    let mut size = FIRST_BYTES;
    loop {
        let context = wasi.begin_own_call(fuel);
        let mut host = vec![0; ENTRIES_AT + size];
        let (descriptor, len) = (descriptor.cast_signed(), size as i32);
        let mut memory = GuestMemory::Unshared(&mut host);
        let listed = in_tokio(preview1::fd_readdir(context, &mut memory, descriptor, ENTRIES_AT as i32, len, 0, 0))?;
        if listed != errno::SUCCESS {
            return Ok(Err(listed));
        }
        let used = u32::from_le_bytes(host[..4].try_into().expect("four bytes")) as usize;
        if used < size || size >= MAX_LISTING_BYTES {
            host.drain(..ENTRIES_AT);
            host.truncate(used);
            return Ok(Ok(Listing::new(host, used < size)));
        }
        size = (16 * size).min(MAX_LISTING_BYTES);
    }
}

/// Closes a descriptor; another directory may get its number.
pub(super) fn fd_close(mut guest: Guest<'_>, descriptor: u32) -> Result<i32> {
    let wasi = wasi(guest.data_mut());
    wasi.listings.forget(descriptor);
    in_tokio(preview1::fd_close(wasi.begin_call(), &mut GuestMemory::Unshared(&mut []), descriptor.cast_signed()))
}

/// Gives a descriptor the number of another one.
pub(super) fn fd_renumber(mut guest: Guest<'_>, from: u32, to: u32) -> Result<i32> {
    let wasi = wasi(guest.data_mut());
    wasi.listings.forget(from);
    wasi.listings.forget(to);
    let (from, to) = (from.cast_signed(), to.cast_signed());
    in_tokio(preview1::fd_renumber(wasi.begin_call(), &mut GuestMemory::Unshared(&mut []), from, to))
}
