//! Finds tasks that run for long, while they run.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::prepare::MAP;
use super::worker::Worker;
use crate::event::Event;
use crate::sys::process::monotonic_ns;

impl Worker {
    /// Which task it runs, for how long, and after how long that is to be told, where tasks are slow after `slow`.
    fn slowness(&self, slow: Duration, now_ns: u64) -> Option<(u64, Duration, Duration)> {
        let (ticket, start_ns) = self.running()?;
        let due = self
            .told_slow
            .filter(|(told, _)| *told == ticket)
            .map_or(slow, |(_, due)| due)
            .max(Duration::from_nanos(1));
        Some((ticket, Duration::from_nanos(now_ns.saturating_sub(start_ns)), due))
    }
}

impl Dispatcher<'_> {
    /// Notes the tasks that have become slow, or twice as slow as when they were told last.
    pub(super) fn find_slow(&mut self) {
        let Some(slow) = self.times.slow() else { return };
        let now_ns = monotonic_ns();
        for (index, worker) in self.pool.workers.iter_mut().enumerate() {
            let Some(worker) = worker else { continue };
            let Some((ticket, elapsed, mut due)) = worker.slowness(slow, now_ns) else { continue };
            let is_item = worker.held.front().is_some_and(|held| held.pending.function() == MAP);
            if !is_item || elapsed < due {
                continue;
            }
            while due <= elapsed {
                due = due.saturating_mul(2);
            }
            worker.told_slow = Some((ticket, due));
            self.slow.push((index, ticket, elapsed));
        }
    }

    /// How long it is until a task can be slow, as far as that is known.
    pub(super) fn next_slow(&self) -> Option<Duration> {
        if !self.times.tells_slow() {
            return None;
        }
        let slow = self.times.slow()?;
        let now_ns = monotonic_ns();
        let left = |worker: &Worker| match worker.slowness(slow, now_ns) {
            Some((_, elapsed, due)) => due.saturating_sub(elapsed),
            // What it begins now.
            None => slow,
        };
        let busy = self.pool.workers.iter().flatten().filter(|worker| !worker.held.is_empty());
        busy.map(left).min().map(|left| left.max(Duration::from_millis(1)))
    }

    /// Takes the next event of a slow task, for `tell`.
    pub(super) fn tell_slow(&mut self, mut tell: impl FnMut(&Event<'_>)) {
        for (index, ticket, elapsed) in self.slow.drain(..) {
            let Some(held) = self.pool.workers[index].as_ref().and_then(|worker| worker.held.front()) else { continue };
            // It may have ended meanwhile.
            if held.ticket != ticket {
                continue;
            }
            let (task, worker) = (held.pending.task(), index as u32);
            tell(&Event::Slow { index: held.pending.index(), task, worker, elapsed });
        }
    }
}
