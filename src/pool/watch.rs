//! Looks after workers that do not do what they should, or say that they cannot.

use std::time::Instant;

use super::End;
use super::dispatcher::Dispatcher;
use super::worker::Worker;
use crate::Error;
use crate::ipc::ring::Violation;
use crate::sys::process::Process;

/// Workers that refuse the job in a row before a task ends, until the run gives up.
const MAX_REFUSALS: u32 = 3;

impl Dispatcher<'_> {
    /// Ends workers that are not ready in the time for that.
    pub(super) fn end_unready(&mut self) {
        for index in 0..self.pool.workers.len() {
            let Some(worker) = &mut self.pool.workers[index] else { continue };
            if worker.ready_until().is_some_and(|until| until <= Instant::now()) {
                self.condemn(index, Some(Violation("it did not get ready in time")), End::Killed);
            }
        }
    }

    /// Ends a worker whose process has ended although somebody still holds its end of the socket.
    pub(super) fn bury(&mut self, index: usize) {
        // What it sent before its end counts.
        self.read_socket(index);
        let has_ended = |worker: &Worker| worker.process().is_some_and(Process::has_ended);
        if self.pool.workers[index].as_ref().is_some_and(has_ended) {
            self.read_completions();
            self.condemn(index, None, End::ByItself);
        }
    }

    /// Heeds what workers said of themselves.
    pub(super) fn heed_news(&mut self) {
        let mut refused = Vec::new();
        for (index, worker) in self.pool.workers.iter_mut().enumerate() {
            let Some(worker) = worker else { continue };
            for missing in worker.unconfined.drain(..) {
                if !self.pool.told_missing.contains(&missing.layer) {
                    self.pool.told_missing.push(missing.layer);
                    self.unconfined.push(missing);
                }
            }
            // A refusal of an earlier run's job may come late.
            if let Some((_, reason)) = worker.refused.take_if(|(job, _)| *job == self.pool.job) {
                refused.push((index, reason));
            }
        }
        for (index, reason) in refused {
            self.heed_refusal(index, &reason);
        }
    }

    /// Heeds that a worker says that it cannot set the job up. One alone is not believed, because it may have been taken
    /// over: it is replaced, and its tasks go to others.
    fn heed_refusal(&mut self, index: usize, reason: &str) {
        self.refusals += 1;
        if self.refusals >= MAX_REFUSALS {
            let message = format!("module {}: {reason}", self.job.module.name());
            self.error.get_or_insert(Error::module(message));
            return;
        }
        let Some((mut worker, _)) = self.pool.take_worker(index, End::Killed) else { return };
        let reason = format!("refused the job: {reason}");
        let mut next_to_begin = true;
        while let Some(held) = worker.held.pop_front() {
            let pending = worker.release(held);
            self.requeue(pending, std::mem::take(&mut next_to_begin), index, &reason);
        }
        // A pool that has workers goes on with those.
        self.full = self.pool.workers.iter().any(Option::is_some);
    }
}
