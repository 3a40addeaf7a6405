//! Pages of copy-on-write windows that were written, counted against the task's limit of memory.
//!
//! Such a window is mapped privately and read-only. The first write to a piece of 64 KiB faults, and the handler counts the piece
//! and makes it writable; so a guest that writes nothing of a large window has nothing counted, and none can write what is not counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The count, which a signal handler changes on the thread that runs the guest.
#[derive(Debug, Default)]
pub(in crate::guest) struct DirtyPages {
    bytes: AtomicU64,
    /// Bytes that may still be written.
    left: AtomicU64,
}

impl DirtyPages {
    /// Bytes of pages that were written, in whole pieces.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Forgets what was written, for another task.
    pub fn reset(&self) {
        self.bytes.store(0, Relaxed);
    }

    /// Lets so many bytes more be written.
    pub fn allow(&self, left: u64) {
        self.left.store(left, Relaxed);
    }

    /// Counts a piece that is written for the first time, if that is allowed. Async-signal-safe.
    pub fn take(&self, bytes: u64) -> bool {
        let Some(left) = self.left.load(Relaxed).checked_sub(bytes) else { return false };
        self.left.store(left, Relaxed);
        self.bytes.store(self.bytes() + bytes, Relaxed);
        true
    }

    /// Takes a window that was given back off the count.
    pub fn give_back(&self, bytes: u64) {
        self.bytes.store(self.bytes().saturating_sub(bytes), Relaxed);
        self.left.store(self.left.load(Relaxed).saturating_add(bytes), Relaxed);
    }
}
