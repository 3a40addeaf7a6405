//! A run whose tasks go to an [`Executor`] instead of a crew.

use std::collections::HashMap;

use super::admission::LOOK;
use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::stop::Stop;
use super::wait::Wait;
use crate::Error;
use crate::backend::{Assignment, Call, Executor, News, TaskEnd};
use crate::result::Status;

/// A backend's executor, and the tasks that it has, by their tickets.
pub(super) struct Foreign<'pool> {
    pub executor: Box<dyn Executor + 'pool>,
    pub held: HashMap<u64, Pending>,
}

impl<'pool> Foreign<'pool> {
    pub fn new(executor: Box<dyn Executor + 'pool>) -> Foreign<'pool> {
        Foreign { executor, held: HashMap::new() }
    }

    /// Gives it a task, or the task back where it has no room.
    pub fn place(&mut self, ticket: u64, pending: Pending) -> Option<Pending> {
        if !self.executor.has_room() {
            return Some(pending);
        }
        let call = Call::of(pending.function());
        self.executor.submit(Assignment { ticket, index: pending.index(), call, task: pending.task() });
        self.held.insert(ticket, pending);
        None
    }
}

impl Dispatcher<'_> {
    /// Does what [`Dispatcher::turn`] does, with an executor.
    pub(super) fn turn_foreign(&mut self, wait: Wait) {
        self.hear();
        self.heed_stop();
        self.heed_machine();
        self.retry_due();
        self.place_waiting();
        self.hear();
        if self.ended.is_empty() && self.lost.is_empty() && self.slow.is_empty() && self.error.is_none() {
            let look = self.gate.is_guarded().then_some(LOOK);
            let at_most = wait.at_most().into_iter().chain(self.policy.next_due()).chain(look).min();
            self.foreign.iter_mut().for_each(|foreign| foreign.executor.wait(at_most));
            self.pool.waker.clear();
            self.hear();
        }
    }

    /// Takes what the executor tells.
    fn hear(&mut self) {
        while self.error.is_none()
            && let Some(news) = self.foreign.as_mut().and_then(|foreign| foreign.executor.next())
        {
            match news {
                News::Ended(end) => {
                    let ticket = end.ticket;
                    if !self.hear_end(end) {
                        let message = format!("the backend ended attempt {ticket}, which it was not given");
                        return self.give_backend_up(Error::backend(message));
                    }
                }
                News::WorkerLost(worker, reason) => self.lost.push((worker, reason)),
                News::Unconfined(missing) => self.unconfined.extend(missing),
                News::Slow { ticket, worker, elapsed } => self.slow.push((worker as usize, ticket, elapsed)),
                News::Halted(why) => self.halt(why, Stop::Soon),
                News::Failed(error) => return self.give_backend_up(error),
            }
        }
    }

    /// Takes the end of an attempt; says whether the executor had it.
    fn hear_end(&mut self, end: TaskEnd) -> bool {
        let pending = self.foreign.as_mut().and_then(|foreign| foreign.held.remove(&end.ticket));
        let Some(mut pending) = pending else { return false };
        let mut stats = end.stats;
        if let Err(error) = &end.result
            && error.status == Status::Cancelled
            && stats.attempts == 0
        {
            self.end_unstarted(pending, error.message.clone());
            return true;
        }
        stats.attempts = pending.count_attempt();
        self.end_attempt(pending.end(end.result, end.log, stats));
        true
    }

    /// Ends what the executor has: nothing of it runs any more when this returns.
    pub(super) fn end_foreign(&mut self) {
        let Some(Foreign { executor, held }) = self.foreign.take() else { return };
        drop(executor);
        for (_, mut pending) in held {
            pending.count_attempt();
            self.end_attempt(pending.fail(Status::Cancelled, "the run was stopped while it ran".into(), 0));
        }
    }

    /// Ends the run because its backend cannot go on: nothing that it has will end.
    fn give_backend_up(&mut self, error: Error) {
        self.error.get_or_insert(error);
        let held = self.foreign.as_mut().map(|foreign| std::mem::take(&mut foreign.held));
        held.into_iter().flatten().for_each(|(_, pending)| self.cancel(pending));
    }

    /// Tells the executor how far the run has been stopped.
    pub(super) fn stop_foreign(&mut self, level: Stop) {
        self.foreign.iter_mut().for_each(|foreign| foreign.executor.stop(level == Stop::Now));
    }
}
