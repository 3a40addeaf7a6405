//! Tasks that wait for their next attempt.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::record::Ended;
use crate::job::Retries;
use crate::outcome::Outcome;
use crate::result::TaskError;

/// How many tasks may wait for their next attempt while more are taken.
const MAX_WAITING: usize = 1024;
/// How many of them may have files of their own, which stay open.
const MAX_WAITING_WITH_FILES: usize = 128;
/// How many bytes their arguments may have together.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// How many bytes are kept of the message of each.
const MAX_MESSAGE_BYTES: usize = 1024;

/// Tasks that wait for their next attempt, each with its last outcome, ordered by when the next is due and by the task's tag.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    retries: Retries,
    waiting: BTreeMap<(Instant, u64), Ended>,
    with_files: usize,
    /// Bytes of their arguments.
    argument_bytes: usize,
    /// Those that have begun to wait and have not been reported yet.
    unreported: Vec<Unreported>,
}

/// A task that began to wait.
#[derive(Debug)]
struct Unreported {
    key: (Instant, u64),
    delay: Duration,
}

impl RetryQueue {
    pub fn new(retries: Retries) -> RetryQueue {
        RetryQueue { retries, ..RetryQueue::default() }
    }

    /// Whether a task whose attempt ended like this gets another attempt.
    pub fn wants(&self, ended: &Ended) -> bool {
        self.retries.count > ended.retried && ended.outcome.status().may_be_retried()
    }

    /// Lets a task wait for its next attempt, from `now` on.
    pub fn put(&mut self, mut ended: Ended, now: Instant) {
        let delay = self.retries.delay_before(ended.retried + 1);
        // Many tasks may wait, so each keeps little.
        ended.outcome.log = Vec::new();
        ended.outcome.stderr = Vec::new();
        if let Err(error) = &mut ended.outcome.result {
            error.core_dump = None;
            error.stdout = None;
            shorten(error);
        }
        // If the time is beyond what the clock can represent, a year is late enough.
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        self.with_files += usize::from(ended.outcome.task.files().next().is_some());
        self.argument_bytes += ended.outcome.task.argument.len();
        let key = (due, ended.tag);
        self.unreported.push(Unreported { key, delay });
        self.waiting.insert(key, ended);
    }

    /// Takes out the next task that is due by `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<Ended> {
        let (due, _) = *self.waiting.first_key_value()?.0;
        if due > now { None } else { self.take() }
    }

    /// Takes out the task that is due next, whenever that is.
    pub fn take(&mut self) -> Option<Ended> {
        let (_, ended) = self.waiting.pop_first()?;
        self.with_files -= usize::from(ended.outcome.task.files().next().is_some());
        self.argument_bytes -= ended.outcome.task.argument.len();
        Some(ended)
    }

    /// Whether there is room for one more task to wait.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
            && self.with_files < MAX_WAITING_WITH_FILES
            && self.argument_bytes < MAX_WAITING_BYTES
    }

    /// Whether no task waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The time until the next attempt is due.
    pub fn next_due(&self) -> Option<Duration> {
        let (due, _) = self.waiting.first_key_value()?.0;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// For each task that began to wait for its next attempt, calls `report` with the outcome of the last one and the delay.
    pub fn report(&mut self, mut report: impl FnMut(&Outcome, Duration)) {
        for Unreported { key, delay } in self.unreported.drain(..) {
            if let Some(ended) = self.waiting.get(&key) {
                report(&ended.outcome, delay);
            }
        }
    }
}

/// Reduces an earlier failure to what a person wants to know.
fn shorten(error: &mut TaskError) {
    error.backtrace = None;
    let end = error.message.floor_char_boundary(MAX_MESSAGE_BYTES);
    error.message.truncate(end);
    error.message.shrink_to_fit();
    if let Some(hint) = &mut error.hint {
        hint.truncate(hint.floor_char_boundary(MAX_MESSAGE_BYTES));
        hint.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{MAX_EARLIER, Pending};
    use super::*;
    use crate::Task;
    use crate::backend::Call;
    use crate::result::Status;

    fn failed(tag: u64, message: &str) -> Ended {
        Pending::new(tag, tag, Call::Map, Task::new("x")).fail(Status::Error, message.into(), 0)
    }

    fn queue(delay: Duration) -> RetryQueue {
        RetryQueue::new(Retries { count: u32::MAX, delay })
    }

    #[test]
    fn the_next_attempt_that_is_due_comes_first() {
        let now = Instant::now();
        let mut queue = queue(Duration::from_millis(10));
        let began = |ms| now + Duration::from_millis(ms);
        for (tag, ms) in [(1, 20), (2, 0), (3, 0), (4, 10)] {
            queue.put(failed(tag, ""), began(ms));
        }
        let mut due = |ms| std::iter::from_fn(|| queue.take_due(began(ms)).map(|ended| ended.tag)).collect::<Vec<_>>();
        assert!(due(9).is_empty());
        assert_eq!(due(20), [2, 3, 4]);
        assert_eq!(queue.take().map(|ended| ended.tag), Some(1));
    }

    #[test]
    fn what_is_kept_of_earlier_failures_is_bounded() {
        let mut ended = failed(0, &"ü".repeat(MAX_MESSAGE_BYTES));
        for attempt in 1..20 {
            let mut queue = queue(Duration::ZERO);
            queue.put(ended, Instant::now());
            let mut pending = queue.take().expect("what was put").again();
            pending.count_attempt();
            ended = pending.fail(Status::Error, "ü".repeat(MAX_MESSAGE_BYTES), 0);
            let earlier = &ended.outcome.earlier;
            assert_eq!((ended.retried, earlier.len()), (attempt, MAX_EARLIER.min(attempt as usize)));
            let is_short = |error: &TaskError| error.message.len() == MAX_MESSAGE_BYTES && error.backtrace.is_none();
            assert!(earlier.iter().all(is_short));
        }
        assert_eq!(ended.outcome.stats.attempts, 19);
    }
}
