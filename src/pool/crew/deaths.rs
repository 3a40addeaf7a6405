//! Removes workers that die or lie, and decides how their tasks end.

use super::Ending;
use super::run::CrewRun;
use super::worker::Worker;
use crate::error::Repr;
use crate::ipc::ring::Violation;
use crate::job::Halted;
use crate::pool::completion::timed_out;
use crate::pool::record::Pending;
use crate::pool::report::{Notice, Report};
use crate::pool::stop::StopLevel;
use crate::result::Status;

/// A task is not given to another worker once this many have died when they were about to begin it.
const FATAL_RETURNS: u32 = 4;
/// The run gives up after this many workers in a row died before they began a task.
const MAX_STARTUP_DEATHS: u32 = 3;
/// How many workers may die in a row, each while it runs a task, if no task ends otherwise. A run with some tasks that kill their
/// worker goes on; with more workers, more may die at about the same time.
const MIN_MOST_LOST: u32 = 64;
const MOST_LOST_PER_WORKER: u32 = 4;

/// Why a worker is ended that has not ended by itself.
pub(super) enum Fault {
    /// It did what no honest worker does.
    Lie(Violation),
    /// It took too long, which says nothing about the reason. The text continues `its worker`.
    Late(&'static str),
}

impl CrewRun<'_> {
    /// Ends a worker that is gone, is at fault or can no longer be trusted, and decides how its tasks end.
    pub(super) fn condemn(&mut self, index: usize, fault: Option<Fault>, ending: Ending) {
        let Some((mut worker, end)) = self.crew.take_worker(index, ending) else { return };
        let mut fault = fault;
        // The worker itself said which task it ran when it was killed for its time limit.
        let killed_for = match worker.killed_for.ticket() {
            Some(ticket) if !worker.had(ticket) => {
                fault = fault.or(Some(Fault::Lie(Violation("it said that it ran a task that it did not have"))));
                None
            }
            killed_for => killed_for,
        };
        let is_at_fault = fault.is_some();
        let reason = match fault {
            None => end,
            Some(Fault::Lie(Violation(what))) => format!("broke the protocol: {what}"),
            Some(Fault::Late(what)) => what.to_owned(),
        };
        let died_running = self.end_tasks_of(&mut worker, index as u32, killed_for, &reason);
        if killed_for.is_some() {
            // The worker was not at fault, and there is room for a successor.
            self.lost_in_a_row = 0;
            self.is_full = false;
        }
        if self.stopped == StopLevel::Now || killed_for.is_some() {
            return;
        }
        if died_running || is_at_fault {
            self.note_lost(&reason);
        }
        self.note_death(&worker, &reason);
        self.notice(Notice::WorkerLost { worker: index as u32, reason });
    }

    /// Ends or returns the tasks that a dead worker held; returns whether it died while it ran one.
    fn end_tasks_of(&mut self, worker: &mut Worker, number: u32, killed_for: Option<u64>, reason: &str) -> bool {
        let mut next_to_begin = true;
        let mut died_running = false;
        while !worker.held.is_empty() {
            if let Some(pending) = worker.take_back_first() {
                self.return_unbegun(pending, std::mem::take(&mut next_to_begin), number, reason);
                continue;
            }
            let Some(held) = worker.held.pop_front() else { break };
            next_to_begin = false;
            let ticket = held.ticket;
            let mut pending = worker.release(held);
            match killed_for {
                // This task's time limit had not expired: the one before it had just ended when the worker was killed.
                Some(killed_for) if killed_for != ticket => {
                    self.return_task(pending, true, number, reason);
                    continue;
                }
                Some(_) => {
                    let (limit, trace) = (worker.killed_for.limit(), worker.stack_trace(ticket));
                    self.report_end(timed_out(&self.job, pending, limit, trace, number));
                }
                None => {
                    pending.count_attempt();
                    let (status, message) = match self.stopped {
                        StopLevel::Now => (Status::Cancelled, "the run was stopped while it ran".into()),
                        _ => (Status::WorkerLost, format!("its worker {reason}")),
                    };
                    self.report_end(pending.fail(status, message, number));
                    died_running = true;
                }
            }
            worker.proven = true;
        }
        died_running
    }

    /// Ends all workers that hold tasks.
    pub(super) fn condemn_busy(&mut self) {
        for index in 0..self.crew.workers.len() {
            if self.crew.workers[index].as_ref().is_some_and(|worker| !worker.held.is_empty()) {
                self.condemn(index, None, Ending::Killed);
            }
        }
    }

    /// Returns a task that its worker did not begin. `next`: it would have been the next to begin.
    pub(super) fn return_unbegun(&mut self, pending: Pending, next: bool, worker: u32, reason: &str) {
        if next {
            self.return_task(pending, false, worker, reason);
        } else {
            self.report(Report::Returned { pending, began: false });
        }
    }

    /// Returns a task that was the next to begin when its worker died. If that happens again and again, the task is presumed to be
    /// the reason, and fails.
    fn return_task(&mut self, mut pending: Pending, began: bool, worker: u32, reason: &str) {
        if let returns @ FATAL_RETURNS.. = pending.count_return() {
            let message = format!("{returns} workers died when they were about to begin it; the last one {reason}");
            self.report_end(pending.fail(Status::WorkerLost, message, worker));
        } else {
            self.report(Report::Returned { pending, began });
        }
    }

    /// Notes that a worker died while it ran a task.
    fn note_lost(&mut self, reason: &str) {
        self.lost_in_a_row += 1;
        let workers = u32::try_from(self.crew.workers.len()).unwrap_or(u32::MAX);
        if self.lost_in_a_row >= MIN_MOST_LOST.max(workers.saturating_mul(MOST_LOST_PER_WORKER)) {
            let count = self.lost_in_a_row;
            self.report(Report::Halted(Halted::WorkersLost { count, last: reason.to_owned() }));
        }
    }

    /// Decides whether a dead worker gets a successor.
    fn note_death(&mut self, worker: &Worker, reason: &str) {
        if worker.proven {
            self.is_full = false;
        } else if self.crew.workers.iter().any(Option::is_some) {
            // A pool that has workers goes on with them.
            self.is_full = true;
        } else {
            self.startup_deaths += 1;
            self.is_full = false;
            if self.startup_deaths >= MAX_STARTUP_DEATHS {
                self.fail(Repr::Workers(format!("workers do not start: the last one {reason}")).into());
            }
        }
    }
}
