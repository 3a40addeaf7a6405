//! Makes windows for a guest.

use std::fmt::Arguments;
use std::fs::File;
use std::ops::Range;

use wasmtime::{Extern, Memory, Result, bail, format_err};

use super::address::Address;
use super::grow::{Guest, grow, next_start};
use crate::guest::host_error::HostError;
use crate::guest::open_files::GuestInput;
use crate::guest::state::State;
use crate::guest::window::{FileRange, MapError, WASM_PAGE, WindowAccess};
use crate::ipc::wire::{InputFault, InputFaultKind, Mapped, WindowBytes};
use crate::sys::memory_file;

/// The most windows that a task may have at a time.
const MAX_WINDOWS: usize = 4096;

/// The address of an empty range: not a null pointer, and not the address of any window, because none begins in the first
/// wasm page.
pub(super) const EMPTY_WINDOW: usize = 4096;

/// Where a window is to be.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In pages by which the memory grows.
    NewPages,
    /// From this address on, over memory of the guest's own. `values` are the arguments of the call, for messages.
    At { dst: usize, values: Arguments<'a> },
}

/// Maps a range within `whole`, and returns its address.
pub(super) fn map(
    guest: &mut Guest<'_>,
    call: &str,
    of: Mapped,
    whole: &GuestInput,
    (offset, len): (u64, usize),
    place: Place<'_>,
) -> Result<usize> {
    let state = guest.data_mut();
    let access = state.access(of);
    let GuestInput { file, offset: start, .. } = whole;
    let range = FileRange { file, offset: start + offset, len, of, view_offset: offset, access };
    if let Place::At { dst, values } = place {
        check_place(guest, call, values, dst, &range)?;
    }
    if len == 0 {
        return Ok(EMPTY_WINDOW);
    }
    let state = guest.data_mut();
    // Copy-on-write windows are never shared, not even within a task.
    if let Place::NewPages = place
        && access != WindowAccess::CopyOnWrite
        && let Some((address, private_bytes)) = state.windows.find(of, offset, len)
    {
        return count_window(state, private_bytes).map(|()| address);
    }
    if state.windows.count() >= MAX_WINDOWS && !state.windows.free_unused() {
        let message = format!("it has {MAX_WINDOWS} windows at a time, which is the limit; give some back");
        return Err(HostError::fixed_limit(message).into());
    }
    let memory = memory(guest, call)?;
    let mapped = match place {
        Place::NewPages => {
            count_window(guest.data_mut(), range.private_bytes())?;
            let guard = if access == WindowAccess::ReadOnly { 0 } else { guard(guest) };
            let wanted = range.area_len_at(next_start(guest, memory) + guard) + 2 * guard;
            let area = area(guest, call, wanted, range.area_len() + 2 * guard)?;
            guest.data_mut().windows.map(area, guard, &range)
        }
        Place::At { dst, .. } => {
            let base = memory.data_ptr(&*guest) as usize;
            guest.data_mut().windows.map_over(base, dst, &range)
        }
    };
    let state = guest.data_mut();
    match mapped {
        Ok(address) => {
            let WindowBytes { mapped, copied } = range.bytes();
            state.window_bytes.mapped = state.window_bytes.mapped.saturating_add(mapped);
            state.window_bytes.copied = state.window_bytes.copied.saturating_add(copied);
            Ok(address)
        }
        Err(error) => Err(not_mapped(error, of, file, format_args!("{call}: {len} bytes"))),
    }
}

/// The end of a task for which a range of this file could not be mapped. `what` is the range, for a message.
pub(in crate::guest) fn not_mapped(error: MapError, of: Mapped, file: &File, what: Arguments<'_>) -> wasmtime::Error {
    match error {
        MapError::Truncated => truncated(of, file),
        MapError::Unreadable { offset } => unreadable(of, offset),
        MapError::System(error) => HostError::fixed_limit(format!("{what} cannot be mapped: {error}")).into(),
    }
}

/// Checks that a window of this range can lie over the guest's own memory from `dst` on.
fn check_place(
    guest: &mut Guest<'_>,
    call: &str,
    values: Arguments<'_>,
    dst: usize,
    range: &FileRange<'_>,
) -> Result<()> {
    if !dst.is_multiple_of(WASM_PAGE) || dst == 0 {
        bail!("{call}({values}): {dst:#x} is not the address of a wasm page after the first one (a multiple of 64 KiB)")
    }
    let size = memory(guest, call)?.data_size(&*guest);
    let covered = if range.len == 0 { 0 } else { range.area_len() };
    let Some(end) = dst.checked_add(covered).filter(|end| *end <= size) else {
        let pages = covered / WASM_PAGE;
        bail!("{call}({values}): the window covers {pages} wasm pages there, which do not lie in memory")
    };
    let state = guest.data();
    if state.job.spec.initial_data.start < end as u64 && (dst as u64) < state.job.spec.initial_data.end {
        bail!("{call}({values}): the module's data segments lie there")
    }
    if state.windows.overlaps(dst..end) {
        bail!("{call}({values}): something that the host has mapped lies there")
    }
    Ok(())
}

/// Counts a window's own memory against the task's limit.
fn count_window(state: &mut State, private_bytes: u64) -> Result<()> {
    match state.usage.add_window(private_bytes) {
        true => Ok(()),
        false => Err(HostError::Limit(state.usage.limit_reached().unwrap_or_default()).into()),
    }
}

/// The end of a task whose file has become too short.
pub(in crate::guest) fn truncated(of: Mapped, file: &File) -> wasmtime::Error {
    let file_len = memory_file::len(file).unwrap_or(0);
    HostError::Input(InputFault { of, kind: InputFaultKind::Truncated { file_len } }).into()
}

/// The end of a task whose file could not be read at this offset of the task's view.
pub(in crate::guest) fn unreadable(of: Mapped, offset: u64) -> wasmtime::Error {
    HostError::Input(InputFault { of, kind: InputFaultKind::Unreadable { offset } }).into()
}

/// Bytes of the guards around a window that can be written. A guest that takes its pages for its own, because its allocator believes that
/// all memory is its own, would otherwise get a wrong result. In a window that cannot be written its stores fault.
pub(super) fn guard(guest: &Guest<'_>) -> usize {
    if guest.data().job.spec.guards { WASM_PAGE } else { 0 }
}

/// Takes `wanted` bytes of linear memory for a window, or `len` if there is no room for that: reuses free areas or grows the memory.
pub(super) fn area(guest: &mut Guest<'_>, call: &str, wanted: usize, len: usize) -> Result<usize> {
    let memory = memory(guest, call)?;
    loop {
        let mut take = |len| guest.data_mut().windows.take_free(len).or_else(|| grow(guest, memory, len));
        if let Some(index) = take(wanted).or_else(|| take(len)) {
            return Ok(index);
        }
        if !guest.data_mut().windows.free_unused() {
            return Err(no_room(guest, memory, call, len).into());
        }
    }
}

fn no_room(guest: &Guest<'_>, memory: Memory, call: &str, len: usize) -> HostError {
    let size = memory.data_size(guest);
    let ty = memory.ty(guest);
    let reach = if ty.is_64() { u64::MAX } else { 1 << 32 };
    let declared = ty.maximum().map(|pages| pages.saturating_mul(WASM_PAGE as u64));
    HostError::fixed_limit(match declared {
        Some(maximum) if maximum < reach => format!(
            "{call}: no room for a window of {len} bytes: the module declares at most {maximum} bytes of memory and uses {size}; \
             build it with a larger maximum, or map smaller ranges"
        ),
        _ if ty.is_64() => format!(
            "{call}: no room for a window of {len} bytes: {size} bytes are in use, and the memory cannot grow that much; \
             map smaller ranges one after another"
        ),
        _ => format!(
            "{call}: no room for a window of {len} bytes: {size} bytes of the 4 GiB that 32-bit addresses reach are in use; \
             map smaller ranges one after another"
        ),
    })
}

/// The memory exported as `memory`.
pub(super) fn memory(guest: &mut Guest<'_>, call: &str) -> Result<Memory> {
    if let Some(memory) = guest.data().memory {
        return Ok(memory);
    }
    // A start function may call imports before instantiation is complete.
    match guest.get_export(wrun_abi::MEMORY_EXPORT) {
        Some(Extern::Memory(memory)) => {
            guest.data_mut().memory = Some(memory);
            Ok(memory)
        }
        _ => Err(format_err!("{call}: the module exports no memory named `memory`")),
    }
}

/// The range of `len` bytes at `address`, if it lies in memory.
pub(super) fn range<A: Address>(memory_len: usize, address: A, len: usize) -> Option<Range<usize>> {
    let start = address.get();
    let end = start.checked_add(len)?;
    (end <= memory_len).then_some(start..end)
}
