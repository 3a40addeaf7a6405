//! Deals with workers that do not do what they should, or that report that they cannot.

use std::time::Duration;

use super::Ending;
use super::deaths::{Fault, NextToBegin};
use super::failed_start::is_exhaustion;
use super::run::CrewRun;
use super::worker::Worker;
use crate::Error;
use crate::pool::report::Notice;
use crate::sys::process::Process;

/// The run gives up after this many refusals of the job in a row with no task ended in between.
const MAX_REFUSALS: u32 = 3;

/// How much longer than the task's time limit a worker may take to report that it has begun: it may have to start first. Its pauses do
/// not count, as everywhere.
const SILENCE: Duration = Duration::from_secs(2);

impl CrewRun<'_> {
    /// Ends workers that neither ended their task in time nor said that they run it. The keeper cannot, because it relies on what
    /// they say.
    pub(super) fn end_silent(&mut self) {
        // If the limit has just become shorter, the keeper deals with it.
        let Some(timeout) = self.times.timeout().filter(|_| self.times.is_settled(SILENCE)) else { return };
        for index in 0..self.crew.workers.len() {
            let silent = |worker: &Worker| {
                !worker.held.is_empty() && worker.own_time.since_front() > timeout.saturating_add(SILENCE)
            };
            if self.crew.workers[index].as_ref().is_some_and(silent) {
                let late = Fault::Late("neither ended its task in time nor reported that it runs it");
                self.condemn(index, Some(late), Ending::Killed);
            }
        }
    }

    /// Ends workers that did not get ready in time.
    pub(super) fn end_unready(&mut self) {
        for index in 0..self.crew.workers.len() {
            let Some(worker) = &mut self.crew.workers[index] else { continue };
            if worker.time_to_get_ready().is_some_and(|left| left.is_zero()) {
                self.condemn(index, Some(Fault::Late("did not get ready in time")), Ending::Killed);
            }
        }
    }

    /// Removes a worker whose process has ended, even though somebody still holds its end of the socket.
    pub(super) fn remove_ended(&mut self, index: usize) {
        // Messages that it sent before its end count.
        self.read_socket(index);
        let has_ended = |worker: &Worker| worker.process().is_some_and(Process::has_ended);
        if self.crew.workers[index].as_ref().is_some_and(has_ended) {
            self.read_completions();
            self.condemn(index, None, Ending::ByItself);
        }
    }

    /// Handles what workers have reported about themselves.
    pub(super) fn handle_messages(&mut self) {
        let mut refused = Vec::new();
        let mut unconfined = Vec::new();
        for (index, worker) in self.crew.workers.iter_mut().enumerate() {
            let Some(worker) = worker else { continue };
            for missing in worker.unconfined.drain(..) {
                if !self.crew.reported_missing.contains(&missing.layer) {
                    self.crew.reported_missing.push(missing.layer);
                    unconfined.push(missing);
                }
            }
            // A refusal of an earlier run's job may arrive late.
            if let Some((_, reason)) = worker.refused.take_if(|(job, _)| *job == self.crew.job) {
                refused.push((index, reason));
            }
        }
        if !unconfined.is_empty() {
            self.notice(Notice::Unconfined(unconfined));
        }
        for (index, reason) in refused {
            self.handle_refusal(index, &reason);
        }
    }

    /// Handles a worker's report that it cannot set up the job. A single worker is not believed, because it may have been taken
    /// over: it is replaced, and its tasks go to others.
    fn handle_refusal(&mut self, index: usize, reason: &str) {
        let is_exhausted = is_exhaustion(reason);
        self.refusals += u32::from(!is_exhausted);
        if self.refusals >= MAX_REFUSALS {
            let message = format!("module {}: {reason}", self.job.module.name());
            return self.fail(Error::module(message));
        }
        let Some((mut worker, _)) = self.crew.take_worker(index, Ending::Killed) else { return };
        let reason = format!("refused the job: {reason}");
        let mut next_to_begin = true;
        while let Some(held) = worker.held.pop_front() {
            let pending = worker.release(held);
            let next = NextToBegin::new(std::mem::take(&mut next_to_begin), !is_exhausted);
            self.return_unbegun(pending, next, index as u32, &reason);
        }
        if is_exhausted {
            return self.note_death(&worker, &reason);
        }
        // A pool that has workers goes on with them.
        self.is_full = self.crew.workers.iter().any(Option::is_some);
    }
}
