//! Growing a linear memory by areas for windows.

use wasmtime::{Caller, Memory};

use super::{Area, Content, WASM_PAGE};
use crate::guest::state::State;

/// Where an area would begin for which `memory` grows.
pub(in crate::guest) fn next_start(guest: &Caller<'_, Box<State>>, memory: Memory) -> usize {
    let size = memory.data_size(guest);
    match guest.data().windows.areas.last() {
        Some(Area { start, len, content: Content::Free }) if start + len == size => *start,
        _ => size.max(WASM_PAGE),
    }
}

/// Grows `memory`, the exported one of the instance that calls, by an area of `len` bytes (a multiple of [`WASM_PAGE`]) of
/// zeros. Gives the area's index; `None` where the memory cannot grow so much.
pub(in crate::guest) fn grow(guest: &mut Caller<'_, Box<State>>, memory: Memory, len: usize) -> Option<usize> {
    // Address 0 is not for windows: to a guest it is a null pointer.
    let size = memory.data_size(&*guest);
    let unused = if size == 0 { 1 } else { 0 };
    guest.data_mut().usage.growing_for_window = true;
    // A free area at the end of the memory is made longer.
    let last = guest
        .data_mut()
        .windows
        .areas
        .pop_if(|area| matches!(area.content, Content::Free) && area.start + area.len == size && area.len < len);
    let missing = len - last.as_ref().map_or(0, |area| area.len);
    let grown = memory.grow(&mut *guest, (missing / WASM_PAGE) as u64 + unused);
    guest.data_mut().usage.growing_for_window = false;
    let base = memory.data_ptr(&*guest) as usize;
    let windows = &mut guest.data_mut().windows;
    let Ok(old_pages) = grown else {
        windows.areas.extend(last);
        return None;
    };
    debug_assert!(windows.base == 0 || windows.base == base, "memories do not move, and there is one");
    windows.base = base;
    let start = match &last {
        Some(area) => area.start,
        None => (old_pages + unused) as usize * WASM_PAGE,
    };
    windows.areas.push(Area { start, len, content: Content::Free });
    if last.is_some() {
        windows.make_zeros(start, len);
    }
    Some(windows.areas.len() - 1)
}
