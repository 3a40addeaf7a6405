//! Resuming a run: tasks that are finished in the job log do not run again.

use std::fs::File;
use std::task::{Poll, ready};

use anyhow::Context as _;
use wrun::backend::Waker;
use wrun::cache::{TaskKey, TaskKeys};
use wrun::result::Finished;
use wrun::{OutputFile, Source, Task};

use super::Items;
use super::earlier_run::EarlierRun;
use crate::report::{JobLog, LoggedStatus, PendingTask, PendingTasks};

/// Which finished tasks of a log do not run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumePolicy {
    /// Those that passed or failed.
    KeepFailures,
    /// Those that passed.
    RetryFailures,
}

/// An open job log, and if it is resumed, what an earlier run wrote to it.
pub struct OpenLog {
    /// The log to write.
    pub log: JobLog,
    /// What is resumed.
    pub resumed: Option<(ResumePolicy, EarlierRun)>,
}

/// The items of a `map`, each noted for the job log. Those that are finished in the log of an earlier run get their outcomes from
/// there.
pub struct LoggedItems {
    items: Items,
    notes: Option<Notes>,
}

/// What the job log needs to know about tasks.
struct Notes {
    keys: TaskKeys,
    pending: PendingTasks,
    taken: u64,
    slices: Option<Slices>,
    resumed: Option<Resumed>,
}

/// The output slices when the run began.
#[derive(Clone, Copy)]
struct Slices {
    slice_bytes: u64,
    file_bytes: u64,
}

impl Slices {
    /// Whether the slice of this task was in the file.
    fn contain(&self, index: u64) -> bool {
        (index + 1).saturating_mul(self.slice_bytes) <= self.file_bytes
    }
}

/// The log of an earlier run.
struct Resumed {
    policy: ResumePolicy,
    earlier: EarlierRun,
    file: File,
}

/// What an earlier run says about a task.
enum Earlier {
    Unknown,
    /// It ran, but has to run again.
    Outdated(LoggedStatus),
    Finished(Box<Finished>),
}

impl Resumed {
    /// Looks a task up, and takes it out of the log's tasks.
    fn look_up(&mut self, key: TaskKey, has_slice: bool) -> Earlier {
        let Some(entry) = self.earlier.take(key) else { return Earlier::Unknown };
        let keeps = match entry.status {
            LoggedStatus::Passed => true,
            LoggedStatus::Failed => self.policy == ResumePolicy::KeepFailures,
            LoggedStatus::Unfinished => false,
        };
        let outcome = if has_slice && keeps { entry.outcome(&self.file) } else { None };
        outcome.map_or(Earlier::Outdated(entry.status), |finished| Earlier::Finished(Box::new(finished)))
    }
}

impl LoggedItems {
    /// Items of a run without a log.
    pub fn without_log(items: Items) -> LoggedItems {
        LoggedItems { items, notes: None }
    }

    /// Items of a run with a log; gives also the log to write. A task whose slice of `out` is missing runs again.
    ///
    /// # Errors
    ///
    /// If the files cannot be examined.
    pub fn with_log(
        items: Items,
        keys: TaskKeys,
        OpenLog { log, resumed }: OpenLog,
        out: Option<&OutputFile>,
    ) -> anyhow::Result<(LoggedItems, JobLog)> {
        let (file, name) = log.file();
        let resumed = match resumed {
            Some((policy, earlier)) => {
                let file = file.try_clone().with_context(|| format!("cannot read joblog {name}"))?;
                Some(Resumed { policy, earlier, file })
            }
            None => None,
        };
        let slices = match out {
            Some(out) => {
                let file_bytes = out.file().metadata().context("--out")?.len();
                Some(Slices { slice_bytes: out.slice_bytes(), file_bytes })
            }
            None => None,
        };
        let notes = Notes { keys, pending: log.pending(), taken: 0, slices, resumed };
        Ok((LoggedItems { items, notes: Some(notes) }, log))
    }

    /// Waits for the next task, for callers outside a run.
    pub fn wait_for_task(&mut self) -> Option<Task> {
        let task = self.items.wait_for_task()?;
        Some(self.note(task))
    }

    fn note(&mut self, task: Task) -> Task {
        match &mut self.notes {
            Some(notes) => notes.note(task),
            None => task,
        }
    }
}

impl Notes {
    /// Notes a task; adds its outcome if it is finished.
    fn note(&mut self, task: Task) -> Task {
        let index = self.taken;
        self.taken += 1;
        // A task without a key has an input that cannot be read, and fails with that message.
        let key = self.keys.at(index, &task).ok();
        let has_slice = self.slices.is_none_or(|slices| slices.contain(index));
        let earlier = match (key, &mut self.resumed) {
            (Some(key), Some(resumed)) => resumed.look_up(key, has_slice),
            _ => Earlier::Unknown,
        };
        let replaces = match earlier {
            Earlier::Finished(finished) => {
                return Task { inputs: Vec::new(), unrunnable: None, ..task.finished(*finished) };
            }
            Earlier::Outdated(status) => Some(status),
            Earlier::Unknown => None,
        };
        self.pending.borrow_mut().insert(index, PendingTask { key, replaces });
        task
    }
}

impl Source for LoggedItems {
    fn attach(&mut self, waker: Waker) {
        self.items.attach(waker);
    }

    fn poll_task(&mut self) -> Poll<Option<Task>> {
        let task = ready!(self.items.poll_task());
        Poll::Ready(task.map(|task| self.note(task)))
    }
}
