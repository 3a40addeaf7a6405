//! What becomes of a fault in a window, decided in a signal handler: everything here is async-signal-safe.
#![expect(unsafe_code, reason = "gives memory to a guest that has faulted")]

use super::{Area, Content, WASM_PAGE, Windows};
use crate::ipc::wire::Mapped;
use crate::sys::fault::{Fault, FaultKind};
use crate::sys::window as memory;

/// A fault inside an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Recorded {
    /// A write to a window, at this offset of the task's view.
    Write { of: Mapped, offset: u64 },
    /// A page of the file is not there (any more).
    NoPage { of: Mapped, offset: u64 },
    /// The system had no memory for a page of the result, or of an input that was written.
    NoMemory,
    /// The task wrote to more pages of its inputs than its limit of memory allows.
    MemoryLimit,
    /// An access to memory of a window that was given back.
    Unmapped { address: u64 },
}

/// A host call touches at most a few places at a time (both ends of a source and of a target).
pub(super) const SCRATCH_PAGES: usize = 8;

impl Windows {
    /// Lets a first write to pages of a copy-on-write window happen, where the task may have so much memory more: the access can be
    /// tried again then. What it may not have is recorded.
    pub(in crate::guest) fn allow_write(&self, fault: &Fault) -> bool {
        let Some(offset) = fault.address.checked_sub(self.base) else { return false };
        let window = self.areas.iter().find_map(|area| match &area.content {
            Content::Window(window) if window.uses > 0 && window.on_write.contains(&offset) => Some(window),
            _ => None,
        });
        let Some(window) = window.filter(|_| fault.kind == FaultKind::Protection) else { return false };
        let piece = offset - offset % WASM_PAGE;
        let piece = piece.max(window.on_write.start)..(piece + WASM_PAGE).min(window.on_write.end);
        if !self.dirty.take(piece.len() as u64) {
            self.recorded.set(self.recorded.get().or(Some(Recorded::MemoryLimit)));
            return false;
        }
        // SAFETY: whole pages of this window, which are mapped privately: what is written goes to copies.
        let made = unsafe { memory::protect_read_write(self.host(piece.start), piece.len()) };
        if made.is_err() {
            self.recorded.set(self.recorded.get().or(Some(Recorded::NoMemory)));
            return false;
        }
        window.dirty_bytes.set(window.dirty_bytes.get() + piece.len() as u64);
        true
    }

    /// Notes a fault, if it is in an area. The first one decides the task's outcome. Async-signal-safe: it reads plain data
    /// and sets a cell.
    pub(in crate::guest) fn note(&self, fault: &Fault) -> bool {
        if self.edges.holds(fault.address) {
            let of = Mapped::Region(wrun_abi::SLICE);
            self.recorded.set(self.recorded.get().or(Some(Recorded::NoPage { of, offset: 0 })));
            return true;
        }
        let Some(offset) = fault.address.checked_sub(self.base) else { return false };
        let within = |area: &&Area| (area.start..area.start + area.len).contains(&offset);
        let Some(area) = self.areas.iter().find(within) else { return false };
        if self.recorded.get().is_none() {
            self.recorded.set(Some(match &area.content {
                Content::Window(window) if window.uses > 0 => {
                    let in_view = window.offset + offset.saturating_sub(window.address) as u64;
                    match fault.kind {
                        FaultKind::NoPage => Recorded::NoPage { of: window.of, offset: in_view },
                        FaultKind::Protection if window.writable => Recorded::Unmapped { address: offset as u64 },
                        FaultKind::Protection => Recorded::Write { of: window.of, offset: in_view },
                    }
                }
                Content::Output if fault.kind == FaultKind::NoPage => Recorded::NoMemory,
                Content::Free | Content::Window(_) | Content::Output => Recorded::Unmapped { address: offset as u64 },
            }));
        }
        true
    }

    /// Puts private memory where a fault in an area was, so that the access can be tried again; the oldest such page
    /// goes, so that a `memory.fill` of 4 GiB takes no more than a few. Async-signal-safe: it sets cells and maps memory.
    pub(in crate::guest) fn scratch(&self, fault: &Fault) -> bool {
        if self.edges.holds(fault.address) {
            return self.edges.scratch();
        }
        let next = self.scratch_next.get();
        let oldest = self.scratch[next].get();
        if oldest != 0 {
            // SAFETY: a wasm page inside an area of ours; its contents are of no interest (the task has failed).
            let _ = unsafe { memory::map_nothing(oldest as *mut u8, WASM_PAGE) };
        }
        // Areas are whole wasm pages, so the page that holds the address is inside the area.
        let offset = fault.address - self.base;
        let page = self.host(offset - offset % WASM_PAGE);
        self.scratch[next].set(page as usize);
        self.scratch_next.set((next + 1) % SCRATCH_PAGES);
        // SAFETY: as above.
        unsafe { memory::map_zeros(page, WASM_PAGE) }.is_ok()
    }
}
