//! What a fault in a window means, decided in a signal handler: everything here is async-signal-safe.
//!
//! What is reported must not depend on the machine. An instruction of the guest faults at one address. But which byte a `memcpy` of the
//! host touches first depends on the C library and the CPU. So copies by the host are reported by the first byte of their range that
//! lies in the window:
//!
//! - Imports of the guest contract announce the range that they copy ([`Windows::host_reads`], [`Windows::host_writes`]).
//! - Other host code (wasmtime's `memory.fill`, `memory.copy` and `memory.init`; WASI's calls) finishes on scratch pages, the
//!   lowest of which decides. If it belongs to a read-only window, it is filled with [`unlikely_byte`]s first, and the lowest byte that
//!   has changed afterwards is reported.
#![expect(unsafe_code, reason = "gives memory to a guest that has faulted")]

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::area::{Area, Content, WASM_PAGE};
use super::fault_record::{NotedFault, Recorded};
use super::windows::Windows;
use crate::ipc::wire::Mapped;
use crate::sys::fault::{Fault, FaultKind};
use crate::sys::window as memory;

impl Windows {
    /// Calls `copy`, which copies from this range of the linear memory.
    pub(in crate::guest) fn host_reads<R>(&self, range: Range<usize>, copy: impl FnOnce() -> R) -> R {
        self.settle();
        self.faults.host.during(range, false, copy)
    }

    /// Calls `copy`, which copies to this range of the linear memory.
    pub(in crate::guest) fn host_writes<R>(&self, range: Range<usize>, copy: impl FnOnce() -> R) -> R {
        self.settle();
        self.faults.host.during(range, true, copy)
    }

    /// The fault that decides the task's outcome.
    pub fn recorded(&self) -> Option<Recorded> {
        self.settle();
        self.faults.recorded.get()
    }

    /// Finds out where a host copy that faulted began, if one did. Call it at the latest when another host call begins.
    #[inline]
    pub(in crate::guest) fn settle(&self) {
        if self.faults.lowest.get() != 0 {
            self.find_first_written();
        }
    }

    #[cold]
    fn find_first_written(&self) {
        let page = self.faults.lowest.replace(0);
        self.faults.first_address.set(0);
        let start = page - self.base;
        let (Some(Recorded::Write { .. }), Some(area)) = (self.faults.recorded.get(), self.area_at(start)) else {
            return;
        };
        // SAFETY: a scratch page of ours, which stays mapped as long as it is the lowest; the guest is not running now.
        let is_changed = |at: &usize| unsafe { (page as *const u8).add(*at).read() } != unlikely_byte(*at);
        let first = (0..WASM_PAGE).find(is_changed).unwrap_or(0);
        self.faults.recorded.set(Some(meaning(area, start + first, FaultKind::Protection)));
    }

    fn area_at(&self, offset: usize) -> Option<&Area> {
        self.areas.iter().find(|area| area.range().contains(&offset))
    }

    /// Allows the first write to pages of a copy-on-write window, if the task may have that much more memory; the access can then be
    /// retried. Otherwise records that the limit is reached.
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
            self.faults.record_first(Recorded::MemoryLimit);
            return false;
        }
        // SAFETY: whole pages of this window, which are mapped privately: what is written goes to copies.
        let made = unsafe { memory::protect_read_write(self.host(piece.start), piece.len()) };
        if made.is_err() {
            self.faults.record_first(Recorded::NoMemory);
            return false;
        }
        window.dirty_bytes.set(window.dirty_bytes.get() + piece.len() as u64);
        true
    }

    /// Records a fault if it is in an area. The first one decides the task's outcome. Async-signal-safe: it reads plain data and
    /// sets cells.
    pub(in crate::guest) fn note(&self, fault: &Fault) -> bool {
        if self.edges.holds(fault.address) {
            self.faults.record_first(Recorded::NoPage { of: Mapped::Region(wrun_abi::SLICE), offset: 0 });
            return true;
        }
        let Some(offset) = fault.address.checked_sub(self.base) else { return false };
        let Some(area) = self.area_at(offset) else { return false };
        // A SIGBUS comes here twice, the second time as a SIGSEGV.
        if self.faults.last.get().is_some_and(|last| last.address == fault.address) {
            return true;
        }
        let copied = self.faults.host.around(offset);
        let meant = match &copied {
            Some(range) => self.meaning_of_copy(range, area, offset, fault.kind),
            None => meaning(area, offset, fault.kind),
        };
        self.faults.last.set(Some(NotedFault { address: fault.address, meaning: meant }));
        if self.faults.record_first(meant) && copied.is_none() {
            self.faults.first_address.set(fault.address);
        }
        true
    }

    /// What a fault at `offset` in `area` means during a copy of this range: the same whichever of its bytes is touched first.
    fn meaning_of_copy(&self, range: &Range<usize>, area: &Area, offset: usize, kind: FaultKind) -> Recorded {
        if kind == FaultKind::NoPage {
            return meaning(area, piece(offset).max(range.start), kind);
        }
        let writes = self.faults.host.writes.load(Relaxed);
        let refuses = |area: &&Area| match &area.content {
            Content::Free => true,
            Content::Window(window) => writes && !window.writable,
            Content::Output => false,
        };
        // Areas are in the order of addresses.
        let touched = self.areas.iter().filter(|area| area.start < range.end && range.start < area.range().end);
        match touched.filter(refuses).map(|area| (area, area.start.max(range.start))).next() {
            Some((area, offset)) => meaning(area, offset, kind),
            None => meaning(area, offset, kind),
        }
    }

    /// Maps private memory where a fault was that [`Windows::note`] has just recorded, so that the access can be retried.
    /// Async-signal-safe: it sets cells and maps memory.
    pub(in crate::guest) fn scratch(&self, fault: &Fault) -> bool {
        if self.edges.holds(fault.address) {
            return self.edges.scratch();
        }
        // Areas are whole wasm pages, so the page that holds the address is inside the area.
        let offset = fault.address - self.base;
        let (start, page) = (piece(offset), self.host(piece(offset)));
        // SAFETY: a wasm page inside an area of ours. The task has failed, so its contents do not matter.
        if unsafe { memory::map_zeros(page, WASM_PAGE) }.is_err() {
            return false;
        }
        let faults = &self.faults;
        let lowest = faults.lowest.get();
        let is_lowest =
            if lowest == 0 { faults.first_address.get() == fault.address } else { (page as usize) < lowest };
        let (Some(NotedFault { meaning: meant, .. }), Some(area), true) =
            (faults.last.get(), self.area_at(start), is_lowest)
        else {
            faults.rotate(page as usize);
            return true;
        };
        if lowest != 0 {
            faults.rotate(lowest);
        }
        faults.lowest.set(page as usize);
        let kind = if let Recorded::NoPage { .. } = meant { FaultKind::NoPage } else { FaultKind::Protection };
        faults.recorded.set(Some(meaning(area, start, kind)));
        if let Recorded::Write { .. } = meant {
            for at in 0..WASM_PAGE {
                // SAFETY: within the page, which was mapped above.
                unsafe { page.add(at).write(unlikely_byte(at)) };
            }
        }
        true
    }
}

/// The start of the 64 KiB that hold this offset, which is where its scratch page begins.
fn piece(offset: usize) -> usize {
    offset - offset % WASM_PAGE
}

/// What a fault at this offset of the linear memory, in `area`, means.
fn meaning(area: &Area, offset: usize, kind: FaultKind) -> Recorded {
    if area.is_guard(offset) {
        return Recorded::Guard;
    }
    match &area.content {
        Content::Window(window) if window.uses > 0 => {
            let in_view = window.offset + offset.saturating_sub(window.address) as u64;
            match kind {
                FaultKind::NoPage => Recorded::NoPage { of: window.of, offset: in_view },
                FaultKind::Protection if window.writable => Recorded::Unmapped,
                FaultKind::Protection => Recorded::Write { of: window.of, offset: in_view },
            }
        }
        Content::Output if kind == FaultKind::NoPage => Recorded::NoMemory,
        Content::Free | Content::Window(_) | Content::Output => Recorded::Unmapped,
    }
}

/// The filler at this offset of a scratch page: bytes that UTF-8 text never contains, in no simple order. If the host writes the
/// same byte, it counts as not written.
fn unlikely_byte(at: usize) -> u8 {
    const BYTES: [u8; 11] = [0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd];
    BYTES[(at as u32).wrapping_mul(0x9e37_79b1) as usize / (1 << 20) % BYTES.len()]
}
