//! Finds tasks that run for long, while they run.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::prepare::MAP;
use super::worker::Worker;
use crate::outcome::Event;
use crate::sys::process::monotonic_ns;

impl Worker {
    /// Which item's task it runs, for how long, and after how long that is to be told, where tasks are slow after `slow`.
    fn slowness(&self, slow: Duration, now_ns: u64) -> Option<(u64, Duration, Duration)> {
        let is_item = self.held.front().is_some_and(|held| held.pending.function() == MAP);
        let (ticket, start_ns) = self.running().filter(|_| is_item)?;
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
            if elapsed < due {
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

    /// Takes the events of slow tasks, for `tell`.
    pub(super) fn tell_slow(&mut self, mut tell: impl FnMut(&Event<'_>)) {
        while let Some((worker, ticket, elapsed)) = self.slow.pop() {
            // It may have ended meanwhile.
            let Some(pending) = self.under_way(worker, ticket) else { continue };
            tell(&Event::Slow { index: pending.index(), task: pending.task(), worker: worker as u32, elapsed });
        }
    }

    /// The task with this ticket, if this worker runs it, or the executor has it.
    pub(super) fn under_way(&self, worker: usize, ticket: u64) -> Option<&Pending> {
        match &self.foreign {
            Some(foreign) => foreign.held.get(&ticket),
            None => {
                let held = self.pool.workers[worker].as_ref()?.held.front();
                held.filter(|held| held.ticket == ticket).map(|held| &held.pending)
            }
        }
    }
}
