//! What the pool measures on a worker's own clock, which stands still while the worker cannot run.

use std::time::Duration;

use super::guarded::WorkerTime;
use crate::sys::running_time::RunningTime;

/// A worker's clock, and moments on it. The clock of a worker that is a thread is always 0.
#[derive(Debug)]
pub(super) struct OwnTime {
    clock: WorkerTime,
    /// When the task that is now the first that it holds became the first.
    front_ns: u64,
    /// The deadline for it to get ready; `None` before it runs, and once it is ready.
    ready_until_ns: Option<u64>,
}

impl OwnTime {
    pub fn new(clock: WorkerTime) -> OwnTime {
        OwnTime { clock, front_ns: 0, ready_until_ns: None }
    }

    /// Notes that the first task that it holds is another one now.
    pub fn note_front(&mut self) {
        self.front_ns = self.clock.now_ns();
    }

    /// The time that it has had since then.
    pub fn since_front(&self) -> Duration {
        Duration::from_nanos(self.clock.now_ns().saturating_sub(self.front_ns))
    }

    /// The running time of its first task without pauses, if `elapsed` is the time with them; for processes.
    pub fn without_pauses(&self, elapsed: Duration) -> Duration {
        // The clock may be a tick behind.
        elapsed.min(self.since_front().saturating_add(RunningTime::TICK))
    }

    /// Gives it this time to get ready.
    pub fn expect_ready(&mut self, timeout: Duration) {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.ready_until_ns = self.clock.now_ns().checked_add(timeout_ns);
    }

    /// Notes that it is ready.
    pub fn note_ready(&mut self) {
        self.ready_until_ns = None;
    }

    /// The time that it has left to get ready, unless it is known to be ready.
    pub fn until_ready(&self) -> Option<Duration> {
        self.ready_until_ns.map(|until_ns| Duration::from_nanos(until_ns.saturating_sub(self.clock.now_ns())))
    }
}
