//! A number of workers, as users write it.

use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::{Error, Result};

/// A number of workers: either N, or relative to the CPUs that this process may use (by its affinity and its control group's
/// quota): -1 is one worker per CPU, -2 is one fewer, and so on, but at least one. N may be larger than the number of CPUs.
///
/// ```
/// let all: wrun::Jobs = "-1".parse()?;
/// assert_eq!(wrun::Jobs::new(-1)?, all);
/// assert_eq!(wrun::Jobs::new(5)?.workers().get(), 5);
/// assert!(wrun::Jobs::new(0).is_err());
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jobs(NonZeroUsize);

impl Jobs {
    /// The largest number of workers of a pool.
    pub const MAX: usize = 4096;

    /// Resolves the number.
    ///
    /// # Errors
    ///
    /// Returns an error for 0, and for more than [`Jobs::MAX`].
    pub fn new(jobs: i64) -> Result<Jobs> {
        Self::of(jobs, std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// The number of workers.
    pub fn workers(self) -> NonZeroUsize {
        self.0
    }

    fn of(jobs: i64, cpus: NonZeroUsize) -> Result<Jobs> {
        let most = Jobs::MAX;
        let count = usize::try_from(jobs.unsigned_abs()).unwrap_or(usize::MAX);
        match jobs {
            0 => Err(Error::request("0 jobs would run nothing; give 1 or more, or -1 for one job per CPU")),
            1.. if count > most => Err(Error::request(format!("more than {most} jobs are not supported"))),
            1.. => Ok(Jobs(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))),
            _ => Ok(Jobs(NonZeroUsize::new((cpus.get() + 1).saturating_sub(count)).unwrap_or(NonZeroUsize::MIN))),
        }
    }
}

impl FromStr for Jobs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Jobs> {
        let jobs = text
            .parse()
            .map_err(|_| Error::request("not a number; give a number such as 4, or -1 for one job per CPU"))?;
        Jobs::new(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_count_from_all_cpus_downwards_and_are_never_below_one() {
        let count = |jobs, cpus| Jobs::of(jobs, NonZeroUsize::new(cpus).unwrap()).map(|jobs| jobs.workers().get()).ok();
        assert_eq!(count(3, 2), Some(3));
        assert_eq!(count(-1, 8), Some(8));
        assert_eq!(count(-2, 8), Some(7));
        assert_eq!(count(-8, 8), Some(1));
        assert_eq!(count(-9, 8), Some(1));
        assert_eq!(count(i64::MIN, 8), Some(1));
        assert_eq!(count(i64::MAX, 8), None);
        assert_eq!(count(4096, 8), Some(4096));
        assert_eq!(count(4097, 8), None);
        assert_eq!(count(0, 8), None);
        assert!("many".parse::<Jobs>().is_err());
    }
}
