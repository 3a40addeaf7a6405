//! Growing a linear memory by room for windows.

use wasmtime::{Caller, Memory};

use crate::guest::state::State;
use crate::guest::window::WASM_PAGE;

/// A guest that calls an import.
pub(super) type Guest<'a> = Caller<'a, Box<State>>;

/// Where an area would begin for which `memory` grows.
pub(super) fn next_start(guest: &Guest<'_>, memory: Memory) -> usize {
    guest.data().windows.next_start(memory.data_size(guest))
}

/// Grows `memory`, the exported one of the instance that calls, by an area of `len` bytes (a multiple of [`WASM_PAGE`]) of
/// zeros. Gives the area's index; `None` if the memory cannot grow that much.
pub(in crate::guest) fn grow(guest: &mut Caller<'_, Box<State>>, memory: Memory, len: usize) -> Option<usize> {
    // Address 0 is not for windows: to a guest it is a null pointer.
    let size = memory.data_size(&*guest);
    let unused = if size == 0 { 1 } else { 0 };
    let free_bytes = guest.data().windows.free_at_end(size).filter(|free| *free < len).unwrap_or(0);
    guest.data_mut().usage.growing_for_window = true;
    let grown = memory.grow(&mut *guest, ((len - free_bytes) / WASM_PAGE) as u64 + unused);
    guest.data_mut().usage.growing_for_window = false;
    let old_pages = grown.ok()?;
    let base = memory.data_ptr(&*guest) as usize;
    let windows = &mut guest.data_mut().windows;
    Some(windows.add_area(base, (old_pages + unused) as usize * WASM_PAGE - free_bytes, len))
}
