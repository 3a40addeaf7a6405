//! What runs the attempts of a run.
//!
//! A crew is an executor like any other. It is a variant of an enum rather than a trait object because its tasks stay in their
//! records all the way, whereas an executor from another crate gets a reference and returns a result.

use super::crew::CrewRun;
use super::external::External;
use super::record::Pending;
use super::report::Report;
use super::stop::StopLevel;
use super::wait::Wait;
use crate::Result;

/// Runs the attempts of one run.
pub(super) enum AttemptExecutor<'pool> {
    /// The workers of a pool: processes or threads.
    Crew(Box<CrewRun<'pool>>),
    /// An [`Executor`](crate::backend::Executor): on the caller's thread, another pool's, or another crate's.
    External(External<'pool>),
}

/// A task that was stopped to free its memory, and the worker that ran or held it.
pub(super) struct Evicted {
    pub worker: u32,
    pub pending: Pending,
}

impl AttemptExecutor<'_> {
    /// Lets tasks call the merge function `function`. Call this before the first task.
    pub fn merge_with(&mut self, function: &str) -> Result<()> {
        match self {
            Self::Crew(crew) => crew.merge_with(function),
            Self::External(external) => external.merge_with(function),
        }
    }

    /// How many tasks can run at the same time, as far as is known; at least one.
    pub fn parallelism(&self) -> u64 {
        match self {
            Self::Crew(crew) => crew.parallelism(),
            Self::External(_) => 1,
        }
    }

    /// Whether it can take another task now.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Crew(crew) => crew.has_room(),
            Self::External(external) => external.has_room(),
        }
    }

    /// Whether it holds no task and has no report of one.
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Crew(crew) => crew.is_idle(),
            Self::External(external) => external.is_idle(),
        }
    }

    /// Takes a task over, or returns it if there is no room for it.
    pub fn submit(&mut self, pending: Pending) -> Option<Pending> {
        match self {
            Self::Crew(crew) => crew.submit(pending),
            Self::External(external) => external.submit(pending),
        }
    }

    /// Makes submitted tasks visible to whatever runs them.
    pub fn publish(&mut self) {
        match self {
            Self::Crew(crew) => crew.publish(),
            // Its executor saw each task as it was submitted.
            Self::External(_) => {}
        }
    }

    /// Does everything that can be done without waiting.
    pub fn turn(&mut self) {
        match self {
            Self::Crew(crew) => crew.turn(),
            Self::External(_) => {}
        }
    }

    /// Moves tasks that have not begun to idle workers.
    pub fn rebalance(&mut self) {
        match self {
            Self::Crew(crew) => crew.rebalance(),
            // That is up to the executor.
            Self::External(_) => {}
        }
    }

    /// The next report, or `None` if there is none yet. Never waits.
    pub fn next_report(&mut self) -> Option<Report> {
        match self {
            Self::Crew(crew) => crew.next_report(),
            Self::External(external) => external.next_report(),
        }
    }

    /// Waits for something to report, for as long as `wait` says. `tasks_wait`: some tasks found no room.
    pub fn wait(&mut self, wait: Wait, tasks_wait: bool) {
        match self {
            Self::Crew(crew) => crew.wait(wait, tasks_wait),
            Self::External(external) => external.wait(wait),
        }
    }

    /// Handles what the last wait found.
    pub fn handle_workers(&mut self) {
        match self {
            Self::Crew(crew) => crew.handle_workers(),
            Self::External(_) => {}
        }
    }

    /// Returns tasks that have not begun and, at [`StopLevel::Now`], ends those that run.
    pub fn stop(&mut self, level: StopLevel) {
        match self {
            Self::Crew(crew) => crew.stop(level),
            Self::External(external) => external.stop(level),
        }
    }

    /// Ends everything under way: when this returns, nothing runs any more, and there is a report for each task.
    pub fn end(&mut self) {
        match self {
            Self::Crew(crew) => crew.end(),
            Self::External(external) => external.end(),
        }
    }

    /// Takes back the tasks that have not begun, in no particular order.
    pub fn take_back(&mut self) -> Vec<Pending> {
        match self {
            Self::Crew(crew) => crew.take_back(),
            // It gets no new tasks, and the trait has no way to take tasks back.
            Self::External(_) => Vec::new(),
        }
    }

    /// Stops the task that began last, unless it is the only one running, to free its memory. Returns it and the tasks behind it,
    /// the last one first.
    pub fn evict_youngest(&mut self) -> Vec<Evicted> {
        match self {
            Self::Crew(crew) => crew.evict_youngest(),
            Self::External(_) => Vec::new(),
        }
    }

    /// The task with this ticket, if this worker is still running it.
    pub fn under_way(&self, worker: u32, ticket: u64) -> Option<&Pending> {
        match self {
            Self::Crew(crew) => crew.under_way(worker as usize, ticket),
            Self::External(external) => external.under_way(ticket),
        }
    }

    /// The process ids of the running workers.
    pub fn worker_pids(&mut self) -> Vec<u32> {
        match self {
            Self::Crew(crew) => crew.worker_pids(),
            Self::External(_) => Vec::new(),
        }
    }
}
