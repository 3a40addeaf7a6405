//! `--dry-run`: what a `map` would run, as command lines.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context as _;

use super::exit_codes;
use super::print::STDOUT;
use super::resume::LoggedItems;
use crate::report::{Rerun, line_to_stderr, message, name, task_name};

/// Prints a line for each task that is not in the job log already. Gives [`exit_codes::TASK_FAILED`] where a task could not run, and
/// [`exit_codes::FAILURE`] where no line can name it.
///
/// # Errors
///
/// Where standard output takes no more.
pub fn print(mut items: LoggedItems, lines: &Rerun, reduce: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut code = exit_codes::OK;
    for index in 0.. {
        let Some(task) = items.wait_for_task() else { break };
        let task_name = task_name(index, &task.argument);
        let line = match &task.unrunnable {
            _ if task.finished.is_some() => continue,
            Some(problem) => {
                line_to_stderr(&format!("{task_name} cannot run: {}", message(problem)));
                code = code.max(exit_codes::TASK_FAILED);
                continue;
            }
            None => lines.task(index, &task),
        };
        let Some(line) = line else {
            line_to_stderr(&format!("{task_name} would run, but no command line can name it"));
            code = code.max(exit_codes::FAILURE);
            continue;
        };
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::from(code)),
            written => written.context(STDOUT)?,
        }
    }
    super::print::written(out.flush())?;
    if let Some(function) = reduce {
        line_to_stderr(&format!("wrun: the results would then be merged by {}", name(function)));
    }
    Ok(ExitCode::from(code))
}
