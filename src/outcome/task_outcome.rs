//! How one task ended.

use crate::job::Task;
use crate::result::{LogLine, Output, Status, TaskError, TaskStats};

/// How one task ended.
///
/// ```no_run
/// # use wrun::{Job, Module, Pool};
/// # wrun::init();
/// # let (mut pool, job) = (Pool::builder().build()?, Job::new(&Module::from_file("sqrt.wat")?));
/// for outcome in pool.map(&job, ["2", "nine"].into_iter())? {
///     match &outcome.result {
///         Ok(output) => println!("{}: {}", outcome.index, String::from_utf8_lossy(output)),
///         Err(error) => eprintln!("task {}: {error}", outcome.index),
///     }
///     for line in &outcome.log {
///         eprintln!("{}: {}", line.level, line.text);
///     }
/// }
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The task's position among the items of its job, from 0.
    pub index: u64,
    /// The task itself, given back.
    pub task: Task,
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// The lines that the task logged. A task that is no WASI command logs what it writes to standard output.
    pub log: Vec<LogLine>,
    /// What the task wrote to standard error of WASI, up to [`Limits::log_bytes`](crate::Limits::log_bytes).
    pub stderr: Vec<u8>,
    /// The code that a WASI program exited with, unless it is 0 (see [`Job::ok_exit_codes`](crate::Job::ok_exit_codes)).
    pub exit_code: Option<i32>,
    /// When, where and how it ran.
    pub stats: TaskStats,
    /// Whether it ended in an earlier run and did not run in this one (see [`Task::finished`](crate::Task::finished) and
    /// [`ResultCache`](crate::cache::ResultCache)). Its numbers are those of the earlier run.
    pub ran_earlier: bool,
    /// How its earlier attempts failed, oldest first, without core dumps and standard output; at most the last eight.
    pub earlier: Vec<TaskError>,
}

impl Outcome {
    /// A task that ended like this in this run, without log lines and earlier attempts.
    pub fn new(index: u64, task: Task, result: Result<Output, TaskError>, stats: TaskStats) -> Outcome {
        Outcome {
            index,
            task,
            result,
            log: Vec::new(),
            stderr: Vec::new(),
            exit_code: None,
            stats,
            ran_earlier: false,
            earlier: Vec::new(),
        }
    }

    /// The outcome's status: [`Status::Ok`] if there is a result.
    pub fn status(&self) -> Status {
        self.result.as_ref().map_or_else(|error| error.status, |_| Status::Ok)
    }

    /// Whether the task passed, but not on its first attempt.
    pub fn is_flaky(&self) -> bool {
        self.stats.attempts > 1 && self.result.is_ok()
    }
}
