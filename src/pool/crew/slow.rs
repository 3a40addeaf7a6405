//! Finds slow tasks while they run.

use std::time::Duration;

use super::run::CrewRun;
use super::worker::{ReportedSlow, Worker};
use crate::backend::Call;
use crate::pool::report::Notice;
use crate::sys::process::monotonic_ns;

/// A running task.
struct RunningTask {
    ticket: u64,
    elapsed: Duration,
    /// The running time after which it is reported as slow.
    slow_after: Duration,
}

impl Worker {
    /// The map task that it is running, if any; `slow` is the running time after which tasks are slow.
    fn running_item(&self, slow: Duration, now_ns: u64) -> Option<RunningTask> {
        let is_item = self.held.front().is_some_and(|held| held.pending.call() == Call::Map);
        let (ticket, start_ns) = self.running().filter(|_| is_item)?;
        let reported = self.reported_slow.filter(|reported| reported.ticket == ticket);
        let slow_after = reported.map_or(slow, |reported| reported.again_after).max(Duration::from_nanos(1));
        let elapsed = Duration::from_nanos(now_ns.saturating_sub(start_ns));
        let elapsed = if self.process().is_some() { self.own_time.without_pauses(elapsed) } else { elapsed };
        Some(RunningTask { ticket, elapsed, slow_after })
    }
}

impl CrewRun<'_> {
    /// Reports tasks that have become slow, or have run twice as long as when they were last reported.
    pub(super) fn find_slow(&mut self) {
        let Some(slow) = self.times.slow() else { return };
        let now_ns = monotonic_ns();
        for index in 0..self.crew.workers.len() {
            let Some(worker) = &mut self.crew.workers[index] else { continue };
            let Some(RunningTask { ticket, elapsed, mut slow_after }) = worker.running_item(slow, now_ns) else {
                continue;
            };
            if elapsed < slow_after {
                continue;
            }
            while slow_after <= elapsed {
                slow_after = slow_after.saturating_mul(2);
            }
            worker.reported_slow = Some(ReportedSlow { ticket, again_after: slow_after });
            self.notice(Notice::Slow { worker: index as u32, ticket, elapsed });
        }
    }

    /// The time until a task may become slow, as far as is known.
    pub(super) fn next_slow(&self) -> Option<Duration> {
        if !self.times.reports_slow() {
            return None;
        }
        let slow = self.times.slow()?;
        let now_ns = monotonic_ns();
        let left = |worker: &Worker| match worker.running_item(slow, now_ns) {
            Some(task) => task.slow_after.saturating_sub(task.elapsed),
            // A task that it begins now.
            None => slow,
        };
        let busy = self.crew.workers.iter().flatten().filter(|worker| !worker.held.is_empty());
        busy.map(left).min().map(|left| left.max(Duration::from_millis(1)))
    }
}
