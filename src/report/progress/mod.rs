//! What standard error shows of a run: progress, failures, logs and notices, as text or as JSON.

mod compiling;
mod interval;
mod json_display;
mod screen;
mod summary;
mod text_display;

use std::time::Duration;

use wrun::outcome::Summary;
use wrun::result::LogLine;
use wrun::{Outcome, Task, TaskError};

use super::Tally;
pub use compiling::{Code, while_compiling};
pub use interval::Interval;
pub use json_display::JsonDisplay;
pub use screen::{Screen, line_to_stderr};
pub use text_display::TextDisplay;

/// How often a bar is drawn.
pub const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// How often progress is shown if each time adds a line.
pub const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// A bar if standard error is a terminal, otherwise nothing but a line about a module that takes long to compile
    Auto,
    /// A bar with rate and remaining time (lines if standard error is not a terminal)
    Bar,
    /// A line of text about once a second
    Lines,
    /// One JSON object per line for progress, failures and logs
    Json,
    /// Nothing
    None,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub done: u64,
    pub total: Option<u64>,
    pub failed: u64,
    /// How many tasks did not run because their results were cached.
    pub cached: u64,
    pub elapsed: Duration,
}

impl Snapshot {
    /// The time that the rest takes at the same rate; `None` if that is unknown or nothing is left.
    fn remaining(&self) -> Option<Duration> {
        let total = self.total.filter(|total| (1..*total).contains(&self.done))?;
        let rest = total.saturating_sub(self.done) as f64 / self.done as f64;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest).ok()
    }
}

/// Shows what happens, one method per kind of event.
pub trait Display {
    /// Shows how far the run is; called at the interval of the screen.
    fn progress(&mut self, now: &Snapshot);
    /// A task finished, whatever its outcome (only with `-v`).
    fn finished_task(&mut self, outcome: &Outcome);
    /// A failed task's outcome is delivered; `rerun` is the command line that runs it again.
    fn failed(&mut self, outcome: &Outcome, error: &TaskError, rerun: Option<&str>);
    /// An attempt failed, and the next one follows after `delay` (only with `-v`).
    fn retrying(&mut self, outcome: &Outcome, delay: Duration);
    /// A task passed, but not on the first of at most `most_attempts`.
    fn flaky(&mut self, outcome: &Outcome, most_attempts: u32);
    /// A task logged a line.
    fn logged(&mut self, outcome: &Outcome, line: &LogLine);
    /// A task has been running for long.
    fn slow(&mut self, index: u64, task: &Task, worker: u32, elapsed: Duration);
    /// A worker process died (only with `-v`: its task reports it as well).
    fn worker_lost(&mut self, worker: u32, reason: &str);
    /// The run is over.
    fn finished_run(&mut self, now: &Snapshot, tally: &Tally);
    /// The totals of the run (only with `--summary`).
    fn summary(&mut self, summary: &Summary);
}
