//! What an attempt of a task produced: a result or an error, log lines, and numbers.
//!
//! The crate's root exports what most programs need; the rest is here.

mod log_line;
pub(crate) mod output;
pub(crate) mod stats;
pub(crate) mod task_error;

pub use log_line::{Level, LogLine};
pub(crate) use output::Output;
pub(crate) use stats::TaskStats;
pub use stats::TaskUsage;
pub(crate) use task_error::TaskError;
pub(crate) use wrun_ipc::Status;
#[doc(inline)]
pub use wrun_ipc::{ParseStatusError, Setting};

/// How a task ended in an earlier run; see [`Task::finished`](crate::Task::finished).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use wrun::result::Finished;
/// use wrun::{Output, Task, TaskStats};
///
/// let stats = TaskStats::new(SystemTime::now(), Duration::from_millis(3)).attempts(1);
/// let task = Task::from(9).finished(Finished::new(Ok(Output::from(&b"3"[..])), stats));
/// assert!(task.finished.is_some());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// The lines that it logged.
    pub log: Vec<LogLine>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// The code that a WASI program exited with, unless it is 0.
    pub exit_code: Option<i32>,
    /// When, where and how it ran.
    pub stats: TaskStats,
}

impl Finished {
    /// A task that ended like this, without log lines, which wrote nothing to standard error.
    pub fn new(result: Result<Output, TaskError>, stats: TaskStats) -> Finished {
        Finished { result, log: Vec::new(), stderr: Vec::new(), exit_code: None, stats }
    }

    /// Sets the lines that it logged.
    #[must_use]
    pub fn log(mut self, log: Vec<LogLine>) -> Self {
        self.log = log;
        self
    }

    /// Sets the code that the program exited with.
    #[must_use]
    pub fn exit_code(mut self, code: Option<i32>) -> Self {
        self.exit_code = code;
        self
    }

    /// Sets what it wrote to standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: Vec<u8>) -> Self {
        self.stderr = stderr;
        self
    }
}
