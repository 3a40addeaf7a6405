//! What a run took, all in all.

use std::time::{Duration, Instant};

use crate::job::Jobs;
use crate::outcome::{Event, Outcome};
use crate::result::{Status, TaskUsage};

/// Counts what a run took, for an observer that gives it every event.
///
/// It needs some bytes for each worker, and no more for many tasks.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// # let (mut pool, job) = (wrun::Pool::builder().build()?, wrun::Job::new(&wrun::Module::from_file("sqrt.wat")?));
/// let mut summary = wrun::Summary::new();
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

/// What one worker's attempts of tasks took, with merges. A worker that is lost and replaced keeps its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSummary {
    /// How many attempts of tasks and merges it ended.
    pub attempts: u64,
    /// How long they ran.
    pub busy: Duration,
    /// The most memory that one of them had: see [`TaskUsage::peak_memory_bytes`].
    pub peak_memory_bytes: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Summary::new()
    }
}

impl Summary {
    /// Begins to count; time is counted from now on.
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

    /// Takes in an event.
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

    /// Ends the time that is counted.
    pub fn end(&mut self) {
        self.ended = Instant::now();
    }

    /// Adds what an attempt took, if it was one: not all outcomes are of tasks that were started.
    fn add(&mut self, outcome: &Outcome) {
        let stats = &outcome.stats;
        if stats.attempts == 0 {
            return;
        }
        let number = stats.worker as usize;
        // A backend of another crate may number its workers as it likes.
        if number < Jobs::MAX {
            if self.workers.len() <= number {
                self.workers.resize(number + 1, WorkerSummary::default());
            }
            let worker = &mut self.workers[number];
            worker.attempts += 1;
            // Durations and usage are a worker's word.
            worker.busy = worker.busy.saturating_add(stats.duration);
            worker.peak_memory_bytes = worker.peak_memory_bytes.max(stats.usage.peak_memory_bytes);
        }
        let usage = &mut self.usage;
        usage.mapped_bytes = usage.mapped_bytes.saturating_add(stats.usage.mapped_bytes);
        usage.copied_bytes = usage.copied_bytes.saturating_add(stats.usage.copied_bytes);
        usage.peak_memory_bytes = usage.peak_memory_bytes.max(stats.usage.peak_memory_bytes);
    }

    /// Tasks that have an outcome, whatever it is.
    pub fn tasks(&self) -> u64 {
        self.by_status.iter().sum()
    }

    /// Of those, the ones with this status.
    pub fn with_status(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Of those, the ones that passed, but not on their first attempt.
    pub fn flaky(&self) -> u64 {
        self.flaky
    }

    /// Of those, the ones that ended in an earlier run; nothing else is counted of them.
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

    /// Bytes that were mapped and copied, of all attempts and merges; and the most memory of a single one.
    pub fn usage(&self) -> TaskUsage {
        self.usage
    }

    /// What each worker did, by its number.
    pub fn workers(&self) -> &[WorkerSummary] {
        &self.workers
    }

    /// How long all attempts and merges ran.
    pub fn busy(&self) -> Duration {
        self.workers.iter().fold(Duration::ZERO, |sum, worker| sum.saturating_add(worker.busy))
    }

    /// The time from [`Summary::new`] to [`Summary::end`].
    pub fn wall(&self) -> Duration {
        self.ended - self.started
    }

    /// Tasks that ended in a second of that time, without those of an earlier run; `None` where there was no time.
    pub fn tasks_per_second(&self) -> Option<f64> {
        let ended = (self.tasks() - self.earlier) as f64;
        (!self.wall().is_zero()).then(|| ended / self.wall().as_secs_f64())
    }

    /// How often the time of the run goes into the time that its tasks ran: what workers gained over a single one that never
    /// waits. `None` where there was no time.
    pub fn speed_up(&self) -> Option<f64> {
        (!self.wall().is_zero()).then(|| self.busy().as_secs_f64() / self.wall().as_secs_f64())
    }
}
