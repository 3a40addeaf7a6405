//! Removes workers that die or lie, and decides how their tasks end.

use super::failed_start::{is_exhaustion, is_kill};
use super::run::CrewRun;
use super::worker::Worker;
use super::{Crew, Ending};
use crate::error::Repr;
use crate::ipc::ring::Violation;
use crate::job::Halted;
use crate::pool::completion::{timed_out, usage_of_killed};
use crate::pool::record::Pending;
use crate::pool::report::{Notice, Report};
use crate::pool::stop::StopLevel;
use crate::result::Status;

/// A task is not given to another worker once this many have died when they were about to begin it.
const FATAL_RETURNS: u32 = 4;
/// The run gives up after this many workers in a row died by themselves before they began a task.
const MAX_STARTUP_DEATHS: u32 = 3;
/// The same for workers that were killed, perhaps by somebody who kills at random.
const MAX_STARTUP_KILLS: u32 = 32;
/// How many workers may die in a row, each while it runs a task, if no task ends otherwise. A run with some tasks that kill their
/// worker goes on; with more workers, more may die at about the same time.
const MIN_MOST_LOST: u32 = 64;
const MOST_LOST_PER_WORKER: u32 = 4;

/// Whether a task was the next that its worker would have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextToBegin {
    No,
    Yes,
    /// It was, but the worker could not start.
    Unstarted,
}

impl NextToBegin {
    pub fn new(is_next: bool, has_started: bool) -> NextToBegin {
        match (is_next, has_started) {
            (false, _) => NextToBegin::No,
            (true, true) => NextToBegin::Yes,
            (true, false) => NextToBegin::Unstarted,
        }
    }
}

/// How many workers may die in a row.
fn most_lost(crew: &Crew) -> u32 {
    let workers = u32::try_from(crew.workers.len()).unwrap_or(u32::MAX);
    MIN_MOST_LOST.max(workers.saturating_mul(MOST_LOST_PER_WORKER))
}

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
        let has_started = worker.is_ready() && !is_exhaustion(reason);
        let mut died_running = false;
        while !worker.held.is_empty() {
            if let Some(pending) = worker.take_back_first() {
                let next = NextToBegin::new(std::mem::take(&mut next_to_begin), has_started);
                self.return_unbegun(pending, next, number, reason);
                continue;
            }
            let Some(held) = worker.held.pop_front() else { break };
            next_to_begin = false;
            let ticket = held.ticket;
            let mut pending = worker.release(held);
            let usage = usage_of_killed(worker.memory_of(ticket), self.job.limits.memory_bytes);
            match killed_for {
                // This task's time limit had not expired: the one before it had just ended when the worker was killed.
                Some(killed_for) if killed_for != ticket => {
                    self.return_task(pending, true, NextToBegin::Yes, number, reason);
                    continue;
                }
                Some(_) => {
                    let (limit, trace) = (worker.killed_for.limit(), worker.stack_trace(ticket));
                    self.report_end(timed_out(&self.job, pending, limit, trace, number).usage(usage));
                }
                None => {
                    pending.count_attempt();
                    let (status, message) = match self.stopped {
                        StopLevel::Now => (Status::Cancelled, "the run was stopped while it ran".into()),
                        _ => (Status::WorkerLost, format!("its worker {reason}")),
                    };
                    self.report_end(pending.fail(status, message, number).usage(usage));
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

    /// Returns a task that its worker did not begin.
    pub(super) fn return_unbegun(&mut self, pending: Pending, next: NextToBegin, worker: u32, reason: &str) {
        self.return_task(pending, false, next, worker, reason);
    }

    /// Returns a task to be run elsewhere. If a worker dies again and again when it is the next to begin, the task is presumed to be
    /// the reason, and fails.
    fn return_task(&mut self, mut pending: Pending, began: bool, next: NextToBegin, worker: u32, reason: &str) {
        let (returns, most) = match next {
            NextToBegin::No => (0, FATAL_RETURNS),
            NextToBegin::Yes => (pending.count_return(), FATAL_RETURNS),
            NextToBegin::Unstarted => (pending.count_unstarted(), most_lost(self.crew)),
        };
        if returns >= most {
            let message = format!("{returns} workers died when they were about to begin it; the last one {reason}");
            self.report_end(pending.fail(Status::WorkerLost, message, worker));
        } else {
            self.report(Report::Returned { pending, began });
        }
    }

    /// Notes that a worker died while it ran a task.
    fn note_lost(&mut self, reason: &str) {
        self.lost_in_a_row += 1;
        if self.lost_in_a_row >= most_lost(self.crew) {
            let count = self.lost_in_a_row;
            self.report(Report::Halted(Halted::WorkersLost { count, last: reason.to_owned() }));
        }
    }

    /// Decides whether a dead worker gets a successor.
    pub(super) fn note_death(&mut self, worker: &Worker, reason: &str) {
        if worker.proven {
            self.is_full = false;
        } else if self.crew.workers.iter().any(Option::is_some) {
            // A pool that has workers goes on with them.
            self.is_full = true;
            if is_exhaustion(reason) {
                self.notice_fewer(reason.to_owned());
            }
        } else {
            let (deaths, most) = match is_kill(reason) {
                true => (&mut self.startup_kills, MAX_STARTUP_KILLS),
                false => (&mut self.startup_deaths, MAX_STARTUP_DEATHS),
            };
            *deaths += 1;
            let gives_up = *deaths >= most;
            self.is_full = false;
            // Together they may have taken what each alone would have had.
            self.is_cautious = true;
            if gives_up {
                self.fail(Repr::Workers(format!("workers do not start: the last one {reason}")).into());
            }
        }
    }
}
