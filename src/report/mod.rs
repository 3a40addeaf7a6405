//! What users see of a run: results on standard output; failures, logs and progress on standard error; files.
//!
//! ```text
//! Event ────▶ Report ──▶ Display: TextDisplay (bar or lines) or JsonDisplay ──▶ standard error
//!                    ──▶ Trace, JobLog, ResultsDir ───────────────────────────▶ files
//! Outcome ──▶        ──▶ ResultPrinter (raw bytes, tagged lines or JSON) ─────▶ standard output
//! ```
//!
//! Nothing here changes what a run does, with two exceptions: the run ends if the reader of standard output closes it, or if the
//! job log or a result file cannot be written.

mod advice;
mod joblog;
pub mod outlet;
mod page;
mod progress;
mod rerun_command;
mod results;
mod text;
mod trace;
mod trace_file;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use wrun::outcome::Summary;
use wrun::result::{Level, LogLine};
use wrun::sandbox::MissingLayer;
use wrun::{Event, Input, Outcome, RunStats, Status, StopHandle};

pub use advice::{advice, limit_advice};
pub use joblog::{JobLog, LINE_START, LoggedStatus, PendingTask, PendingTasks};
pub use page::{Details, TaskRecord, TaskTexts, page};
use progress::{BAR_INTERVAL, Display, Interval, JsonDisplay, LINE_INTERVAL, Snapshot, TextDisplay};
pub use progress::{Code, ProgressMode, Screen, line_to_stderr, while_compiling};
pub use rerun_command::{ItemKind, RerunCommand};
pub use results::{ResultFormat, ResultPrinter, ResultsDir, to_json};
pub use text::{describe, message, name, one_line, printed_before, shell_quote, shown_path, stderr_lines, task_name};
pub use trace::Trace;

/// How many tasks are named that a merged result lacks.
const NAMED_TASKS: usize = 20;

/// What to show, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How results are printed.
    pub format: ResultFormat,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether a summary follows at the end.
    pub summary: bool,
    /// How often a task may be started.
    pub most_attempts: u32,
    /// The command line that runs one task.
    pub rerun: RerunCommand,
    /// Whether results are merged.
    pub is_merged: bool,
    /// Whether a task's instance may have run others before.
    pub reuses_instances: bool,
}

/// The files that a run writes as it goes.
#[derive(Debug, Default)]
pub struct RunFiles {
    /// The job log.
    pub log: Option<JobLog>,
    /// The trace.
    pub trace: Option<Trace>,
    /// The directory for results. With it, results of tasks are printed as JSON objects or not at all.
    pub results: Option<ResultsDir>,
}

/// Whether a run starts afresh or continues an earlier one. Only the latter may find files of that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStart {
    /// It starts afresh: its job log and its results must not exist.
    Fresh,
    /// It continues an earlier run.
    Resumed,
}

/// Delivered outcomes by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks with any outcome.
    pub tasks: u64,
    /// Tasks that failed by themselves.
    pub failed: u64,
    /// Tasks that the end of the run cut off.
    pub cancelled: u64,
    /// Tasks that passed, but not on their first attempt.
    pub flaky: u64,
    /// Whether the run ended early, by its own decision or because it was interrupted, with tasks left that are not counted.
    pub ended_early: bool,
    /// Whether the results could not be merged.
    pub merge_failed: bool,
}

impl Tally {
    /// Whether there is nothing that the exit code has to report.
    pub fn all_passed(&self) -> bool {
        self.failed == 0 && self.cancelled == 0 && !self.merge_failed
    }
}

/// The warning if results are not cached.
pub fn not_cached(why: &str) -> String {
    format!("warning: results are not cached: {}", one_line(why))
}

/// A notice about an input that is a copy, because its file could not be mapped.
pub fn copied(input: &Input) -> Option<String> {
    let len = input.len();
    input.is_copied().then(|| format!("{} cannot be mapped, so {len} bytes were copied", shown_path(input.path())))
}

/// Shows one run to the user, and writes its files.
pub struct Report {
    results: ResultPrinter,
    screen: Screen,
    display: Box<dyn Display>,
    verbose: u8,
    most_attempts: u32,
    rerun: RerunCommand,
    /// Whether results are merged, so that most outcomes are not delivered.
    is_merged: bool,
    /// The first tasks that the merged result lacks, by index.
    missing: Vec<u64>,
    /// When to show progress; `None` if it is not shown.
    progress: Option<Interval>,
    /// Whether results of tasks go to standard output.
    prints_results: bool,
    /// Whether each result is flushed at once, not only when the run has to wait.
    flush_each: bool,
    started: Instant,
    total: Rc<Cell<Option<u64>>>,
    stats: RunStats,
    tally: Tally,
    summary: Option<Summary>,
    stop: StopHandle,
    files: RunFiles,
    /// The first error of a file.
    file_error: Option<anyhow::Error>,
    /// An error of standard output that occurred where it could not be returned.
    flush_error: Option<io::Error>,
}

impl Report {
    /// Begins to show the run that `stop` stops. `total` is the number of its tasks, as soon as it is known.
    ///
    /// # Errors
    ///
    /// If there is no standard output.
    pub fn new(
        settings: Settings,
        total: Rc<Cell<Option<u64>>>,
        stop: StopHandle,
        files: RunFiles,
    ) -> io::Result<Report> {
        let (screen, has_lines) = Screen::choose(settings.progress);
        let results = ResultPrinter::to_stdout(settings.format, &screen)?;
        let interval = match &screen {
            Screen::Bar(_) => Some(BAR_INTERVAL),
            Screen::Json => Some(LINE_INTERVAL),
            Screen::Plain => has_lines.then_some(LINE_INTERVAL),
        };
        let display: Box<dyn Display> = match &screen {
            Screen::Json => Box::new(JsonDisplay),
            screen => Box::new(TextDisplay::new(screen.clone(), has_lines, settings.reuses_instances)),
        };
        // On a terminal each result appears at once, unless a bar would have to be redrawn around it.
        let flush_each = results.is_terminal() && !matches!(screen, Screen::Bar(_));
        Ok(Report {
            results,
            screen,
            display,
            verbose: settings.verbose,
            most_attempts: settings.most_attempts,
            rerun: settings.rerun,
            is_merged: settings.is_merged,
            missing: Vec::new(),
            progress: interval.map(Interval::new),
            prints_results: files.results.is_none() || matches!(settings.format, ResultFormat::Json { .. }),
            flush_each,
            started: Instant::now(),
            total,
            stats: RunStats::default(),
            tally: Tally::default(),
            summary: settings.summary.then(Summary::new),
            stop,
            files,
            file_error: None,
            flush_error: None,
        })
    }

    /// The screen, for other messages to the user.
    pub fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// The first error of a file, if there was one.
    pub fn take_file_error(&mut self) -> Option<anyhow::Error> {
        self.file_error.take()
    }

    /// What has been delivered so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether something is shown as time passes, not only when something happens.
    pub fn shows_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Takes in an event, in the order of the run.
    pub fn observe(&mut self, event: &Event<'_>, stats: &RunStats) {
        self.stats = *stats;
        if let Some(summary) = &mut self.summary {
            summary.observe(event);
        }
        if let Some(trace) = &mut self.files.trace
            && let Err(error) = trace.observe(event, stats)
        {
            self.drop_trace(error);
        }
        self.show_event(event);
        if self.progress.as_mut().is_some_and(Interval::is_due) {
            self.display.progress(&self.snapshot());
        }
    }

    fn show_event(&mut self, event: &Event<'_>) {
        match event {
            Event::TaskFinished(outcome) => self.finished_task(outcome),
            Event::MergeFinished(outcome) => self.show_log(outcome),
            Event::Retrying { outcome, delay } if self.verbose > 0 => self.display.retrying(outcome, *delay),
            Event::WorkerLost { worker, reason } if self.verbose > 0 => self.display.worker_lost(*worker, reason),
            Event::FewerWorkers { reason } => self.screen.notice(&advice::fewer_workers(reason)),
            Event::Unconfined { missing } => self.screen.notice(&format!(
                "warning: workers are not fully confined: this machine lacks {}; --sandbox strict refuses to run then",
                MissingLayer::list(missing)
            )),
            Event::NotCached { why } => self.screen.notice(&not_cached(why)),
            Event::Slow { index, task, worker, elapsed } => self.display.slow(*index, task, *worker, *elapsed),
            Event::Halted(why) => {
                self.tally.ended_early = true;
                self.screen.notice(&format!("halted: {}", message(&advice::halted(why))));
            }
            Event::HeldUp(shortage) => self.screen.notice(&format!("no task starts for now: {shortage}")),
            Event::Requeued { index, .. } => {
                self.screen.notice(&format!("task {index} was stopped to free memory, and runs again later"));
            }
            // The next result may take long.
            Event::Waiting => self.flush_quietly(),
            Event::Tick => {
                // The run has just waited, so the last look at the clock may be long ago.
                if let Some(interval) = &mut self.progress {
                    interval.look_now();
                }
            }
            _ => {}
        }
    }

    /// Prints a task's result, or reports its failure.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written; of kind `BrokenPipe` if its reader has closed it.
    pub fn deliver(&mut self, outcome: &Outcome) -> io::Result<()> {
        let rerun = if outcome.result.is_err() { self.rerun.for_failure(outcome) } else { None };
        self.show_outcome(outcome, rerun.as_deref());
        if self.prints_results {
            self.results.print(outcome, rerun.as_deref())?;
        }
        self.flush_if_wanted()
    }

    /// Prints the merged result, or reports why there is none.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver).
    pub fn deliver_merged(&mut self, outcome: &Outcome) -> io::Result<()> {
        match &outcome.result {
            Err(error) if error.status == Status::Cancelled => {
                let has_others = (1..self.stats.done).contains(&self.tally.failed);
                let advice = if has_others { "; merge the others with --reduce-failed skip" } else { "" };
                self.screen.notice(&format!("{}{advice}", describe(error)));
                self.tally.merge_failed = true;
            }
            Err(error) => {
                self.screen.report(&format!("merge failed: {}", describe(error)));
                self.tally.merge_failed = true;
            }
            Ok(_) if self.tally.failed > 0 => self.screen.notice(&self.missing_tasks()),
            Ok(_) => {}
        }
        let missing = if outcome.result.is_ok() { self.tally.failed } else { 0 };
        self.results.print_merged(outcome, missing)?;
        self.flush_if_wanted()
    }

    /// Notes that the run was interrupted.
    pub fn interrupted(&mut self) {
        self.tally.ended_early = true;
    }

    /// Ends the display: says what failed, and adds the summary if it is wanted.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver).
    pub fn finish(&mut self) -> io::Result<Tally> {
        self.finish_trace();
        if let Some(Err(error)) = self.files.log.as_ref().map(JobLog::finish) {
            self.file_error.get_or_insert(error);
        }
        let flushed = self.flush_error.take().map_or_else(|| self.results.flush(), Err);
        self.screen.clear();
        flushed?;
        // Of merged tasks, only failed ones were delivered.
        self.tally.tasks = self.tally.tasks.max(self.stats.done);
        self.tally.flaky = self.stats.flaky;
        self.display.finished_run(&self.snapshot(), &self.tally);
        if let Some(line) = from_cache(&self.stats).filter(|_| self.verbose > 0) {
            self.screen.notice(&line);
        }
        if let Some(summary) = &mut self.summary {
            summary.end();
            self.display.summary(summary);
        }
        Ok(self.tally)
    }

    /// Writes the rest of the trace.
    fn finish_trace(&mut self) {
        if let Some(mut trace) = self.files.trace.take()
            && let Err(error) = trace.finish(&self.stats)
        {
            self.drop_trace(error);
        }
    }

    /// Goes on without a trace; the error is reported at the end.
    fn drop_trace(&mut self, error: anyhow::Error) {
        self.file_error.get_or_insert(error);
        self.files.trace = None;
    }

    /// Takes in a task's outcome as soon as there is one, which may be before its turn to be delivered.
    fn finished_task(&mut self, outcome: &Outcome) {
        if let Some(log) = &mut self.files.log
            && let Err(error) = log.write(outcome)
        {
            self.file_error.get_or_insert(error);
            self.files.log = None;
            self.stop.stop_now();
        }
        // A cancelled task has no result yet, and may run in a later run.
        if let Some(results) = &self.files.results
            && outcome.status() != Status::Cancelled
            && let Err(error) = results.write(outcome)
        {
            self.file_error.get_or_insert(error);
            self.files.results = None;
            self.stop.stop_now();
        }
        // The outcomes of tasks whose results are merged are not delivered.
        if self.is_merged {
            self.show_log(outcome);
        }
        if self.verbose > 0 {
            if let Some(notice) = outcome.task.inputs.first().and_then(copied) {
                self.screen.notice(&notice);
            }
            self.display.finished_task(outcome);
        }
        if outcome.is_flaky() {
            self.display.flaky(outcome, self.most_attempts);
        }
    }

    /// Counts an outcome, and reports its logs and failure.
    fn show_outcome(&mut self, outcome: &Outcome, rerun: Option<&str>) {
        self.tally.tasks += 1;
        if !self.is_merged {
            self.show_log(outcome);
        }
        let Err(error) = &outcome.result else { return };
        if error.status == Status::Cancelled {
            // After an interruption there may be many; the last line counts them.
            self.tally.cancelled += 1;
        } else {
            self.tally.failed += 1;
            if self.is_merged {
                // Failures come in any order, and the message is to be the same in every run.
                let at = self.missing.partition_point(|index| *index < outcome.index);
                self.missing.insert(at, outcome.index);
                self.missing.truncate(NAMED_TASKS);
            }
            self.display.failed(outcome, error, rerun);
        }
    }

    /// Shows what a task logged and wrote to standard error.
    fn show_log(&mut self, outcome: &Outcome) {
        // Each `-v` adds a level.
        for line in &outcome.log {
            if line.level as u8 <= (Level::Info as u8).saturating_add(self.verbose) {
                self.display.logged(outcome, line);
            }
        }
        for text in text::stderr_lines(outcome) {
            self.display.logged(outcome, &LogLine::new(Level::Info, text));
        }
    }

    /// `the merged result lacks 2 of 20 tasks, which failed: 3, 17`.
    fn missing_tasks(&self) -> String {
        let indices = self.missing.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let more = self.tally.failed - self.missing.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (failed, tasks) = (self.tally.failed, self.stats.done);
        format!("warning: the merged result lacks {failed} of {tasks} tasks, which failed: {indices}{more}")
    }

    fn snapshot(&self) -> Snapshot {
        let RunStats { done, failed, cached, .. } = self.stats;
        Snapshot { done, total: self.total.get(), failed, cached, elapsed: self.started.elapsed() }
    }

    fn flush_if_wanted(&mut self) -> io::Result<()> {
        if let Some(error) = self.flush_error.take() {
            return Err(error);
        }
        if self.flush_each { self.results.flush() } else { Ok(()) }
    }

    /// Flushes from inside the run: an error can only stop it, and is returned later.
    fn flush_quietly(&mut self) {
        if let Err(error) = self.results.flush() {
            self.flush_error.get_or_insert(error);
            self.stop.stop_now();
        }
    }
}

/// `3 of 10 tasks came from the cache`, with merges if there were any; `None` if nothing did.
fn from_cache(stats: &RunStats) -> Option<String> {
    let RunStats { done, cached, merged, merged_cached, .. } = stats;
    match (cached + merged_cached, merged) {
        (0, _) => None,
        (_, 0) => Some(format!("{cached} of {done} tasks came from the cache")),
        (_, _) => Some(format!("{cached} of {done} tasks and {merged_cached} of {merged} merges came from the cache")),
    }
}

/// A run that ends with an error leaves no bar behind, and a complete trace.
impl Drop for Report {
    fn drop(&mut self) {
        self.finish_trace();
        self.screen.clear();
    }
}
