//! `--dry-run`: prints what a `map` would run, as command lines.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use wrun::Task;

use super::plan::MapPlan;
use crate::cli::exit_codes;
use crate::cli::items::resume::LoggedItems;
use crate::cli::stdout::{self, CANNOT_WRITE};
use crate::report::{RerunCommand, line_to_stderr, message, name, task_name};

impl MapPlan {
    /// Prints a command line for each task that would run. Gives [`exit_codes::TASK_FAILED`] if a task could not run, and
    /// [`exit_codes::FAILURE`] if no command line can name it.
    ///
    /// # Errors
    ///
    /// If the run could not start, the items cannot be read to their end, or standard output cannot be written.
    pub fn print_command_lines(self) -> anyhow::Result<ExitCode> {
        if !self.job.grants.environment.is_empty() {
            line_to_stderr("wrun: these lines leave out the values of --env, and take them from the environment");
        }
        // What would keep the run from starting is an error here, too.
        drop(self.workers.pool(self.sandbox).build()?.map(&self.job, std::iter::empty::<Task>())?);
        let code = print_lines(self.items, &self.settings.rerun, self.reduce.as_deref())?;
        match self.item_failure.take() {
            Some(error) => Err(error),
            None => Ok(ExitCode::from(code)),
        }
    }
}

fn print_lines(mut items: LoggedItems, rerun: &RerunCommand, reduce: Option<&str>) -> anyhow::Result<u8> {
    let mut out = BufWriter::new(stdout::open().context(CANNOT_WRITE)?);
    let mut code = exit_codes::OK;
    for index in 0.. {
        let Some(task) = items.wait_for_task() else { break };
        let task_name = task_name(index, &task.argument);
        if task.finished.is_some() {
            continue;
        }
        if let Some(problem) = &task.unrunnable {
            line_to_stderr(&format!("{task_name} cannot run: {}", message(problem)));
            code = code.max(exit_codes::TASK_FAILED);
            continue;
        }
        let Some(line) = rerun.line(index, &task) else {
            line_to_stderr(&format!("{task_name} would run, but no command line can name it"));
            code = code.max(exit_codes::FAILURE);
            continue;
        };
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(code),
            written => written.context(CANNOT_WRITE)?,
        }
    }
    stdout::check(out.flush())?;
    if let Some(function) = reduce {
        line_to_stderr(&format!("wrun: the results would then be merged by {}", name(function)));
    }
    Ok(code)
}
