//! How much memory the running task has: a worker that is killed does not report it any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::TaskClock;
use crate::layout::{CURRENT, PEAK_MEMORY, REFUSED_MEMORY};
use crate::sys::shared::SharedMemory;

/// A task's memory so far, according to its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskMemory {
    /// The most that it had at any time, in bytes.
    pub peak_bytes: u64,
    /// What it would have had with the memory that it was refused last, in bytes; 0 if none was refused.
    pub refused_bytes: u64,
}

/// Where a worker notes its task's memory when that grows. A note is one store to a cache line that only the worker writes.
#[derive(Clone, Debug)]
pub struct MemoryNotes(pub(super) Arc<SharedMemory>);

impl MemoryNotes {
    /// Notes the most memory that the running task had.
    #[inline]
    pub fn peak(&self, bytes: u64) {
        // Relaxed, and read without order: the pool reads it when the worker is dead.
        self.0.word(PEAK_MEMORY).store(bytes, Ordering::Relaxed);
    }

    /// Notes what the running task would have had with memory that it was refused.
    #[inline]
    pub fn refused(&self, bytes: u64) {
        self.0.word(REFUSED_MEMORY).store(bytes, Ordering::Relaxed);
    }

    /// Notes that a task begins.
    #[inline]
    pub(super) fn reset(memory: &SharedMemory) {
        memory.word(PEAK_MEMORY).store(0, Ordering::Relaxed);
        memory.word(REFUSED_MEMORY).store(0, Ordering::Relaxed);
    }
}

impl TaskClock {
    /// The memory of the task with this ticket, if the worker runs it, by its own account.
    pub fn memory(&self, ticket: u64) -> Option<TaskMemory> {
        let is_current = || self.0.word(CURRENT).load(Ordering::Acquire) == ticket.wrapping_add(1);
        let word = |at: usize| self.0.word(at).load(Ordering::Relaxed);
        let memory = TaskMemory { peak_bytes: word(PEAK_MEMORY), refused_bytes: word(REFUSED_MEMORY) };
        is_current().then_some(memory)
    }
}
