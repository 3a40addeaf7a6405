//! The totals of a run.

use std::time::{Duration, Instant};

use crate::job::Jobs;
use crate::outcome::{Event, Outcome};
use crate::result::{Status, TaskUsage};

/// Adds up a run's events, which an observer passes on.
///
/// It takes a few bytes per worker, however many tasks there are.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// # let (mut pool, job) = (wrun::Pool::builder().build()?, wrun::Job::new(&wrun::Module::from_file("sqrt.wat")?));
/// let mut summary = wrun::outcome::Summary::new();
/// for outcome in pool.map(&job, 0..10)?.observe(|event, _| summary.observe(event)) {
///     println!("{:?}", outcome.result);
/// }
/// summary.end();
/// println!("{} tasks, {:?} times as fast as one worker", summary.tasks(), summary.speed_up());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Summary {
    started: Instant,
    ended: Instant,
    by_status: [u64; Status::ALL.len()],
    flaky: u64,
    earlier: u64,
    merges: u64,
    retries: u64,
    lost_workers: u64,
    usage: TaskUsage,
    workers: Vec<WorkerSummary>,
}

/// The totals of one worker's attempts, including merges. A worker that is lost and replaced keeps its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerSummary {
    /// The number of attempts of tasks and merges that ended.
    pub attempts: u64,
    /// How long they ran.
    pub busy: Duration,
    /// The peak memory of a single attempt: see [`TaskUsage::peak_memory_bytes`].
    pub peak_memory_bytes: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Summary::new()
    }
}

impl Summary {
    /// Starts to count events and time.
    pub fn new() -> Summary {
        let now = Instant::now();
        Summary {
            started: now,
            ended: now,
            by_status: Default::default(),
            flaky: 0,
            earlier: 0,
            merges: 0,
            retries: 0,
            lost_workers: 0,
            usage: TaskUsage::default(),
            workers: Vec::new(),
        }
    }

    /// Counts an event.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::TaskFinished(outcome) => {
                self.by_status[outcome.status() as usize] += 1;
                self.flaky += u64::from(outcome.is_flaky());
                match outcome.ran_earlier {
                    true => self.earlier += 1,
                    false => self.add(outcome),
                }
            }
            Event::Retrying { outcome, .. } => {
                self.retries += 1;
                self.add(outcome);
            }
            Event::MergeFinished(outcome) => {
                self.merges += 1;
                if !outcome.ran_earlier {
                    self.add(outcome);
                }
            }
            Event::WorkerLost { .. } => self.lost_workers += 1,
            _ => {}
        }
    }

    /// Stops the clock.
    pub fn end(&mut self) {
        self.ended = Instant::now();
    }

    /// Adds the numbers of an attempt, unless the task was never started.
    fn add(&mut self, outcome: &Outcome) {
        let stats = &outcome.stats;
        if stats.attempts == 0 {
            return;
        }
        let number = stats.worker as usize;
        // A backend of another crate may use any numbers.
        if number < Jobs::MAX {
            if self.workers.len() <= number {
                self.workers.resize(number + 1, WorkerSummary::default());
            }
            let worker = &mut self.workers[number];
            worker.attempts += 1;
            // Workers report durations and usage, and are not trusted.
            worker.busy = worker.busy.saturating_add(stats.duration);
            worker.peak_memory_bytes = worker.peak_memory_bytes.max(stats.usage.peak_memory_bytes);
        }
        let usage = &mut self.usage;
        usage.mapped_bytes = usage.mapped_bytes.saturating_add(stats.usage.mapped_bytes);
        usage.copied_bytes = usage.copied_bytes.saturating_add(stats.usage.copied_bytes);
        usage.peak_memory_bytes = usage.peak_memory_bytes.max(stats.usage.peak_memory_bytes);
    }

    /// Tasks that have ended.
    pub fn tasks(&self) -> u64 {
        self.by_status.iter().sum()
    }

    /// Tasks that ended with this status.
    pub fn with_status(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Tasks that passed, but not on their first attempt.
    pub fn flaky(&self) -> u64 {
        self.flaky
    }

    /// Tasks that ended in an earlier run. Their other numbers are not counted.
    pub fn ran_earlier(&self) -> u64 {
        self.earlier
    }

    /// Merges of results that ended.
    pub fn merges(&self) -> u64 {
        self.merges
    }

    /// Attempts that failed and were followed by another.
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Workers that were lost and replaced.
    pub fn lost_workers(&self) -> u64 {
        self.lost_workers
    }

    /// Bytes mapped and copied by all attempts and merges, and the peak memory of a single one.
    pub fn usage(&self) -> TaskUsage {
        self.usage
    }

    /// The totals of each worker, by its number.
    pub fn workers(&self) -> &[WorkerSummary] {
        &self.workers
    }

    /// The time that all attempts and merges ran, added up.
    pub fn busy(&self) -> Duration {
        self.workers.iter().fold(Duration::ZERO, |sum, worker| sum.saturating_add(worker.busy))
    }

    /// The time from [`Summary::new`] to [`Summary::end`].
    pub fn wall(&self) -> Duration {
        self.ended - self.started
    }

    /// Tasks per second of wall-clock time, without those of an earlier run; `None` if no time passed.
    pub fn tasks_per_second(&self) -> Option<f64> {
        let ended = (self.tasks() - self.earlier) as f64;
        (!self.wall().is_zero()).then(|| ended / self.wall().as_secs_f64())
    }

    /// The ratio of [`busy`](Summary::busy) to [`wall`](Summary::wall): how many times as fast the run was as a single worker that
    /// never waits. `None` if no time passed.
    pub fn speed_up(&self) -> Option<f64> {
        (!self.wall().is_zero()).then(|| self.busy().as_secs_f64() / self.wall().as_secs_f64())
    }
}
