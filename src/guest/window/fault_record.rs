//! What the signal handlers record about the current task. Everything here is async-signal-safe.
#![expect(unsafe_code, reason = "takes scratch pages away again")]

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};

use super::area::WASM_PAGE;
use crate::ipc::wire::Mapped;
use crate::sys::window as memory;

/// A fault inside an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Recorded {
    /// A write to a window, at this offset of the task's view.
    Write { of: Mapped, offset: u64 },
    /// A page of the file does not exist (any more) or cannot be read.
    NoPage { of: Mapped, offset: u64 },
    /// The system had no memory for a page of the result, or of an input that was written.
    NoMemory,
    /// The task wrote to more pages of its inputs than its memory limit allows.
    MemoryLimit,
    /// An access to memory of a window that was given back.
    Unmapped,
    /// An access to the inaccessible pages around a window.
    Guard,
}

/// How many scratch pages there are at a time: a copy needs only a few (both ends of its source and of its target).
const SCRATCH_PAGES: usize = 8;

/// What the signal handlers recorded about the current task.
#[derive(Debug, Default)]
pub(super) struct FaultRecord {
    /// What decides the task's outcome.
    pub recorded: Cell<Option<Recorded>>,
    pub last: Cell<Option<NotedFault>>,
    /// The address of the fault that set `recorded`, if a host copy of unknown extent may have caused it; otherwise 0.
    pub first_address: Cell<usize>,
    /// The host address of the lowest scratch page that the copy behind `recorded` has used so far; 0 if there is none, or if that copy
    /// is over.
    pub lowest: Cell<usize>,
    /// Host addresses of the other scratch pages (of a wasm page's size), the oldest at `next`; 0 for none.
    scratch: [Cell<usize>; SCRATCH_PAGES],
    next: Cell<usize>,
    pub host: HostCopy,
}

/// A fault that was noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotedFault {
    pub address: usize,
    pub meaning: Recorded,
}

impl FaultRecord {
    /// Clears everything for the next task.
    pub fn reset(&self) {
        self.recorded.set(None);
        self.last.set(None);
        self.first_address.set(0);
        self.lowest.set(0);
        self.scratch.iter().for_each(|page| page.set(0));
    }

    pub fn record_first(&self, recorded: Recorded) -> bool {
        let is_first = self.recorded.get().is_none();
        if is_first {
            self.recorded.set(Some(recorded));
        }
        is_first
    }

    /// Forgets scratch pages in memory that becomes the guest's again: it must not be unmapped later.
    pub fn forget_scratch(&self, memory: &Range<usize>) {
        self.scratch.iter().filter(|page| memory.contains(&page.get())).for_each(|page| page.set(0));
    }

    /// Adds a scratch page and unmaps the oldest one, so that a `memory.fill` of 4 GiB needs only a few.
    pub fn rotate(&self, page: usize) {
        let next = self.next.get();
        let oldest = self.scratch[next].replace(page);
        self.next.set((next + 1) % SCRATCH_PAGES);
        if oldest != 0 && oldest != page {
            // SAFETY: a wasm page inside an area of ours. The task has failed, so its contents do not matter.
            let _ = unsafe { memory::map_nothing(oldest as *mut u8, WASM_PAGE) };
        }
    }
}

/// The range of linear memory that an import is copying. These are atomics because a signal handler of the same thread reads them.
#[derive(Debug, Default)]
pub(super) struct HostCopy {
    start: AtomicUsize,
    /// No copy is active unless this is greater than `start`.
    end: AtomicUsize,
    pub writes: AtomicBool,
}

impl HostCopy {
    pub fn during<R>(&self, range: Range<usize>, writes: bool, copy: impl FnOnce() -> R) -> R {
        self.start.store(range.start, Relaxed);
        self.end.store(range.end, Relaxed);
        self.writes.store(writes, Relaxed);
        // The handler runs on this thread, in the middle of `copy`, so only the compiler must preserve the order.
        compiler_fence(SeqCst);
        let copied = copy();
        compiler_fence(SeqCst);
        self.end.store(0, Relaxed);
        copied
    }

    /// The active range, if this offset lies in it.
    pub fn around(&self, offset: usize) -> Option<Range<usize>> {
        let range = self.start.load(Relaxed)..self.end.load(Relaxed);
        range.contains(&offset).then_some(range)
    }
}
