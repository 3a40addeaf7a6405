//! What becomes of a worker that dies or lies, and of its tasks.

use super::crew::End;
use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::stop::Stop;
use crate::error::Kind;
use crate::ipc::ring::Violation;
use crate::result::Status;

/// A task does not go to another worker when so many died that were about to begin it.
const FATAL_RETURNS: u32 = 4;
/// Workers that die in a row before they begin a task, until the run gives up.
const MAX_STILL_BIRTHS: u32 = 3;

impl Dispatcher<'_> {
    /// Ends a worker that is gone, or that is not to be trusted any more, and decides what becomes of its tasks.
    pub(super) fn condemn(&mut self, index: usize, violation: Option<Violation>, end: End) {
        let Some((mut worker, end)) = self.pool.take_worker(index, end) else { return };
        let mut violation = violation;
        // For whose time it was killed is what it said itself.
        let killed_for = match worker.killed_for.ticket() {
            Some(ticket) if !worker.had(ticket) => {
                violation = violation.or(Some(Violation("it said that it ran a task that it did not have")));
                None
            }
            killed_for => killed_for,
        };
        let lied = violation.is_some();
        let reason = violation.map_or(end, |Violation(what)| format!("did what no worker does: {what}"));
        let mut next_to_begin = true;
        let mut died_running = false;
        while !worker.held.is_empty() {
            if let Some(pending) = worker.take_back_first() {
                self.requeue(pending, std::mem::take(&mut next_to_begin), index, &reason);
                continue;
            }
            let Some(held) = worker.held.pop_front() else { break };
            next_to_begin = false;
            let ticket = held.ticket;
            let mut pending = worker.release(held);
            if killed_for.is_some_and(|killed_for| killed_for != ticket) {
                // Its time was not over: the one before it had just ended when the worker was killed.
                self.reset_slice(&pending);
                self.requeue(pending, true, index, &reason);
                continue;
            }
            if killed_for.is_some() {
                let ended =
                    self.job.timed_out(pending, worker.killed_for.limit(), worker.stack_trace(ticket), index as u32);
                self.end_attempt(ended);
                worker.proven = true;
                continue;
            }
            pending.count_attempt();
            let ended = if self.stopped == Stop::Now {
                pending.fail(Status::Cancelled, "the run was stopped while it ran".into(), index as u32)
            } else {
                pending.fail(Status::WorkerLost, format!("its worker {reason}"), index as u32)
            };
            self.end_attempt(ended);
            worker.proven = true;
            died_running = true;
        }
        if killed_for.is_some() {
            // It was not at fault, and there is room for a successor.
            self.policy.worker_did_well();
            self.full = false;
        }
        if self.stopped == Stop::Now || killed_for.is_some() {
            return;
        }
        if died_running || lied {
            self.note_lost(&reason);
        }
        if worker.proven {
            // There is room for a successor.
            self.full = false;
        } else if self.pool.workers.iter().any(Option::is_some) {
            // A pool that has workers goes on with those.
            self.full = true;
        } else {
            self.still_births += 1;
            self.full = false;
            if self.still_births >= MAX_STILL_BIRTHS {
                let message = format!("workers do not start: the last one {reason}");
                self.error.get_or_insert(Kind::Workers(message).into());
            }
        }
        self.lost.push((index as u32, reason));
    }

    /// Ends the workers that hold tasks.
    pub(super) fn condemn_busy(&mut self) {
        for index in 0..self.pool.workers.len() {
            if self.pool.workers[index].as_ref().is_some_and(|worker| !worker.held.is_empty()) {
                self.condemn(index, None, End::Killed);
            }
        }
    }

    /// Lets a task that a worker did not begin go to another one. One that was `next` when its worker died, again and
    /// again, is taken for the reason.
    pub(super) fn requeue(&mut self, mut pending: Pending, next: bool, worker: usize, reason: &str) {
        if next && let returns @ FATAL_RETURNS.. = pending.count_return() {
            let message = format!("{returns} workers died when they were about to begin it; the last one {reason}");
            self.end_attempt(pending.fail(Status::WorkerLost, message, worker as u32));
        } else {
            self.waiting.push_back(pending);
        }
    }
}
