//! Waiting for workers.

use std::time::{Duration, Instant};

use super::run::{CrewRun, MIN_DEPTH};
use super::worker::Worker;
use super::{OUTER_WAKER, PROCESS, WAKER};
use crate::Error;
use crate::pool::wait::Wait;

/// The longest time for which completions may wait to be looked at together.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// How often workers are looked at that have a time limit: silence makes no event.
const LOOK_FOR_SILENCE: Duration = Duration::from_secs(1);

/// How soon a worker is looked at again that wakes nobody when there is room in its socket or ring.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(1);

impl CrewRun<'_> {
    /// Waits until a worker has something to say, as long as `wait` says. `tasks_wait`: there are tasks for which there was no room.
    pub fn wait(&mut self, wait: Wait, tasks_wait: bool) {
        let mut wait = wait;
        if self.job.limits.timeout.is_some() && wait == Wait::Event {
            wait = Wait::AtMost(LOOK_FOR_SILENCE);
        }
        if let Some(slow) = self.next_slow() {
            wait = wait.shortened(slow);
        }
        let mut nothing_there = true;
        for worker in self.crew.workers.iter().flatten() {
            // Of many short tasks half may end before it is worth a look.
            let count = (worker.held.len() / 2).max(1) as u64;
            if worker.held.len() > MIN_DEPTH {
                wait = wait.shortened(MAX_WAIT);
            }
            if let Some(until) = worker.ready_until {
                wait = wait.shortened(until.saturating_duration_since(Instant::now()));
            }
            if worker.has_unsent() || tasks_wait {
                wait = wait.shortened(LOOK_FOR_ROOM);
            }
            nothing_there &= worker.held.is_empty() || worker.fall_asleep(count);
        }
        let wait = if nothing_there { wait } else { Wait::NO };
        let (ready, ended_workers) = (&mut self.ready, &mut self.ended_workers);
        let waited = self.crew.poll.wait(wait.at_most(), |key| {
            if key == WAKER {
                self.crew.waker.clear();
            } else if key == OUTER_WAKER {
                // Its own run clears it.
            } else if key & PROCESS != 0 {
                ended_workers.push((key & !PROCESS) as usize);
            } else {
                ready.push(key as usize);
            }
        });
        self.crew.workers.iter().flatten().for_each(Worker::awake);
        if let Err(error) = waited {
            self.fail(Error::system("cannot wait for workers", error));
        }
    }
}
