//! Makes windows for a guest.

use std::fs::File;

use wasmtime::{Extern, Memory, Result, format_err};

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
pub(super) const EMPTY_WINDOW: u32 = 4096;

/// Maps a range within `whole`, and returns its address.
pub(super) fn map(
    guest: &mut Guest<'_>,
    call: &str,
    of: Mapped,
    whole: &GuestInput,
    (offset, len): (u64, u32),
) -> Result<u32> {
    if len == 0 {
        return Ok(EMPTY_WINDOW);
    }
    let state = guest.data_mut();
    let access = state.access(of);
    // Copy-on-write windows are never shared, not even within a task.
    if access != WindowAccess::CopyOnWrite
        && let Some((address, private_bytes)) = state.windows.find(of, offset, len as usize)
    {
        return count_window(state, private_bytes).map(|()| address as u32);
    }
    let GuestInput { file, offset: start, .. } = whole;
    let range = FileRange { file, offset: start + offset, len: len as usize, of, view_offset: offset, access };
    if state.windows.count() >= MAX_WINDOWS && !state.windows.free_unused() {
        let message = format!("it has {MAX_WINDOWS} windows at a time, which is the limit; give some back");
        return Err(HostError::fixed_limit(message).into());
    }
    count_window(state, range.private_bytes())?;
    let memory = memory(guest, call)?;
    let wanted = range.area_len_at(next_start(guest, memory));
    let area = area(guest, call, wanted, range.area_len())?;
    let state = guest.data_mut();
    match state.windows.map(area, &range) {
        Ok(address) => {
            let WindowBytes { mapped, copied } = range.bytes();
            state.window_bytes.mapped = state.window_bytes.mapped.saturating_add(mapped);
            state.window_bytes.copied = state.window_bytes.copied.saturating_add(copied);
            Ok(address as u32)
        }
        Err(MapError::Truncated) => Err(file_changed(of, file)),
        Err(MapError::Unreadable { offset }) => {
            Err(HostError::Input(InputFault { of, kind: InputFaultKind::Unreadable { offset } }).into())
        }
        Err(MapError::System(error)) => {
            Err(HostError::fixed_limit(format!("{call}: {len} bytes cannot be mapped: {error}")).into())
        }
    }
}

/// Counts a window's own memory against the task's limit.
fn count_window(state: &mut State, private_bytes: u64) -> Result<()> {
    match state.usage.add_window(private_bytes) {
        true => Ok(()),
        false => Err(HostError::Limit(state.usage.limit_reached().unwrap_or_default()).into()),
    }
}

fn file_changed(of: Mapped, file: &File) -> wasmtime::Error {
    let file_len = memory_file::len(file).unwrap_or(0);
    HostError::Input(InputFault { of, kind: InputFaultKind::Truncated { file_len } }).into()
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
    let declared = memory.ty(guest).maximum().map(|pages| pages * WASM_PAGE as u64);
    HostError::fixed_limit(match declared {
        Some(maximum) if maximum < 1 << 32 => format!(
            "{call}: no room for a window of {len} bytes: the module declares at most {maximum} bytes of memory and uses {size}; \
             build it with a larger maximum, or map smaller ranges"
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
pub(super) fn range(memory_len: usize, address: u32, len: usize) -> Option<std::ops::Range<usize>> {
    let start = address as usize;
    let end = start.checked_add(len)?;
    (end <= memory_len).then_some(start..end)
}
