//! What is shown and written of a run as it goes.

use std::path::{Path, PathBuf};

use wrun::TaskTime;

use super::parse;
use crate::report::{ProgressMode, Trace};

/// What is shown of the run itself, on standard error.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchArgs {
    /// Show how far the run is, on standard error; auto is a bar on a terminal and nothing elsewhere
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,

    /// Tell of each task as it ends, and show debug lines that it logs; twice (-vv, WRUN_VERBOSE=2), trace lines too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Warn of each task that runs longer than this (30s), or (300%) than so many percent of the median time of the tasks that have
    /// passed, while it runs, and again whenever its time has doubled
    #[arg(long, value_name = "TIME|N%", value_parser = parse::task_time)]
    pub slow: Option<TaskTime>,

    /// Run nothing; print a command line for each task that would run, which runs just that task
    #[arg(long)]
    pub dry_run: bool,

    /// Say at the end, on standard error, what the run took: tasks by status, time, speed-up over one worker, bytes mapped and copied,
    /// and for each worker the most memory that a task had; with --json,
    /// say that of each task in its object (peak_memory_bytes)
    #[arg(long)]
    pub summary: bool,

    /// Write what each worker did when to FILE, for viewers of the Trace Event Format such as Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl WatchArgs {
    /// Begins the trace of a run of this module.
    ///
    /// # Errors
    ///
    /// Where its file cannot be written.
    pub fn open_trace(&self, module: &Path) -> anyhow::Result<Option<Trace>> {
        let title = format!("wrun map {}", module.display());
        self.trace.as_deref().map(|path| Trace::create(path, &title)).transpose()
    }
}
