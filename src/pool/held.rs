//! A task on its way: with a worker, or waiting for one.

use std::time::SystemTime;

use crate::event::{Outcome, Status, TaskError, TaskStats};
use crate::job::Task;

/// A task that was taken from the source and has no outcome yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// What the run calls it; comes back with its end.
    pub tag: u64,
    /// Its position in the job, as the guest sees it.
    pub index: u64,
    /// Which of the job's functions it calls.
    pub function: u32,
    pub task: Task,
    pub attempts: u32,
    /// How often a worker died, or was killed, that should have been about to begin it.
    pub returned: u32,
    /// How often it was tried again.
    pub retried: u32,
    /// How earlier attempts failed.
    pub earlier: Vec<TaskError>,
}

/// A task that a worker holds.
#[derive(Debug)]
pub(super) struct Held {
    pub ticket: u64,
    /// Its place in the worker's ring.
    pub position: u64,
    pub pending: Pending,
}

/// A task that has an outcome.
#[derive(Debug)]
pub(super) struct Ended {
    pub tag: u64,
    /// Which of the job's functions it called.
    pub function: u32,
    pub retried: u32,
    pub outcome: Outcome,
}

impl Pending {
    /// A task that has not been started.
    pub fn new(tag: u64, index: u64, function: u32, task: Task) -> Pending {
        Pending { tag, index, function, task, attempts: 0, returned: 0, retried: 0, earlier: Vec::new() }
    }

    /// Ends the task without a completion of its own.
    pub fn fail(self, status: Status, message: String, worker: u32) -> Ended {
        let stats = TaskStats {
            start: SystemTime::now(),
            duration: Default::default(),
            worker,
            attempts: self.attempts,
            fuel: None,
        };
        self.end(Err(TaskError { status, message, backtrace: None, core_dump: None }), Vec::new(), stats)
    }

    /// Ends the task.
    pub fn end(self, result: Result<crate::Output, TaskError>, log: Vec<(u8, String)>, stats: TaskStats) -> Ended {
        let Pending { tag, index, function, task, retried, earlier, .. } = self;
        Ended { tag, function, retried, outcome: Outcome { index, task, result, log, stats, earlier } }
    }
}
