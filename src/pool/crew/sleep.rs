//! Waits for workers.

use std::time::Duration;

use super::run::{CrewRun, MIN_DEPTH};
use super::worker::Worker;
use super::{OUTER_WAKER, PROCESS, WAKER};
use crate::Error;
use crate::pool::wait::Wait;

/// The longest time that completions may wait to be read together.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// How often workers are checked if tasks have a time limit: a silent worker causes no event.
const SILENCE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two checks whether workers that should be ready by now are.
const READY_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// How often the sockets and rings of workers are checked for room, which wakes nobody.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(1);

impl CrewRun<'_> {
    /// Waits until a worker has something to report, for as long as `wait` says. `tasks_wait`: some tasks found no room.
    pub fn wait(&mut self, wait: Wait, tasks_wait: bool) {
        let mut wait = wait;
        if self.job.limits.timeout.is_some() && wait == Wait::Event {
            wait = Wait::AtMost(SILENCE_CHECK_INTERVAL);
        }
        if let Some(slow) = self.next_slow() {
            wait = wait.shortened(slow);
        }
        let mut nothing_there = true;
        for worker in self.crew.workers.iter().flatten() {
            // With many short tasks, half of them may end before waking up is worth it.
            let count = (worker.held.len() / 2).max(1) as u64;
            if worker.held.len() > MIN_DEPTH {
                wait = wait.shortened(MAX_WAIT);
            }
            if let Some(left) = worker.own_time.until_ready() {
                wait = wait.shortened(left.max(READY_CHECK_INTERVAL));
            }
            if worker.has_unsent() || tasks_wait {
                wait = wait.shortened(ROOM_CHECK_INTERVAL);
            }
            nothing_there &= worker.held.is_empty() || worker.fall_asleep(count);
        }
        let wait = if nothing_there { wait } else { Wait::NO };
        let (ready, ended_workers) = (&mut self.ready, &mut self.ended_workers);
        let waited = self.crew.poll.wait(wait.at_most(), |key| {
            if key == WAKER {
                self.crew.waker.clear();
            } else if key == OUTER_WAKER {
                // The outer run clears it.
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
