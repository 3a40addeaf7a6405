//! An interval that is checked far more often than it passes.

use std::time::{Duration, Instant};

/// At most this many checks per look at the clock: a look costs as much as all the bookkeeping of a short task.
const MOST_SKIPPED: u32 = 16;

/// Says when a period has passed.
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    due: Instant,
    looked: Instant,
    /// Checks per look at the clock: 1 while checks are rare.
    stride: u32,
    skip: u32,
}

impl Interval {
    /// An interval that is due for the first time after one period.
    pub fn new(period: Duration) -> Interval {
        let now = Instant::now();
        Interval { period, due: now + period, looked: now, stride: 1, skip: 0 }
    }

    /// Whether a period has passed since it was last due; late by a few checks if they come quickly.
    pub fn is_due(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let now = Instant::now();
        let quick = now - self.looked < self.period / 8;
        self.stride = if quick { (self.stride * 2).min(MOST_SKIPPED) } else { 1 };
        self.skip = self.stride - 1;
        self.looked = now;
        let due = now >= self.due;
        if due {
            self.due = now + self.period;
        }
        due
    }

    /// Makes the next check look at the clock.
    pub fn look_now(&mut self) {
        self.skip = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_due_once_a_period_however_often_it_is_checked() {
        let period = Duration::from_millis(20);
        let started = Instant::now();
        let mut interval = Interval::new(period);
        let mut times = 0;
        while times < 3 {
            times += u32::from(interval.is_due());
        }
        assert!(started.elapsed() >= 3 * period);
    }

    #[test]
    fn rare_checks_all_look_at_the_clock() {
        let mut interval = Interval::new(Duration::ZERO);
        for _ in 0..100 {
            assert!(interval.is_due());
        }
    }
}
