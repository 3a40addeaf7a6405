//! The events of a run, in order.

use std::time::Duration;

use super::Outcome;
use crate::job::{Halted, Shortage, Task};
use crate::sandbox::MissingLayer;

/// Counts of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunStats {
    /// Tasks taken from the source.
    pub taken: u64,
    /// Tasks that have ended.
    pub done: u64,
    /// Tasks of `done` that failed.
    pub failed: u64,
    /// Tasks of `done` that were cancelled.
    pub cancelled: u64,
    /// Tasks of `done` that passed, but not on their first attempt.
    pub flaky: u64,
    /// Tasks of `done` whose results were in the cache.
    pub cached: u64,
    /// Merges that have ended; they are not part of `done`.
    pub merged: u64,
    /// Merges of `merged` whose results were in the cache.
    pub merged_cached: u64,
}

/// What happened in a run, in order, as the observer of [`Run::observe`](crate::Run::observe) sees it.
///
/// ```no_run
/// # use wrun::{Job, Module, Pool};
/// use wrun::Event;
///
/// # wrun::init();
/// # let (mut pool, job) = (Pool::builder().build()?, Job::new(&Module::from_file("sqrt.wat")?));
/// let run = pool.map(&job, 0..1000)?.observe(|event, stats| match event {
///     Event::TaskFinished(outcome) => println!("task {}: {} ({} done)", outcome.index, outcome.status(), stats.done),
///     Event::WorkerLost { worker, reason } => eprintln!("worker {worker} {reason}"),
///     _ => {}
/// });
/// run.for_each(drop);
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A task ended. Tasks are reported as they end, whatever the order in which outcomes are delivered.
    TaskFinished(&'a Outcome),
    /// A merge of results ended ([`Run::reduce`](crate::Run::reduce)). Its index counts the merges of its level of the tree.
    MergeFinished(&'a Outcome),
    /// A worker process died and is being replaced.
    WorkerLost {
        /// The worker, counted from 0.
        worker: u32,
        /// What happened, as the rest of a sentence that begins with "worker 3": `was killed by SIGKILL`,
        /// `could not be started: ...`.
        reason: &'a str,
    },
    /// The run goes on with fewer workers than its pool may have, because the system had no room for another one. Reported once per run.
    FewerWorkers {
        /// What happened, as the rest of a sentence that begins with "a worker": `could not be started: ...`.
        reason: &'a str,
    },
    /// This machine does not support some layers of the workers' confinement. Each layer is reported once per pool.
    Unconfined {
        /// The layers, and why.
        missing: &'a [MissingLayer],
    },
    /// An attempt of a task failed, and the task will be retried (see [`Job::retries`](crate::Job::retries)).
    Retrying {
        /// How the attempt ended.
        outcome: &'a Outcome,
        /// The time from the end of this attempt to the next one.
        delay: Duration,
    },
    /// A task is running longer than [`Job::slow`](crate::Job::slow).
    Slow {
        /// The task's position among the items of its job.
        index: u64,
        /// The task.
        task: &'a Task,
        /// The worker that runs it.
        worker: u32,
        /// How long it has been running.
        elapsed: Duration,
    },
    /// The run ends early.
    Halted(&'a Halted),
    /// No task starts for now (see [`Job::admission`](crate::Job::admission)). Reported when that begins.
    HeldUp(&'a Shortage),
    /// A running task was stopped to free its memory, and will run again.
    Requeued {
        /// The worker that ran it, which is replaced.
        worker: u32,
        /// The task's position among the items of its job.
        index: u64,
    },
    /// Results are not cached, or no longer. Reported once per run.
    NotCached {
        /// Why, as the rest of a sentence.
        why: &'a str,
    },
    /// All outcomes so far have been delivered, and the run is about to wait for more: time to flush output.
    Waiting,
    /// The run has waited, for at most 100 ms unless [`without_ticks`](crate::Run::without_ticks) is set: time to redraw.
    Tick,
}
