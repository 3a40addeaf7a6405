//! The ordered events that reporters read.

use std::time::Duration;

use super::Outcome;
use crate::job::{Halted, Shortage, Task};
use crate::sandbox::Missing;

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
