//! What became of tasks, and the ordered events that reporters read.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use crate::Input;
use crate::admission::Shortage;
use crate::failure::Halted;
use crate::job::Task;
use crate::sandbox::Missing;
pub use crate::status::{NoStatus, Status};
use crate::sys::read_only_map::ReadOnlyMap;

/// A task's result bytes. A large result is not copied: it stays in memory that the worker filled and can change no
/// more, and goes when the last clone is dropped. A very small one needs no memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Output(OutputKind);

/// A result up to this long is kept in place: it has room for a number's text.
const INLINE_BYTES: usize = 24;

#[derive(Clone, Debug)]
enum OutputKind {
    Copied(SmallVec<[u8; INLINE_BYTES]>),
    Mapped(Arc<ReadOnlyMap>, Input),
}

impl Default for OutputKind {
    fn default() -> Self {
        OutputKind::Copied(SmallVec::new())
    }
}

impl Output {
    /// The first `len` bytes of a memory file that nobody can change any more.
    pub(crate) fn from_sealed(file: File, len: u64) -> io::Result<Output> {
        let map = Arc::new(ReadOnlyMap::of_sealed(&file, len)?);
        Ok(Output(OutputKind::Mapped(map, Input::from_sealed("result", file, len))))
    }

    /// The result as an input of another task; a large one is not copied.
    ///
    /// # Errors
    ///
    /// Where the system has no memory for a copy of a small one.
    pub fn to_input(&self) -> crate::Result<Input> {
        match &self.0 {
            OutputKind::Copied(bytes) => Input::from_bytes("result", bytes),
            OutputKind::Mapped(_, input) => Ok(input.clone()),
        }
    }

    /// The result as an input, where that takes no copy.
    pub(crate) fn as_input(&self) -> Option<&Input> {
        match &self.0 {
            OutputKind::Copied(_) => None,
            OutputKind::Mapped(_, input) => Some(input),
        }
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Output {}

impl From<Vec<u8>> for Output {
    fn from(bytes: Vec<u8>) -> Self {
        Output(OutputKind::Copied(bytes.into()))
    }
}

impl From<&[u8]> for Output {
    fn from(bytes: &[u8]) -> Self {
        Output(OutputKind::Copied(bytes.into()))
    }
}

impl std::ops::Deref for Output {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            OutputKind::Copied(bytes) => bytes,
            OutputKind::Mapped(map, _) => map,
        }
    }
}

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

/// One task's end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The task's position among the items of its job, from 0.
    pub index: u64,
    /// The task itself, given back.
    pub task: Task,
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// Lines the task logged, and what a successful WASI command wrote to standard error: (level 1 error .. 5 trace, text).
    pub log: Vec<(u8, String)>,
    /// When, where and how it ran.
    pub stats: TaskStats,
    /// It ended in an earlier run (see [`Task::finished`](crate::Task::finished) and [`ResultCache`](crate::ResultCache)), of which these numbers are, and did not run in this one.
    pub ran_earlier: bool,
    /// How its earlier attempts failed, oldest first, without core dumps; of many, the last eight.
    pub earlier: Vec<TaskError>,
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for TaskError {}

impl Outcome {
    /// The outcome's status; [`Status::Ok`] exactly when there is a result.
    pub fn status(&self) -> Status {
        self.result.as_ref().map_or_else(|error| error.status, |_| Status::Ok)
    }

    /// Whether the task passed, but not on its first attempt.
    pub fn is_flaky(&self) -> bool {
        self.stats.attempts > 1 && self.result.is_ok()
    }
}

/// Counts of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Tasks taken from the source.
    pub taken: u64,
    /// Tasks that have an outcome.
    pub done: u64,
    /// Of those, the ones that failed.
    pub failed: u64,
    /// Of those that are done, the ones that were cancelled.
    pub cancelled: u64,
    /// Of those that are done, the ones that passed, but not on their first attempt.
    pub flaky: u64,
    /// Of those that are done, the ones whose results were in the cache.
    pub cached: u64,
    /// Merge tasks of a reduction that have an outcome (not part of `done`).
    pub merged: u64,
    /// Of those, the ones whose results were in the cache.
    pub merged_cached: u64,
}

/// What happened in a run, in order; seen by the observer given to [`Run::observe`](crate::Run::observe).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A task ended (in order of completion, whatever the order of delivery).
    TaskFinished(&'a Outcome),
    /// A merge of results ended ([`Run::reduce`](crate::Run::reduce)); its index is its place among the merges of its level.
    MergeFinished(&'a Outcome),
    /// A worker process died and is being replaced.
    WorkerLost {
        /// The worker, counted from 0.
        worker: u32,
        /// What it did, to follow "worker 3": `was killed by SIGKILL`, `could not be started: ...`.
        reason: &'a str,
    },
    /// This machine lacks layers of the workers' confinement; each is told once for a pool.
    Unconfined {
        /// The layers, and why.
        missing: &'a [Missing],
    },
    /// An attempt of a task failed, and there will be another (see [`Job::retries`](crate::Job::retries)).
    Retrying {
        /// How the attempt ended.
        outcome: &'a Outcome,
        /// How long the task waits for the next one, from the end of this one.
        delay: Duration,
    },
    /// A task runs longer than [`Job::slow`](crate::Job::slow); told while it runs, and the run is asked for outcomes.
    Slow {
        /// The task's position among the items of its job.
        index: u64,
        /// The task.
        task: &'a Task,
        /// The worker that runs it.
        worker: u32,
        /// How long it has run.
        elapsed: Duration,
    },
    /// The run ends early by itself.
    Halted(&'a Halted),
    /// No task starts for now (see [`Job::admission`](crate::Job::admission)); told when that begins.
    HeldUp(&'a Shortage),
    /// A task that ran gave its memory back, and will run again.
    Requeued {
        /// The worker that it ran in, which is replaced.
        worker: u32,
        /// The task's position among the items of its job.
        index: u64,
    },
    /// Results are not cached, or no more; told once a run.
    NotCached {
        /// Why: the rest of a sentence.
        why: &'a str,
    },
    /// All outcomes so far have been delivered, and the run is about to wait for more: time to flush.
    Waiting,
    /// The run has waited, for at most 100 ms (or longer, [`without_ticks`](crate::Run::without_ticks)): time to redraw.
    Tick,
}
