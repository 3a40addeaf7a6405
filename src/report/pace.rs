//! Something that is to be done every so often, asked about far more often.

use std::time::{Duration, Instant};

/// Looks at the clock only at each so-many-th question: a look costs as much as a short task's whole bookkeeping.
const MOST_SKIPPED: u32 = 16;

/// Says when a period has passed.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    due: Instant,
    looked: Instant,
    /// Questions between two looks at the clock: 1 while questions are rare.
    stride: u32,
    skip: u32,
}

impl Pace {
    /// Due for the first time when one period has passed.
    pub fn every(period: Duration) -> Pace {
        let now = Instant::now();
        Pace { period, due: now + period, looked: now, stride: 1, skip: 0 }
    }

    /// Whether a period has passed since it was last due; late by a few questions where they come quickly.
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

    /// Makes the next question look at the clock.
    pub fn look_now(&mut self) {
        self.skip = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_due_once_a_period_even_when_asked_all_the_time() {
        let period = Duration::from_millis(20);
        let started = Instant::now();
        let mut pace = Pace::every(period);
        let mut times = 0;
        while times < 3 {
            times += u32::from(pace.is_due());
        }
        assert!(started.elapsed() >= 3 * period);
    }

    #[test]
    fn rare_questions_are_all_looked_at() {
        let mut pace = Pace::every(Duration::ZERO);
        for _ in 0..100 {
            assert!(pace.is_due());
        }
    }
}
