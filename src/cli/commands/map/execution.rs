//! Runs a plan: maps or reduces, and reports as it goes.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use wrun::{EarlyWorker, Event, Run, RunStats, TaskError};

use super::ReduceFailed;
use super::plan::MapPlan;
use crate::cli::interrupt::Interrupted;
use crate::cli::items::resume::LoggedItems;
use crate::cli::options::core_dumps::CoreDumps;
use crate::cli::stdout::CANNOT_WRITE;
use crate::cli::{build_pool, exit_codes};
use crate::report::Report;

/// Whether standard output has taken all results.
enum Delivery {
    Complete,
    Stopped(io::Error),
}

impl From<io::Result<()>> for Delivery {
    fn from(printed: io::Result<()>) -> Delivery {
        match printed {
            Ok(()) => Delivery::Complete,
            Err(error) => Delivery::Stopped(error),
        }
    }
}

impl MapPlan {
    /// Runs all tasks; gives the documented exit code.
    ///
    /// # Errors
    ///
    /// If the run cannot start or go on, the items cannot be read to their end, or a file cannot be written.
    pub fn execute(self, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        let mut pool = build_pool(self.cache.apply(self.workers.pool(self.sandbox))?, early)?;
        let run = pool.map(&self.job, self.items)?;
        let files = self.outputs.open()?;
        let report = Report::new(self.settings, self.total, run.stop_handle(), files).context(CANNOT_WRITE)?;
        let run = if report.shows_progress() { run } else { run.without_ticks() };
        let run = match self.workers.ahead {
            Some(ahead) => run.ahead(ahead),
            None => run,
        };
        let run = match self.reduce_failed {
            ReduceFailed::Skip => run.leave_out_failed(),
            ReduceFailed::Fail => run,
        };
        let report = Rc::new(RefCell::new(report));
        let run = run.observe(observer(Rc::clone(&report), self.core_dumps, self.job.module.name()));
        let interrupted = Interrupted::watch(run.stop_handle(), report.borrow().screen(), self.workers.are_inline())
            .context("signal handlers")?;

        let delivery = match &self.reduce {
            Some(function) => reduce(run, function, &report)?,
            None if self.is_unordered => map(run.unordered(), &report)?,
            None => map(run, &report)?,
        };
        let code = finish(delivery, &mut report.borrow_mut(), &interrupted)?;
        match self.item_failure.take().or_else(|| report.borrow_mut().take_file_error()) {
            Some(error) => Err(error),
            None => Ok(ExitCode::from(code)),
        }
    }
}

/// Passes events to the report, and writes core dumps.
fn observer(
    report: Rc<RefCell<Report>>,
    core_dumps: Option<CoreDumps>,
    module: &str,
) -> impl FnMut(&Event<'_>, &RunStats) {
    move |event, stats| {
        if let (Some(dumps), Event::TaskFinished(outcome)) = (&core_dumps, event)
            && let Err(TaskError { core_dump: Some(dump), .. }) = &outcome.result
        {
            report.borrow().screen().notice(&dumps.write(module, outcome.index, dump));
        }
        report.borrow_mut().observe(event, stats);
    }
}

/// Delivers each outcome.
fn map(mut run: Run<'_, LoggedItems>, report: &RefCell<Report>) -> anyhow::Result<Delivery> {
    for outcome in &mut run {
        if let Err(error) = report.borrow_mut().deliver(&outcome) {
            // Dropping the run cancels the rest of it.
            return Ok(Delivery::Stopped(error));
        }
    }
    let (taken, delivered) = (run.finish()?.taken, report.borrow().tally().tasks);
    // Missing results must never pass for results that do not exist.
    ensure!(
        delivered == taken,
        "{delivered} outcomes were delivered for {taken} tasks, which is a bug in wrun; please report it"
    );
    Ok(Delivery::Complete)
}

/// Delivers failures and the merged result.
fn reduce(run: Run<'_, LoggedItems>, function: &str, report: &RefCell<Report>) -> anyhow::Result<Delivery> {
    let stop = run.stop_handle();
    let mut stopped = None;
    let merged = run.reduce(function, |failed| {
        if stopped.is_none()
            && let Err(error) = report.borrow_mut().deliver(&failed)
        {
            stopped = Some(error);
            stop.stop_now();
        }
    })?;
    Ok(match stopped {
        Some(error) => Delivery::Stopped(error),
        None => report.borrow_mut().deliver_merged(&merged).into(),
    })
}

/// Ends the report; gives the exit code.
fn finish(delivery: Delivery, report: &mut Report, interrupted: &Interrupted) -> anyhow::Result<u8> {
    if interrupted.get() {
        report.interrupted();
    }
    let finished = match delivery {
        Delivery::Complete => report.finish(),
        Delivery::Stopped(error) => Err(error),
    };
    match finished {
        _ if interrupted.get() => Ok(exit_codes::INTERRUPTED),
        Ok(tally) if tally.all_passed() => Ok(exit_codes::OK),
        Ok(_) => Ok(exit_codes::TASK_FAILED),
        // The reader of the results has closed the pipe: it has all it wants.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(exit_codes::OK),
        Err(error) => Err(error).context(CANNOT_WRITE),
    }
}
