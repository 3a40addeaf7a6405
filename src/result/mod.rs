//! What one attempt of a task gave: a result or an error, log lines, and numbers.

mod output;

use std::time::{Duration, SystemTime};

pub use output::Output;
pub use wrun_ipc::{NoStatus, Status};

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    /// The kind of failure; never [`Status::Ok`].
    pub status: Status,
    /// One or more lines for a person, without the task's name: `line 3: not a number: "abc"`.
    pub message: String,
    /// The guest's stack, a frame a line, innermost first, where there is one.
    pub backtrace: Option<String>,
    /// The guest's memories, globals and stack when a trap ended it, in the format of WebAssembly's tool conventions
    /// (Coredump.md), where the job asked for it. What was mapped into the memory is left out: zeros stand there.
    pub core_dump: Option<Box<Output>>,
}

/// When, where and how a task ran, on its last attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStats {
    /// When the task started (for one that never started: when that was known).
    pub start: SystemTime,
    /// How long it ran.
    pub duration: Duration,
    /// The worker that ran it, counted from 0.
    pub worker: u32,
    /// How often it was started.
    pub attempts: u32,
    /// Units of fuel that it used, where its module counts them.
    pub fuel: Option<u64>,
    /// Whether it did not run now: its result, and the rest of this, is from a [`ResultCache`](crate::ResultCache).
    pub cached: bool,
    /// What it took of memory, and how its bytes came and went.
    pub usage: TaskUsage,
}

/// Those of a task that never started, at no known time.
impl Default for TaskStats {
    fn default() -> Self {
        TaskStats {
            start: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            worker: 0,
            attempts: 0,
            fuel: None,
            cached: false,
            usage: TaskUsage::default(),
        }
    }
}

/// What an attempt of a task took, as far as its worker has said so: nothing of one that was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskUsage {
    /// Bytes that nobody copied: pages of inputs that were mapped, and a result that came back in memory of its own.
    pub mapped_bytes: u64,
    /// Bytes that were copied: the argument, what of windows is no whole page of a file, and a result that was small enough.
    pub copied_bytes: u64,
    /// The most bytes of memories, tables and copied parts of windows that the task had at a time, touched or not.
    pub peak_memory_bytes: u64,
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for TaskError {}

/// How a task ended in an earlier run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// Lines that it logged: (level 1 error .. 5 trace, text).
    pub log: Vec<(u8, String)>,
    /// When, where and how it ran.
    pub stats: TaskStats,
}
