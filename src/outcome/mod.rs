//! What became of tasks, as a run reports it.

mod event;
mod summary;

pub use event::{Event, RunStats};
pub use summary::{Summary, WorkerSummary};

use crate::job::Task;
use crate::result::{Output, Status, TaskError, TaskStats};

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
