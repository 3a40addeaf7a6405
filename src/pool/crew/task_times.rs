//! The median duration of the tasks that passed, and the time limits that depend on it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::job::TaskTime;

/// Longer durations count as this one, in microseconds: about 11 days.
const LONGEST_US: u64 = 1_000_000_000_000;

/// The median of many durations, in bounded memory: accurate to two digits.
#[derive(Debug)]
struct RunningMedian {
    micros: Histogram<u64>,
    /// The number of durations at which the median is next computed, which costs as much as adding some hundred durations.
    next_update: u64,
    median: Option<Duration>,
}

impl RunningMedian {
    fn new() -> RunningMedian {
        let micros = Histogram::new_with_bounds(1, LONGEST_US, 2).expect("bounds and digits that are allowed");
        RunningMedian { micros, next_update: TaskTime::LEAST_PASSED, median: None }
    }

    /// Adds a duration. Returns whether the median has changed.
    fn add(&mut self, duration: Duration) -> bool {
        self.micros.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(LONGEST_US));
        let count = self.micros.len();
        if count < self.next_update {
            return false;
        }
        self.next_update = count + (count / 64).max(1);
        let median = Some(Duration::from_micros(self.micros.value_at_quantile(0.5)));
        std::mem::replace(&mut self.median, median) != median
    }
}

/// The time limits of a job's tasks, which may depend on the durations of earlier tasks.
#[derive(Debug)]
pub(super) struct TaskTimes {
    timeout: Option<TaskTime>,
    slow: Option<TaskTime>,
    /// `None` if nothing depends on it.
    median: Option<RunningMedian>,
    /// When the median last changed.
    changed: Instant,
}

impl TaskTimes {
    pub fn new(timeout: Option<TaskTime>, slow: Option<TaskTime>) -> TaskTimes {
        let follows = |time: &TaskTime| matches!(time, TaskTime::OfMedian { .. });
        let wanted = timeout.iter().chain(&slow).any(follows);
        TaskTimes { timeout, slow, median: wanted.then(RunningMedian::new), changed: Instant::now() }
    }

    /// Adds the duration of a task that passed. Returns whether that changed a limit.
    pub fn passed(&mut self, duration: Duration) -> bool {
        let changed = self.median.as_mut().is_some_and(|median| median.add(duration));
        if changed {
            self.changed = Instant::now();
        }
        changed
    }

    /// How long tasks may run now.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout?.with_median(self.median())
    }

    /// Whether something depends on the time that tasks take, or may do so later.
    pub fn matter(&self) -> bool {
        self.timeout.is_some() || self.slow.is_some()
    }

    /// Whether the limits have been the same for longer than `time`.
    pub fn is_settled(&self, time: Duration) -> bool {
        self.median.is_none() || self.changed.elapsed() > time
    }

    /// The running time after which a task is slow.
    pub fn slow(&self) -> Option<Duration> {
        self.slow?.with_median(self.median())
    }

    /// Whether slow tasks are reported at all.
    pub fn reports_slow(&self) -> bool {
        self.slow.is_some()
    }

    fn median(&self) -> Option<Duration> {
        self.median.as_ref()?.median
    }
}

/// The message for a task that exceeded its time limit.
pub(in crate::pool) fn timed_out_message(timeout: Option<TaskTime>, limit: Duration) -> String {
    match timeout {
        Some(TaskTime::OfMedian { percent }) if limit <= TaskTime::SHORTEST => {
            format!(
                "timed out after {limit:.1?} (more than {percent}% of the median, which is the limit above {limit:.1?})"
            )
        }
        Some(TaskTime::OfMedian { percent }) => {
            let median = limit.mul_f64(100.0 / f64::from(percent));
            format!("timed out after {limit:.1?} ({percent}% of the median {median:.1?})")
        }
        _ => format!("timed out after {}", humantime::format_duration(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_median_is_that_of_all_within_two_digits() {
        let mut median = RunningMedian::new();
        assert!(!median.add(SECOND) && !median.add(4 * SECOND) && median.add(2 * SECOND));
        let near = |median: &RunningMedian, wanted: f64| {
            let found = median.median.expect("a median").as_secs_f64();
            assert!((found / wanted - 1.0).abs() < 0.02, "{found} for {wanted}");
        };
        near(&median, 2.0);
        // In an order in which neighbours differ a lot.
        (0..100_000u64).for_each(|n| {
            median.add(Duration::from_micros(n * 7919 % 100_000));
        });
        near(&median, 0.05);
        median.add(Duration::MAX);
    }

    #[test]
    fn limits_follow_the_median_but_are_never_very_short() {
        let percent = |percent| Some(TaskTime::OfMedian { percent });
        let mut times = TaskTimes::new(percent(300), Some(TaskTime::After(SECOND)));
        assert_eq!((times.timeout(), times.slow()), (None, Some(SECOND)));
        (0..3).for_each(|_| {
            times.passed(SECOND);
        });
        let timeout = times.timeout().expect("a limit").as_secs_f64();
        assert!((2.9..3.1).contains(&timeout), "{timeout}");
        assert!(!times.is_settled(100 * SECOND));
        (0..30).for_each(|_| {
            times.passed(Duration::from_micros(3));
        });
        assert_eq!(times.timeout(), Some(TaskTime::SHORTEST));
        let mut fixed = TaskTimes::new(Some(TaskTime::After(SECOND)), None);
        assert!(!fixed.passed(SECOND) && fixed.median.is_none() && fixed.is_settled(SECOND) && !fixed.reports_slow());
    }

    #[test]
    fn messages_say_what_the_limit_followed_from() {
        let percent = Some(TaskTime::OfMedian { percent: 300 });
        assert_eq!(
            timed_out_message(percent, Duration::from_millis(1200)),
            "timed out after 1.2s (300% of the median 400.0ms)"
        );
        let short = "timed out after 100.0ms (more than 300% of the median, which is the limit above 100.0ms)";
        assert_eq!(timed_out_message(percent, TaskTime::SHORTEST), short);
        assert_eq!(timed_out_message(Some(SECOND.into()), SECOND), "timed out after 1s");
    }
}
