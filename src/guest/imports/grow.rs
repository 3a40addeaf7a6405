//! Grows a linear memory to make room for windows.

use wasmtime::{Caller, Memory};

use crate::guest::state::State;
use crate::guest::window::WASM_PAGE;

/// A guest that calls an import.
pub(super) type Guest<'a> = Caller<'a, Box<State>>;

/// Where a new area would begin if `memory` grew for it.
pub(super) fn next_start(guest: &Guest<'_>, memory: Memory) -> usize {
    guest.data().windows.next_start(memory.data_size(guest))
}

/// Grows `memory`, the exported memory of the calling instance, by an area of `len` zero bytes (a multiple of [`WASM_PAGE`]). Returns
/// the area's index, or `None` if the memory cannot grow that much.
pub(in crate::guest) fn grow(guest: &mut Caller<'_, Box<State>>, memory: Memory, len: usize) -> Option<usize> {
    // No window begins at address 0, which is a null pointer to a guest.
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
