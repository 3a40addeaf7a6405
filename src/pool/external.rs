//! Runs attempts on an [`Executor`]: keeps track of the tasks that it holds, and checks that its reports are possible.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::Pending;
use super::report::{Notice, Report};
use super::stop::StopLevel;
use super::wait::Wait;
use crate::backend::{Assignment, Executor, ExecutorEvent, TaskEnd, Waker};
use crate::result::Status;
use crate::{Error, Result};

/// An executor, and the tasks that it holds.
pub(super) struct External<'pool> {
    /// `None` once the run has ended or the executor has failed.
    executor: Option<Box<dyn Executor + 'pool>>,
    /// By ticket.
    held: HashMap<u64, Pending>,
    /// Reports on the tasks of an executor that is gone.
    last_reports: VecDeque<Report>,
    waker: Waker,
}

/// A ticket that has never been used before.
fn next_ticket() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: the numbers only have to differ.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<'pool> External<'pool> {
    pub fn new(executor: Box<dyn Executor + 'pool>, waker: Waker) -> External<'pool> {
        External { executor: Some(executor), held: HashMap::new(), last_reports: VecDeque::new(), waker }
    }

    pub fn merge_with(&mut self, function: &str) -> Result<()> {
        match &mut self.executor {
            Some(executor) => executor.merge_with(function),
            None => Ok(()),
        }
    }

    pub fn has_room(&self) -> bool {
        self.executor.as_ref().is_some_and(|executor| executor.has_room())
    }

    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.last_reports.is_empty()
    }

    pub fn submit(&mut self, pending: Pending) -> Option<Pending> {
        let Some(executor) = self.executor.as_mut().filter(|executor| executor.has_room()) else {
            return Some(pending);
        };
        let ticket = next_ticket();
        executor.submit(Assignment { ticket, index: pending.index(), call: pending.call(), task: pending.task() });
        self.held.insert(ticket, pending);
        None
    }

    pub fn next_report(&mut self) -> Option<Report> {
        if let Some(report) = self.last_reports.pop_front() {
            return Some(report);
        }
        Some(match self.executor.as_mut()?.next()? {
            ExecutorEvent::Ended(end) => {
                let ticket = end.ticket;
                match self.held.remove(&ticket) {
                    Some(pending) => ended(pending, end),
                    None => {
                        self.fail(Error::backend(format!("the backend ended attempt {ticket}, which it was not given")))
                    }
                }
            }
            ExecutorEvent::WorkerLost(worker, reason) => Report::Notice(Notice::WorkerLost { worker, reason }),
            ExecutorEvent::FewerWorkers(reason) => Report::Notice(Notice::FewerWorkers { reason }),
            ExecutorEvent::Unconfined(missing) => Report::Notice(Notice::Unconfined(missing)),
            ExecutorEvent::Slow { ticket, worker, elapsed } => Report::Notice(Notice::Slow { worker, ticket, elapsed }),
            ExecutorEvent::Halted(why) => Report::Halted(why),
            ExecutorEvent::Failed(error) => self.fail(error),
        })
    }

    pub fn wait(&mut self, wait: Wait) {
        if let Some(executor) = &mut self.executor {
            executor.wait(wait.at_most());
        }
        self.waker.clear();
    }

    pub fn stop(&mut self, level: StopLevel) {
        if let Some(executor) = &mut self.executor {
            executor.stop(level == StopLevel::Now);
        }
    }

    /// Ends the executor, and reports the tasks that it still holds as cancelled.
    pub fn end(&mut self) {
        self.executor = None;
        for (_, mut pending) in self.held.drain() {
            pending.count_attempt();
            let ended = pending.fail(Status::Cancelled, "the run was stopped while it ran".into(), 0);
            self.last_reports.push_back(Report::Ended(ended));
        }
    }

    pub fn under_way(&self, ticket: u64) -> Option<&Pending> {
        self.held.get(&ticket)
    }

    /// Ends an executor that cannot go on, and returns the tasks that it holds.
    fn fail(&mut self, error: Error) -> Report {
        self.executor = None;
        let returned = |(_, pending)| Report::Returned { pending, began: false };
        self.last_reports.extend(self.held.drain().map(returned));
        Report::Failed(error)
    }
}

/// The end of an attempt as an executor reports it.
fn ended(mut pending: Pending, end: TaskEnd) -> Report {
    let mut stats = end.stats;
    if let Err(error) = &end.result
        && error.status == Status::Cancelled
        && stats.attempts == 0
    {
        return Report::NeverStarted { pending, message: error.message.clone() };
    }
    stats.attempts = pending.count_attempt();
    Report::Ended(pending.end(end.result, end.log, stats).of_program(end.stderr, end.exit_code))
}
