//! WASI before preview 1, which programs of 2019 import as `wasi_unstable`. Its functions are those of preview 1, but for the four
//! defined here, whose numbers or layouts differ.
//!
//! Source: wasi_unstable.witx of WASI's repository (`phases/old/snapshot_0`).

use wasmtime::{AsContextMut, Linker, Module, Result, bail};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::grow::Guest;
use super::map::{memory, range};
use super::poll::{self, EVENT_BYTES, SUBSCRIPTION_BYTES};
use super::wasi::{begin_call, errno, wasi};
use crate::guest::phase::OfTask;
use crate::guest::state::State;
use crate::module::{WASI_MODULE, WASI_UNSTABLE_MODULE};

/// A `filestat` of preview 1 and of the older version, in bytes.
const FILESTAT_BYTES: usize = 64;
const OLD_FILESTAT_BYTES: usize = 56;

/// A `subscription` of the older version, in bytes.
const OLD_SUBSCRIPTION_BYTES: usize = 56;

/// The longest path that is looked at, in bytes; no longer one exists.
const MAX_PATH_BYTES: usize = 64 << 10;

/// Defines what the module imports of it. Call it when preview 1 is defined.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>, module: &Module) -> Result<()> {
    linker.func_wrap(WASI_UNSTABLE_MODULE, "fd_seek", fd_seek)?;
    linker.func_wrap(WASI_UNSTABLE_MODULE, "fd_filestat_get", fd_filestat_get)?;
    linker.func_wrap(WASI_UNSTABLE_MODULE, "path_filestat_get", path_filestat_get)?;
    linker.func_wrap(WASI_UNSTABLE_MODULE, "poll_oneoff", poll_oneoff)?;
    const OWN: [&str; 4] = ["fd_seek", "fd_filestat_get", "path_filestat_get", "poll_oneoff"];
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == WASI_UNSTABLE_MODULE) {
        if !OWN.contains(&import.name()) {
            linker.alias(WASI_MODULE, import.name(), WASI_UNSTABLE_MODULE, import.name())?;
        }
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// Counts from the current position, the end, or the start (0, 1, 2), where preview 1 has another order.
fn fd_seek(mut guest: Guest<'_>, fd: i32, offset: i64, whence: i32, result: i32) -> Result<i32> {
    const PREVIEW_1: [i32; 3] = [1, 2, 0];
    let whence = usize::try_from(whence).ok().and_then(|whence| PREVIEW_1.get(whence));
    let Some(whence) = whence else { return Ok(errno::INVAL) };
    let memory = memory(&mut guest, "fd_seek")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let wasi = wasi(state).begin_call();
    in_tokio(preview1::fd_seek(wasi, &mut GuestMemory::Unshared(bytes), fd, offset, *whence, result))
}

fn fd_filestat_get(mut guest: Guest<'_>, fd: i32, result: u32) -> Result<i32> {
    let mut host = [0; FILESTAT_BYTES + ALIGN];
    let host = aligned(&mut host);
    let wasi = wasi(guest.data_mut()).begin_call();
    match in_tokio(preview1::fd_filestat_get(wasi, &mut GuestMemory::Unshared(&mut *host), fd, 0))? {
        errno::SUCCESS => write_filestat(&mut guest, host, result),
        errno => Ok(errno),
    }
}

fn path_filestat_get(mut guest: Guest<'_>, fd: i32, lookup: i32, path: u32, path_len: u32, result: u32) -> Result<i32> {
    let fuel = guest.as_context_mut().hostcall_fuel();
    let memory = memory(&mut guest, "path_filestat_get")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let Some(path_range) = range(bytes.len(), path, path_len as usize) else {
        bail!("path_filestat_get({fd}, {lookup}, {path:#x}, {path_len}, ..): the path does not lie in memory")
    };
    if path_range.len() > MAX_PATH_BYTES {
        return Ok(errno::NAMETOOLONG);
    }
    // The path lies behind the result.
    let mut host = vec![0; FILESTAT_BYTES + path_range.len() + ALIGN];
    let host = aligned(&mut host);
    let copy = &mut host[FILESTAT_BYTES..FILESTAT_BYTES + path_range.len()];
    state.windows.host_reads(path_range.clone(), || copy.copy_from_slice(&bytes[path_range]));
    let wasi = begin_call(state, fuel);
    let (at, len) = (FILESTAT_BYTES as i32, path_len.cast_signed());
    let mut memory = GuestMemory::Unshared(&mut *host);
    let errno = in_tokio(preview1::path_filestat_get(wasi, &mut memory, fd, lookup, at, len, 0))?;
    guest.data().only_granted("path_filestat_get")?;
    match errno {
        errno::SUCCESS => write_filestat(&mut guest, host, result),
        errno => Ok(errno),
    }
}

/// Writes a `filestat` of preview 1 in the older layout, whose number of links has 32 bits.
fn write_filestat(guest: &mut Guest<'_>, filestat: &[u8], result: u32) -> Result<i32> {
    let links = u64::from_le_bytes(filestat[24..32].try_into().expect("eight bytes"));
    let mut old = [0; OLD_FILESTAT_BYTES];
    old[..20].copy_from_slice(&filestat[..20]);
    old[20..24].copy_from_slice(&u32::try_from(links).unwrap_or(u32::MAX).to_le_bytes());
    old[24..].copy_from_slice(&filestat[32..FILESTAT_BYTES]);
    let memory = memory(guest, "filestat_get")?;
    let (bytes, state) = memory.data_and_store_mut(&mut *guest);
    let Some(range) = range(bytes.len(), result, old.len()).filter(|_| result.is_multiple_of(8)) else {
        bail!("the file's state does not lie in memory at {result:#x}")
    };
    state.windows.host_writes(range.clone(), || bytes[range].copy_from_slice(&old));
    Ok(errno::SUCCESS)
}

/// Its subscriptions to clocks have a field more.
fn poll_oneoff(mut guest: Guest<'_>, subscriptions: u32, events: u32, count: u32, happened: u32) -> Result<i32> {
    guest.data().only_in_task("poll_oneoff", OfTask::Clock)?;
    let old = poll::read_subscriptions::<OLD_SUBSCRIPTION_BYTES>(&mut guest, subscriptions, count)?;
    let new: Vec<_> = old.iter().map(subscription).collect();
    let clock = wasi(guest.data_mut()).clock.clone();
    if let (Some(clock), Some(alarms)) = (clock, poll::alarms(&new)) {
        return poll::sleep(&mut guest, &clock, &alarms, events, happened);
    }
    // The events and their number lie behind the subscriptions.
    let (events_at, count_at) = (new.len() * SUBSCRIPTION_BYTES, new.len() * (SUBSCRIPTION_BYTES + EVENT_BYTES));
    let mut host = vec![0; count_at + 8 + ALIGN];
    let host = aligned(&mut host);
    host[..events_at].copy_from_slice(new.as_flattened());
    let fuel = guest.as_context_mut().hostcall_fuel();
    let wasi = begin_call(guest.data_mut(), fuel);
    let mut memory = GuestMemory::Unshared(&mut *host);
    let polled = preview1::poll_oneoff(wasi, &mut memory, 0, events_at as i32, count.cast_signed(), count_at as i32);
    let errno = in_tokio(polled)?;
    if errno == errno::SUCCESS {
        let reported = u32::from_le_bytes(host[count_at..count_at + 4].try_into().expect("four bytes")) as usize;
        poll::report(&mut guest, &host[events_at..events_at + reported * EVENT_BYTES], events, happened)?;
    }
    Ok(errno)
}

/// A subscription in the layout of preview 1.
fn subscription(old: &[u8; OLD_SUBSCRIPTION_BYTES]) -> [u8; SUBSCRIPTION_BYTES] {
    const CLOCK: u8 = 0;
    let mut new = [0; SUBSCRIPTION_BYTES];
    new[..24].copy_from_slice(&old[..24]);
    if old[8] == CLOCK {
        new[16..].copy_from_slice(&old[24..]);
    }
    new
}

/// How records of WASI must be aligned, in bytes.
const ALIGN: usize = 8;

/// The part of these bytes that is aligned for records of WASI.
fn aligned(bytes: &mut [u8]) -> &mut [u8] {
    let start = bytes.as_ptr().align_offset(ALIGN);
    &mut bytes[start..]
}
