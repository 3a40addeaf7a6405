//! When, where and how a task ran.

use std::time::{Duration, SystemTime};

/// When, where and how a task ran, on its last attempt.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use wrun::TaskStats;
///
/// let stats = TaskStats::new(SystemTime::now(), Duration::from_millis(3)).worker(7).attempts(1);
/// assert_eq!((stats.worker, stats.attempts, stats.cached), (7, 1, false));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskStats {
    /// When the task started, or when it became known that it would not start.
    pub start: SystemTime,
    /// How long it ran.
    pub duration: Duration,
    /// The worker that ran it, counted from 0.
    pub worker: u32,
    /// How often it was started.
    pub attempts: u32,
    /// Units of fuel that it used, if its module counts them.
    pub fuel: Option<u64>,
    /// Whether it did not run, because its result was in a [`ResultCache`](crate::cache::ResultCache). The other numbers are those of the
    /// run that stored the result.
    pub cached: bool,
    /// The memory that it used, and how its bytes were moved.
    pub usage: TaskUsage,
}

impl TaskStats {
    /// The numbers of a task that started and ran then, on worker 0, with no attempts counted.
    pub fn new(start: SystemTime, duration: Duration) -> TaskStats {
        TaskStats { start, duration, worker: 0, attempts: 0, fuel: None, cached: false, usage: TaskUsage::default() }
    }

    /// Sets the worker that ran it, counted from 0.
    #[must_use]
    pub fn worker(mut self, worker: u32) -> Self {
        self.worker = worker;
        self
    }

    /// Sets how often it was started.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the units of fuel that it used.
    #[must_use]
    pub fn fuel(mut self, fuel: u64) -> Self {
        self.fuel = Some(fuel);
        self
    }

    /// Sets the memory that it used, and how its bytes were moved.
    #[must_use]
    pub fn usage(mut self, usage: TaskUsage) -> Self {
        self.usage = usage;
        self
    }
}

/// The numbers of a task that never started.
impl Default for TaskStats {
    fn default() -> Self {
        TaskStats::new(SystemTime::UNIX_EPOCH, Duration::ZERO)
    }
}

/// The memory that an attempt used, as its worker reported it. Of an attempt whose worker was killed, only the numbers of memory are
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskUsage {
    /// Bytes that were not copied: mapped pages of inputs, and a result that came back in memory of its own.
    pub mapped_bytes: u64,
    /// Bytes that were copied: the argument, the parts of windows that are not whole pages of a file, and a small result.
    pub copied_bytes: u64,
    /// The peak size of memories, tables and copied parts of windows, whether or not the task touched all of it.
    pub peak_memory_bytes: u64,
    /// If the task was refused memory, the size that it would have had with it; the last one if it was refused more than once. The task
    /// may have gone on without.
    pub refused_memory_bytes: Option<u64>,
}
