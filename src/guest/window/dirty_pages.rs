//! Counts the pages of copy-on-write windows that were written against the task's memory limit.
//!
//! Such a window is mapped privately and read-only. The first write to each 64 KiB of it faults, and the handler counts these pages and
//! makes them writable. So nothing is counted for a large window that is only read, and nothing can be written uncounted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The count. A signal handler on the guest's thread changes it.
#[derive(Debug, Default)]
pub(in crate::guest) struct DirtyPages {
    bytes: AtomicU64,
    /// Bytes of pages that may still be written.
    left: AtomicU64,
}

impl DirtyPages {
    /// Bytes of pages that were written, in whole pieces.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Resets the count for the next task.
    pub fn reset(&self) {
        self.bytes.store(0, Relaxed);
    }

    /// Allows this many more bytes to be written.
    pub fn allow(&self, left: u64) {
        self.left.store(left, Relaxed);
    }

    /// Counts pages that are written for the first time, if that is allowed. Async-signal-safe.
    pub fn take(&self, bytes: u64) -> bool {
        let Some(left) = self.left.load(Relaxed).checked_sub(bytes) else { return false };
        self.left.store(left, Relaxed);
        self.bytes.store(self.bytes() + bytes, Relaxed);
        true
    }

    /// Subtracts the pages of a window that was unmapped.
    pub fn give_back(&self, bytes: u64) {
        self.bytes.store(self.bytes().saturating_sub(bytes), Relaxed);
        self.left.store(self.left.load(Relaxed).saturating_add(bytes), Relaxed);
    }
}
