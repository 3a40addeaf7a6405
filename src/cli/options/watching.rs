//! Options about what is shown and written while a run goes on.

use std::path::{Path, PathBuf};

use wrun::job::TaskTime;

use super::values;
use crate::cli::file_roles::FileRoles;
use crate::report::{ProgressMode, Trace, shown_path};

/// What is shown about the run itself, on standard error.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchArgs {
    /// Show progress on standard error; auto shows a bar on a terminal and nothing elsewhere
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,

    /// Report each task as it finishes, and show its debug log lines; twice (-vv, WRUN_VERBOSE=2), its trace lines too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Warn about each task that runs longer than TIME (30s), or than N% of the median time of the tasks that have passed (300%), and
    /// again whenever its time has doubled [default: no warning]
    #[arg(long, value_name = "TIME|N%", value_parser = values::task_time)]
    pub slow: Option<TaskTime>,

    /// Run nothing; print, for each task that would run, a command line that runs it alone
    #[arg(long)]
    pub dry_run: bool,

    /// Print a summary to standard error at the end: tasks by status, time, speed-up over one worker, bytes mapped and copied, and the
    /// most memory that a task of each worker used; with --json, also add peak_memory_bytes to each object
    #[arg(long)]
    pub summary: bool,

    /// Write a timeline of the workers to FILE in the Trace Event Format, for viewers such as Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl WatchArgs {
    /// Notes the trace as written.
    ///
    /// # Errors
    ///
    /// If its file has another role as well.
    pub fn note_roles(&self, roles: &mut FileRoles) -> anyhow::Result<()> {
        self.trace.as_deref().map_or(Ok(()), |path| roles.write("--trace", path))
    }

    /// Starts the trace of a run of this module, if one is wanted.
    ///
    /// # Errors
    ///
    /// If its file cannot be written.
    pub fn open_trace(&self, module: &Path) -> anyhow::Result<Option<Trace>> {
        let title = format!("wrun map {}", shown_path(module));
        self.trace.as_deref().map(|path| Trace::create(path, &title)).transpose()
    }
}
