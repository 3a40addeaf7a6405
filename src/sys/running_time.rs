//! The time in which this process was able to run. A pause of the process does not count.
//!
//! A process can be stopped by a signal (SIGSTOP, Ctrl-Z), frozen with its control group (`docker pause`, batch systems), or paused with
//! its virtual machine. Nobody tells it, and `CLOCK_MONOTONIC` goes on; that clock stands still only while the machine is suspended
//! (clock_gettime(2)). But a thread that asked to be woken after a short time finds that it was woken much too late.

use std::time::Duration;

use super::process::monotonic_ns;

/// The longest time between two ticks: a pause that is much shorter is not noticed.
const TICK_NS: u64 = 100_000_000;

/// A tick that comes later than this was held up by a pause, or by a machine so overloaded that it comes to the same.
const LATE_NS: u64 = 100_000_000;

/// Counts the time in which this process was able to run, tick by tick.
#[derive(Debug)]
pub struct RunningTime {
    last_ns: u64,
    /// When the next tick comes at the latest; `None` if none was asked for.
    due_ns: Option<u64>,
    /// Whether the last tick came late.
    was_late: bool,
}

impl RunningTime {
    /// The longest time between two ticks.
    pub const TICK: Duration = Duration::from_nanos(TICK_NS);

    /// Begins to count now.
    pub fn start() -> RunningTime {
        RunningTime { last_ns: monotonic_ns(), due_ns: None, was_late: false }
    }

    /// How long to wait for the next tick if it is wanted after `wanted` nanoseconds: no longer than that.
    pub fn until_tick(&mut self, wanted_ns: u64) -> Duration {
        let wait_ns = wanted_ns.min(TICK_NS);
        self.due_ns = Some(monotonic_ns().saturating_add(wait_ns));
        Duration::from_nanos(wait_ns)
    }

    /// Ticks at the time `now_ns` of the monotonic clock. Returns the nanoseconds since the last tick that count: none if no tick
    /// was asked for.
    pub fn tick(&mut self, now_ns: u64) -> u64 {
        let last_ns = std::mem::replace(&mut self.last_ns, now_ns);
        let Some(due_ns) = self.due_ns.take() else { return 0 };
        let passed_ns = now_ns.saturating_sub(last_ns);
        // A pause may also have been before the tick was asked for.
        let is_late = now_ns > due_ns.saturating_add(LATE_NS) || passed_ns > TICK_NS + LATE_NS;
        match (is_late, std::mem::replace(&mut self.was_late, is_late)) {
            (false, _) => passed_ns,
            // The pause may have begun at any moment of this interval.
            (true, false) => 0,
            // Time passes even on a machine on which every tick comes late.
            (true, true) => due_ns.saturating_sub(last_ns).min(TICK_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// Counts from 0 on; each interval is asked for as long as the tick allows, and ends after this time.
    fn counted(intervals_ns: &[u64]) -> Vec<u64> {
        let mut time = RunningTime { last_ns: 0, due_ns: None, was_late: false };
        let mut now_ns = 0;
        let count = |interval_ns: &u64| {
            time.due_ns = Some(now_ns + TICK_NS);
            now_ns += interval_ns;
            time.tick(now_ns)
        };
        intervals_ns.iter().map(count).collect()
    }

    #[test]
    fn a_pause_counts_nothing_and_time_goes_on_after_it() {
        assert_eq!(counted(&[TICK_NS, 7, TICK_NS + LATE_NS]), [TICK_NS, 7, TICK_NS + LATE_NS]);
        assert_eq!(counted(&[7, 3600 * SECOND_NS, 8, SECOND_NS, 9]), [7, 0, 8, 0, 9]);
    }

    #[test]
    fn time_passes_even_if_every_tick_is_late() {
        assert_eq!(counted(&[SECOND_NS; 4]), [0, TICK_NS, TICK_NS, TICK_NS]);
    }

    #[test]
    fn an_interval_that_nobody_watched_does_not_count() {
        let mut time = RunningTime { last_ns: 0, due_ns: None, was_late: false };
        assert_eq!(time.tick(3600 * SECOND_NS), 0);
    }

    #[test]
    fn ticks_come_often_enough() {
        let mut time = RunningTime::start();
        assert_eq!(time.until_tick(5), Duration::from_nanos(5));
        assert_eq!(time.until_tick(u64::MAX), Duration::from_nanos(TICK_NS));
    }
}
