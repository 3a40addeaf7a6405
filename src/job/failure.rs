//! What a run does about failed tasks, as plain data.

use std::fmt;
use std::time::Duration;

/// How often a failed task is retried, and how soon. A task that passes on a later attempt is *flaky*:
/// [`Outcome::is_flaky`](crate::Outcome::is_flaky).
///
/// Every failure is retried (`error`, `trap`, `timeout`, `limit`, `input-fault`, `worker-lost`), as in GNU parallel and nextest,
/// except `denied`, which another attempt cannot change, and `cancelled`. A task that cannot start at all (its file does not open,
/// for example) is not retried either.
///
/// ```
/// use std::time::Duration;
/// use wrun::Retries;
///
/// let retries = Retries { count: 9, delay: Duration::from_millis(100) };
/// assert_eq!(retries.delay_before(1), Duration::from_millis(100));
/// assert_eq!(retries.delay_before(3), Duration::from_millis(400));
/// assert_eq!(retries.delay_before(9), Retries::MAX_DELAY);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// The number of attempts after the first one (0 unless set).
    pub count: u32,
    /// The time between the first attempt's end and the second's start (100 ms unless set). It doubles with each
    /// further attempt, up to [`Retries::MAX_DELAY`].
    pub delay: Duration,
}

impl Retries {
    /// The longest time between two attempts, unless [`Retries::delay`] itself is longer.
    pub const MAX_DELAY: Duration = Duration::from_secs(10);

    /// The time to wait before this retry, counted from 1.
    pub fn delay_before(&self, retry: u32) -> Duration {
        let doubled = 2u32.checked_pow(retry.saturating_sub(1)).and_then(|factor| self.delay.checked_mul(factor));
        doubled.unwrap_or(Duration::MAX).min(Self::MAX_DELAY.max(self.delay))
    }
}

impl Default for Retries {
    fn default() -> Self {
        Retries { count: 0, delay: Duration::from_millis(100) }
    }
}

/// Whether failed tasks end a run early. Only tasks of the run's source count, each once, when its last attempt has failed.
///
/// ```
/// use wrun::{Halt, HaltAt};
///
/// let halt = Halt::Soon(HaltAt::Percent(10));
/// assert_eq!(halt.to_string(), "soon,fail=10%");
/// assert!(HaltAt::Percent(10).is_reached(1, 10) && !HaltAt::Percent(10).is_reached(1, 11));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Halt {
    /// They do not.
    #[default]
    Never,
    /// No more tasks start. Running tasks finish, and the other tasks that were taken end as `cancelled`.
    Soon(HaltAt),
    /// The same, but running tasks are killed.
    Now(HaltAt),
}

/// How many failures end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltAt {
    /// This many failed tasks (0 is treated as 1).
    Count(u64),
    /// This percentage of the tasks that have ended, once [`HaltAt::LEAST_ENDED`] have.
    Percent(u8),
}

impl HaltAt {
    /// The number of tasks that must have ended before a percentage counts.
    pub const LEAST_ENDED: u64 = 3;

    /// Whether `failed` of `ended` tasks are enough to end the run.
    pub fn is_reached(self, failed: u64, ended: u64) -> bool {
        match self {
            HaltAt::Count(count) => failed >= count.max(1),
            HaltAt::Percent(percent) => {
                let share = u128::from(failed) * 100 >= u128::from(percent) * u128::from(ended);
                failed > 0 && ended >= Self::LEAST_ENDED && share
            }
        }
    }
}

impl Halt {
    /// How many failures end the run, if any do.
    pub fn at(self) -> Option<HaltAt> {
        match self {
            Halt::Never => None,
            Halt::Soon(at) | Halt::Now(at) => Some(at),
        }
    }
}

/// `never`, `soon`, `now,fail=3`, `soon,fail=10%`.
impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Halt::Never => "never",
            Halt::Soon(_) => "soon",
            Halt::Now(_) => "now",
        })?;
        match self.at() {
            None | Some(HaltAt::Count(0 | 1)) => Ok(()),
            Some(HaltAt::Count(count)) => write!(f, ",fail={count}"),
            Some(HaltAt::Percent(percent)) => write!(f, ",fail={percent}%"),
        }
    }
}

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Halted {
    /// [`Job::halt`](crate::Job::halt) ended it after this many failures.
    Failures {
        /// The tasks that had failed.
        failed: u64,
        /// The tasks that had ended.
        ended: u64,
        /// The job's setting.
        halt: Halt,
    },
    /// Worker after worker died, and no task ended otherwise: the module kills every worker.
    WorkersLost {
        /// The number of workers in a row.
        count: u32,
        /// What happened to the last one: `was killed by SIGSEGV`.
        last: String,
    },
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halted::Failures { failed, ended, halt } => match halt.at() {
                Some(HaltAt::Percent(_)) => write!(f, "{failed} of {ended} tasks failed"),
                _ if *failed == 1 => f.write_str("1 task failed"),
                _ => write!(f, "{failed} tasks failed"),
            },
            Halted::WorkersLost { count, last } => {
                write!(f, "{count} workers in a row died, and no task ended otherwise; the last one {last}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let retries = Retries { count: 40, delay: Duration::from_millis(100) };
        let delays: Vec<u128> = (1..=9).map(|retry| retries.delay_before(retry).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(retries.delay_before(u32::MAX), Retries::MAX_DELAY);
        let slow = Retries { count: 2, delay: Duration::from_secs(60) };
        assert_eq!((slow.delay_before(1), slow.delay_before(2)), (slow.delay, slow.delay));
    }

    #[test]
    fn shares_count_from_three_tasks_on() {
        assert!(HaltAt::Count(1).is_reached(1, 1) && HaltAt::Count(0).is_reached(1, 1));
        assert!(!HaltAt::Count(0).is_reached(0, 9) && !HaltAt::Count(3).is_reached(2, 2));
        let half = HaltAt::Percent(50);
        assert!(!half.is_reached(2, 2) && half.is_reached(2, 3) && !half.is_reached(1, 3) && half.is_reached(2, 4));
        assert!(!HaltAt::Percent(0).is_reached(0, 10));
    }

    #[test]
    fn reasons_say_how_many_failed() {
        let why = |failed, halt| Halted::Failures { failed, ended: 10, halt }.to_string();
        assert_eq!(why(1, Halt::Now(HaltAt::Count(1))), "1 task failed");
        assert_eq!(why(3, Halt::Soon(HaltAt::Count(3))), "3 tasks failed");
        assert_eq!(why(3, Halt::Soon(HaltAt::Percent(30))), "3 of 10 tasks failed");
        assert_eq!(Halt::Never.to_string(), "never");
    }
}
