//! The record of a task: waiting for an executor, held by one, or ended.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, SystemTime};

use crate::backend::Call;
use crate::ipc::Setting;
use crate::job::Task;
use crate::outcome::Outcome;
use crate::result::{LogLine, Output, Status, TaskError, TaskStats, TaskUsage};

/// How many failures before the last one are kept of a task; the oldest are dropped first.
pub(super) const MAX_EARLIER: usize = 8;

/// All that is known of a task. It passes through many hands, so the record stays in place and a pointer moves.
#[derive(Debug)]
pub(super) struct TaskRecord {
    /// The run's own number for the task, returned with its end.
    pub tag: u64,
    /// Which of the job's functions it calls.
    pub call: Call,
    /// How often a worker died, or was killed, when this task should have been the next to begin.
    returned: u32,
    /// How often that worker had not even been ready, or had run out of what it needs to start.
    unstarted: u32,
    /// How often it was retried.
    pub retried: u32,
    /// The outcome. Its result means nothing before the task has ended.
    pub outcome: Outcome,
}

/// A task that was taken from the source and has no outcome yet.
#[derive(Debug)]
pub(super) struct Pending(Box<TaskRecord>);

/// A task that has an outcome.
#[derive(Debug)]
pub(super) struct Ended(Box<TaskRecord>);

/// Records whose outcome has been delivered, kept for reuse by later tasks.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes are what is kept")]
pub(super) struct SpareRecords(Vec<Box<TaskRecord>>);

impl SpareRecords {
    /// A task that has not been started.
    pub fn pending(&mut self, tag: u64, index: u64, call: Call, task: Task) -> Pending {
        let Some(mut record) = self.0.pop() else { return Pending::new(tag, index, call, task) };
        (record.tag, record.call, record.returned, record.unstarted, record.retried) = (tag, call, 0, 0, 0);
        (record.outcome.index, record.outcome.task) = (index, task);
        Pending(record)
    }

    /// The outcome of a task that ended.
    pub fn outcome(&mut self, ended: Ended) -> Outcome {
        let mut record = ended.0;
        let outcome = std::mem::replace(&mut record.outcome, no_outcome(0, Task::default()));
        // There are never more records than tasks that were under way at the same time.
        self.0.push(record);
        outcome
    }
}

fn no_outcome(index: u64, task: Task) -> Outcome {
    Outcome::new(index, task, Ok(Output::default()), TaskStats::default())
}

impl Pending {
    /// A task that has not been started.
    pub fn new(tag: u64, index: u64, call: Call, task: Task) -> Pending {
        let outcome = no_outcome(index, task);
        Pending(Box::new(TaskRecord { tag, call, returned: 0, unstarted: 0, retried: 0, outcome }))
    }

    /// The run's own number for it.
    pub fn tag(&self) -> u64 {
        self.0.tag
    }

    pub fn task(&self) -> &Task {
        &self.0.outcome.task
    }

    /// Its position in the job, as the guest sees it.
    pub fn index(&self) -> u64 {
        self.0.outcome.index
    }

    /// Which of the job's functions it calls.
    pub fn call(&self) -> Call {
        self.0.call
    }

    /// Takes out how it ended in an earlier run, if that is known.
    pub fn take_finished(&mut self) -> Option<Box<crate::result::Finished>> {
        self.0.outcome.task.finished.take()
    }

    /// Takes out how the last attempt failed, if there was one.
    pub fn take_last_failure(&mut self) -> Option<TaskError> {
        self.0.outcome.earlier.pop()
    }

    /// Counts an attempt; returns the number of attempts including this one.
    pub fn count_attempt(&mut self) -> u32 {
        self.0.outcome.stats.attempts += 1;
        self.0.outcome.stats.attempts
    }

    /// Counts that a worker died, or was killed, when this task should have been the next to begin; returns how often that was.
    pub fn count_return(&mut self) -> u32 {
        self.0.returned += 1;
        self.0.returned
    }

    /// The same for a worker that could not start, which is hardly the task's fault.
    pub fn count_unstarted(&mut self) -> u32 {
        self.0.unstarted += 1;
        self.0.unstarted
    }

    /// Ends the task as failed, without a completion from a worker.
    pub fn fail(self, status: Status, message: String, worker: u32) -> Ended {
        let attempts = self.0.outcome.stats.attempts;
        let stats = TaskStats::new(SystemTime::now(), Duration::ZERO).worker(worker).attempts(attempts);
        self.end(Err(TaskError::new(status, message)), Vec::new(), stats)
    }

    /// Ends the task.
    pub fn end(self, result: Result<Output, TaskError>, log: Vec<LogLine>, stats: TaskStats) -> Ended {
        let mut record = self.0;
        record.outcome.result = result;
        record.outcome.log = log;
        (record.outcome.stderr, record.outcome.exit_code) = (Vec::new(), None);
        record.outcome.stats = stats;
        Ended(record)
    }
}

impl Ended {
    /// The next attempt of the task.
    pub fn again(self) -> Pending {
        let mut record = self.0;
        (record.returned, record.unstarted) = (0, 0);
        record.retried += 1;
        let outcome = &mut record.outcome;
        outcome.log = Vec::new();
        (outcome.stderr, outcome.exit_code) = (Vec::new(), None);
        if let Err(error) = std::mem::replace(&mut outcome.result, Ok(Output::default())) {
            if outcome.earlier.len() == MAX_EARLIER {
                outcome.earlier.remove(0);
            }
            outcome.earlier.push(error);
        }
        Pending(record)
    }

    /// Sets the memory that the task used.
    pub fn usage(mut self, usage: TaskUsage) -> Ended {
        self.0.outcome.stats.usage = usage;
        self
    }

    /// Sets what a program wrote to standard error, and the code that it exited with.
    pub fn of_program(mut self, stderr: Vec<u8>, exit_code: Option<i32>) -> Ended {
        (self.0.outcome.stderr, self.0.outcome.exit_code) = (stderr, exit_code);
        self
    }

    /// Notes what to change so that the task gets what it was refused.
    pub fn because_of(mut self, setting: Option<Setting>) -> Ended {
        if let Err(error) = &mut self.0.outcome.result {
            error.setting = setting;
        }
        self
    }

    /// The task's final outcome.
    pub fn into_outcome(self) -> Outcome {
        self.0.outcome
    }
}

impl Deref for Ended {
    type Target = TaskRecord;

    fn deref(&self) -> &TaskRecord {
        &self.0
    }
}

impl DerefMut for Ended {
    fn deref_mut(&mut self) -> &mut TaskRecord {
        &mut self.0
    }
}
