//! Waiting for workers.

use std::time::{Duration, Instant};

use super::admission::LOOK;
use super::crew::{OUTER_WAKER, PROCESS, WAKER};
use super::dispatcher::{Dispatcher, MIN_DEPTH};
use super::worker::Worker;
use crate::Error;

/// For how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until something happens, and no longer than a tenth of a second.
    Tick,
    /// Until something happens, and no longer than this.
    Until(Duration),
    /// Until something happens.
    Event,
}

/// The longest time for which completions may wait to be looked at together.
const MAX_WAIT: Duration = Duration::from_millis(2);

impl Wait {
    /// The longest time to wait, where there is one.
    pub(super) fn at_most(self) -> Option<Duration> {
        match self {
            Wait::No => Some(Duration::ZERO),
            Wait::Tick => Some(Duration::from_millis(100)),
            Wait::Until(time) => Some(time),
            Wait::Event => None,
        }
    }
}

impl Dispatcher<'_> {
    pub(super) fn sleep(&mut self, wait: Wait) {
        let mut timeout = wait.at_most();
        if self.job.limits.timeout.is_some() {
            // Silence makes no event.
            timeout = timeout.or(Some(Duration::from_secs(1)));
        }
        let mut shorten = |to: Duration| timeout = Some(timeout.map_or(to, |timeout| timeout.min(to)));
        if self.gate.is_guarded() {
            shorten(LOOK);
        }
        let mut nothing_there = true;
        self.policy.next_due().into_iter().for_each(&mut shorten);
        self.next_slow().into_iter().for_each(&mut shorten);
        for worker in self.pool.workers.iter().flatten() {
            // Of many short tasks half may end before it is worth a look.
            let count = (worker.held.len() / 2).max(1) as u64;
            if worker.held.len() > MIN_DEPTH {
                shorten(MAX_WAIT);
            }
            if let Some(until) = worker.ready_until {
                shorten(until.saturating_duration_since(Instant::now()));
            }
            // A worker wakes nobody when there is room in its socket again, or in its ring for a task that waits.
            if worker.has_unsent() || !self.waiting.is_empty() {
                shorten(Duration::from_millis(1));
            }
            nothing_there &= worker.held.is_empty() || worker.fall_asleep(count);
        }
        let (ready, ended_workers) = (&mut self.ready, &mut self.ended_workers);
        let waited = self.pool.poll.wait(if nothing_there { timeout } else { Some(Duration::ZERO) }, |key| {
            if key == WAKER {
                self.pool.waker.clear();
            } else if key == OUTER_WAKER {
                // Its own run clears it.
            } else if key & PROCESS != 0 {
                ended_workers.push((key & !PROCESS) as usize);
            } else {
                ready.push(key as usize);
            }
        });
        self.pool.workers.iter().flatten().for_each(Worker::awake);
        if let Err(error) = waited {
            self.error.get_or_insert(Error::system("cannot wait for workers", error));
        }
    }
}
