//! What becomes of a task whose attempt has ended: it is tried again, or that was its end; and whether so many failures end
//! the run.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::dispatcher::Dispatcher;
use super::held::{Ended, Pending};
use super::prepare::MAP;
use super::stop::Stop;
use crate::job::{Halt, Halted, Retries};
use crate::outcome::Outcome;
use crate::result::Finished;
use crate::result::{Status, TaskError};

/// Tasks that may wait for their next attempt while more are taken.
const MAX_RETRYING: usize = 1024;
/// Tasks with files of their own, which stay open, that may do so.
const MAX_RETRYING_WITH_FILES: usize = 128;
/// Bytes of the arguments of tasks that may do so.
const MAX_RETRYING_BYTES: usize = 64 << 20;
/// Bytes that are kept of the message of each of them.
const MAX_EARLIER_BYTES: usize = 1024;
/// Bytes of results from earlier runs that may wait to be looked at while more tasks are taken.
const MAX_FINISHED_BYTES: u64 = 32 << 20;
/// Workers that may die in a row, each while it ran a task, when no task ends otherwise. A run with some tasks that
/// kill their worker goes on; with more workers, more may die at about the same time.
const MIN_MOST_LOST: u32 = 64;
const MOST_LOST_PER_WORKER: u32 = 4;

/// A run's own part of the policy.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub retries: Retries,
    pub halt: Halt,
    retrying: Retrying,
    /// Tasks of the source that have ended, without those that were cancelled or had ended before.
    ended: u64,
    failed: u64,
    /// Bytes of results from earlier runs among those that wait to be looked at.
    finished_bytes: u64,
    /// Workers that died since a task last ended otherwise.
    lost_in_a_row: u32,
    /// Why the run ends early by itself.
    halted: Option<Halted>,
    /// That has not been told yet.
    news: bool,
}

/// Tasks that wait for their next attempt, each as its last one ended, by the time of the next and the task's tag.
#[derive(Debug, Default)]
struct Retrying {
    waiting: BTreeMap<(Instant, u64), Ended>,
    with_files: usize,
    /// Bytes of their arguments.
    argument_bytes: usize,
    /// Those that began to wait and have not been told of: their keys, and how long they wait.
    news: Vec<((Instant, u64), Duration)>,
}

impl Retrying {
    fn put(&mut self, mut ended: Ended, now: Instant, delay: Duration) {
        // Many may wait, so each keeps little.
        ended.outcome.log = Vec::new();
        if let Err(error) = &mut ended.outcome.result {
            error.core_dump = None;
            shorten(error);
        }
        // A moment that no clock reaches comes late enough in a year.
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        self.with_files += usize::from(ended.outcome.task.files().next().is_some());
        self.argument_bytes += ended.outcome.task.argument.len();
        self.news.push(((due, ended.tag), delay));
        self.waiting.insert((due, ended.tag), ended);
    }

    /// The next one that is due by `now`; any, where that is `None`.
    fn take(&mut self, now: Option<Instant>) -> Option<Ended> {
        let first = self.waiting.first_entry()?;
        if now.is_some_and(|now| first.key().0 > now) {
            return None;
        }
        let ended = first.remove();
        self.with_files -= usize::from(ended.outcome.task.files().next().is_some());
        self.argument_bytes -= ended.outcome.task.argument.len();
        Some(ended)
    }
}

impl Policy {
    pub fn new(retries: Retries, halt: Halt) -> Policy {
        Policy { retries, halt, ..Policy::default() }
    }

    /// Whether the run ends early by itself.
    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// Whether a task that is taken now could wait for another attempt as well, or, with a result from an earlier run, among
    /// the `ended` ones.
    pub fn has_room(&self, ended: &VecDeque<Ended>) -> bool {
        (self.finished_bytes < MAX_FINISHED_BYTES || ended.is_empty())
            && self.retrying.waiting.len() < MAX_RETRYING
            && self.retrying.with_files < MAX_RETRYING_WITH_FILES
            && self.retrying.argument_bytes < MAX_RETRYING_BYTES
    }

    /// Whether no task waits for another attempt.
    pub fn is_idle(&self) -> bool {
        self.retrying.waiting.is_empty()
    }

    /// The time until the next attempt is due.
    pub fn next_due(&self) -> Option<Duration> {
        let (due, _) = self.retrying.waiting.first_key_value()?.0;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Notes that a task ended in a way that its worker survived, or was meant not to.
    pub fn worker_did_well(&mut self) {
        self.lost_in_a_row = 0;
    }

    /// Calls `tell` with each outcome of an attempt after which its task began to wait for the next, and how long it waits.
    pub fn tell_retries(&mut self, mut tell: impl FnMut(&Outcome, Duration)) {
        for (key, delay) in self.retrying.news.drain(..) {
            if let Some(ended) = self.retrying.waiting.get(&key) {
                tell(&ended.outcome, delay);
            }
        }
    }

    /// Why the run ends early by itself; said once.
    pub fn take_news(&mut self) -> Option<&Halted> {
        std::mem::take(&mut self.news).then_some(self.halted.as_ref())?
    }

    fn wants_retry(&self, ended: &Ended) -> bool {
        self.retries.count > ended.retried && Retries::apply_to(ended.outcome.status())
    }
}

impl Dispatcher<'_> {
    /// Takes the end of an attempt, which is the task's end unless it is to be tried again.
    pub(super) fn end_attempt(&mut self, mut ended: Ended) {
        self.end_slice(&mut ended);
        if self.policy.wants_retry(&ended) && !self.is_stopped() {
            let delay = self.policy.retries.delay_before(ended.retried + 1);
            self.policy.retrying.put(ended, Instant::now(), delay);
        } else {
            self.end(ended);
        }
    }

    /// Takes a task's end.
    pub(super) fn end(&mut self, mut ended: Ended) {
        ended.outcome.task.argument.close_file();
        self.count_slice(&ended);
        let status = ended.outcome.status();
        if ended.function == MAP && status != Status::Cancelled {
            self.policy.ended += 1;
            if status != Status::Ok {
                self.policy.failed += 1;
                self.look_at_failures();
            }
        }
        self.ended.push_back(ended);
    }

    /// Ends a task as it ended in an earlier run; that is no failure of this one.
    pub(super) fn end_finished(&mut self, pending: Pending, finished: Finished) {
        if self.ended.is_empty() {
            self.policy.finished_bytes = 0;
        }
        self.policy.finished_bytes += finished.result.as_ref().map_or(0, |output| output.len() as u64);
        let mut ended = pending.end(finished.result, finished.log, finished.stats);
        ended.outcome.ran_earlier = true;
        self.ended.push_back(ended);
    }

    /// Ends a task that the end of the run keeps from starting: as its last attempt ended, where there was one.
    pub(super) fn end_unstarted(&mut self, mut pending: Pending, message: String) {
        let ended = match pending.take_last_failure() {
            Some(error) => {
                let mut ended = pending.fail(error.status, String::new(), 0);
                ended.outcome.result = Err(error);
                ended
            }
            None => pending.fail(Status::Cancelled, message, 0),
        };
        self.end(ended);
    }

    /// Lets the tasks whose next attempt is due wait for a worker.
    pub(super) fn retry_due(&mut self) {
        if self.policy.is_idle() {
            return;
        }
        let now = Instant::now();
        while let Some(ended) = self.policy.retrying.take(Some(now)) {
            self.waiting.push_back(ended.again());
        }
    }

    /// Ends the tasks that wait for another attempt as they are: the run has been stopped.
    pub(super) fn give_retries_up(&mut self) {
        while let Some(ended) = self.policy.retrying.take(None) {
            self.end(ended);
        }
    }

    /// Notes that a worker died while it ran a task.
    pub(super) fn note_lost(&mut self, reason: &str) {
        self.policy.lost_in_a_row += 1;
        let workers = u32::try_from(self.pool.workers.len()).unwrap_or(u32::MAX);
        if self.policy.lost_in_a_row >= MIN_MOST_LOST.max(workers.saturating_mul(MOST_LOST_PER_WORKER)) {
            let count = self.policy.lost_in_a_row;
            self.halt(Halted::WorkersLost { count, last: reason.to_owned() }, Stop::Soon);
        }
    }

    fn look_at_failures(&mut self) {
        let Policy { halt, ended, failed, .. } = self.policy;
        let stop = match halt {
            Halt::Never => return,
            Halt::Soon(_) => Stop::Soon,
            Halt::Now(_) => Stop::Now,
        };
        if halt.at().is_some_and(|at| at.is_reached(failed, ended)) {
            self.halt(Halted::Failures { failed, ended, halt }, stop);
        }
    }

    /// Ends the run by itself; the first reason counts.
    pub(super) fn halt(&mut self, why: Halted, stop: Stop) {
        // A run that was stopped as far before needs no other reason.
        if self.policy.is_halted() || self.stopped >= stop {
            return;
        }
        self.policy.halted = Some(why);
        self.policy.news = true;
        self.stop.raise(stop);
    }
}

/// Keeps of an earlier failure what a person wants to know.
fn shorten(error: &mut TaskError) {
    error.backtrace = None;
    let end = error.message.floor_char_boundary(MAX_EARLIER_BYTES);
    error.message.truncate(end);
    error.message.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::super::held::MAX_EARLIER;
    use super::*;
    use crate::Task;

    fn failed(tag: u64, message: &str) -> Ended {
        Pending::new(tag, tag, MAP, Task::new("x")).fail(Status::Error, message.into(), 0)
    }

    #[test]
    fn the_next_attempt_that_is_due_comes_first() {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let mut retrying = Retrying::default();
        for (tag, ms) in [(1, 30), (2, 10), (3, 10), (4, 20)] {
            retrying.put(failed(tag, ""), now, Duration::from_millis(ms));
        }
        let mut due = |now| std::iter::from_fn(|| retrying.take(now).map(|ended| ended.tag)).collect::<Vec<_>>();
        assert!(due(Some(after(9))).is_empty());
        assert_eq!(due(Some(after(20))), [2, 3, 4]);
        assert_eq!(due(None), [1]);
    }

    #[test]
    fn what_is_kept_of_earlier_failures_is_bounded() {
        let mut ended = failed(0, &"ü".repeat(MAX_EARLIER_BYTES));
        for attempt in 1..20 {
            let mut retrying = Retrying::default();
            retrying.put(ended, Instant::now(), Duration::ZERO);
            let mut pending = retrying.take(None).expect("what was put").again();
            pending.count_attempt();
            ended = pending.fail(Status::Error, "ü".repeat(MAX_EARLIER_BYTES), 0);
            let earlier = &ended.outcome.earlier;
            assert_eq!((ended.retried, earlier.len()), (attempt, MAX_EARLIER.min(attempt as usize)));
            let is_short = |error: &TaskError| error.message.len() == MAX_EARLIER_BYTES && error.backtrace.is_none();
            assert!(earlier.iter().all(is_short));
        }
        assert_eq!(ended.outcome.stats.attempts, 19);
    }
}
