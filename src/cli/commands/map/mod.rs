//! `wrun map`: many tasks, with their results on standard output.
//!
//! ```text
//! MapArgs (parsed) ──▶ MapPlan (files open, module compiled, job complete) ──▶ execution: map, reduce or dry run
//! ```

mod dry_run;
mod execution;
mod plan;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use wrun::EarlyWorker;

use crate::cli::file_roles::FileRoles;
use crate::cli::options::compiler::CompilerArgs;
use crate::cli::options::core_dumps::CoreDumpArgs;
use crate::cli::options::failure::FailureArgs;
use crate::cli::options::grants::GrantArgs;
use crate::cli::options::in_place::InPlaceArgs;
use crate::cli::options::items::ItemArgs;
use crate::cli::options::limits::LimitArgs;
use crate::cli::options::result_cache::ResultCacheArgs;
use crate::cli::options::sandbox::SandboxArgs;
use crate::cli::options::task::TaskArgs;
use crate::cli::options::watching::WatchArgs;
use crate::cli::options::workers::WorkerArgs;
use crate::report::ResultFormat;
use plan::MapPlan;

/// Run one task per item, in parallel; print the results in item order
///
/// Items are words on the command line, lines of a file or of standard input, files, or pieces of files. A failed task does not stop the
/// others: it is reported on standard error, with the command line that runs it again.
#[derive(Debug, clap::Args)]
pub struct MapArgs {
    /// Run this module: a .wasm or .wat file, or a .cwasm file with --allow-precompiled
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    #[command(flatten)]
    items: ItemArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    results: ResultArgs,
    #[command(flatten)]
    in_place: InPlaceArgs,
    #[command(flatten)]
    cache: ResultCacheArgs,
    #[command(flatten)]
    workers: WorkerArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    failure: FailureArgs,
    #[command(flatten)]
    core_dumps: CoreDumpArgs,
    #[command(flatten)]
    watching: WatchArgs,

    /// Run a WASI program with these words as its arguments; `{}` in them stands for the item
    #[arg(last = true, value_name = "WORD", help_heading = None)]
    argv: Option<Vec<String>>,

    #[command(flatten)]
    compiler: CompilerArgs,
}

/// What is printed or written of the results.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
struct ResultArgs {
    /// Print results as tasks finish instead of in item order
    #[arg(long)]
    unordered: bool,

    /// Print the item (for files and pieces, the path and range) and a tab before each line of its result
    #[arg(long)]
    tag: bool,

    /// Print one JSON object per line for each task, including failed ones
    #[arg(long, conflicts_with_all = ["tag", "raw"])]
    json: bool,

    /// Do not add a newline to results that do not end in one
    #[arg(long)]
    raw: bool,

    /// Write each result to its own file in DIR instead of printing it: INDEX.out, or INDEX-NAME.out if items are files; INDEX.err says
    /// why a task failed, INDEX.partial has what a WASI command printed before, and INDEX.log what a task logged. DIR is created if needed, and must be empty unless a run is resumed.
    /// Objects of --json and the merged result are still printed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tag", "unordered"])]
    results: Option<PathBuf>,

    /// Merge all results into one with the task NAME, which gets earlier results as its inputs, in item order
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tag", "unordered"])]
    reduce: Option<String>,

    /// Merge nothing if a task failed (fail), or merge the results of the others (skip); the exit code is 100 either way
    #[arg(
        long,
        value_name = "fail|skip",
        default_value = "fail",
        hide_default_value = true,
        hide_possible_values = true,
        requires = "reduce"
    )]
    reduce_failed: ReduceFailed,
}

/// What becomes of the merged result if tasks fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReduceFailed {
    /// There is none.
    Fail,
    /// It lacks them.
    Skip,
}

impl ResultArgs {
    /// Whether something goes to standard output.
    fn are_printed(&self) -> bool {
        self.results.is_none() || self.json || self.reduce.is_some()
    }

    /// The options that make `run` print a result in the same form.
    fn options_of_run(&self) -> Vec<OsString> {
        let options = [(self.json, "--json"), (self.raw, "--raw")];
        options.into_iter().filter(|(is_given, _)| *is_given).map(|(_, option)| option.into()).collect()
    }

    fn format(&self, with_usage: bool) -> ResultFormat {
        match self.json {
            true => ResultFormat::Json { usage: with_usage },
            false => ResultFormat::Text { tag: self.tag, raw: self.raw },
        }
    }
}

impl MapArgs {
    /// Finds the files that are written, and checks that none of them has another role.
    ///
    /// # Errors
    ///
    /// If one has.
    fn file_roles(&self) -> anyhow::Result<FileRoles> {
        let mut roles = FileRoles::default();
        if let Some(directory) = &self.results.results {
            roles.results_in(directory);
        }
        self.in_place.note_roles(&mut roles)?;
        self.failure.note_roles(&mut roles)?;
        self.watching.note_roles(&mut roles)?;
        if self.results.are_printed() {
            roles.write_stream("standard output", io::stdout())?;
        }
        roles.write_stream("standard error", io::stderr())?;
        roles.read("the module", &self.module)?;
        self.task.check_roles(&roles)?;
        self.items.check_roles(&roles)?;
        Ok(roles)
    }

    /// Runs the tasks; gives the documented exit code. `run_options` are those that a `run` of one task needs as well.
    ///
    /// # Errors
    ///
    /// If the run cannot start, or cannot go on. A failed task is not an error.
    pub fn execute(self, run_options: Vec<OsString>, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        let is_dry_run = self.watching.dry_run;
        let plan = MapPlan::new(self, run_options)?;
        if is_dry_run { plan.print_command_lines() } else { plan.execute(early) }
    }
}
