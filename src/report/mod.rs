//! What users see of a run: results on standard output; failures, logs and progress on standard error.
//!
//! ```text
//! Event ────▶ Report ──▶ Watcher: Human (bar or lines) or JsonEvents ──▶ standard error
//! Outcome ──▶        ──▶ Results (raw bytes, tagged lines or JSON) ────▶ standard output
//! ```
//!
//! Nothing here changes what a run does, except that a reader who has closed standard output ends it, and so does a job log that
//! takes no more.

mod compiling;
mod human;
mod joblog;
mod json;
mod json_events;
mod pace;
mod page;
mod quote;
mod rerun;
mod results;
mod results_dir;
mod screen;
mod summary;
mod task_object;
mod text;
mod trace;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use wrun::pool::StopHandle;
use wrun::{Event, Missing, Outcome, RunStats, Status, Summary, Task, TaskError};

pub use compiling::while_compiling;
use human::Human;
pub use joblog::{BEGINNING, Begun, JobLog, Kind, Name, ToContinue};
pub use json::to_json;
use json_events::JsonEvents;
use pace::Pace;
pub use page::{Details, TaskRecord, TaskTexts, page};
pub use quote::quote;
pub use rerun::{ItemsAre, Rerun};
pub use results::{Form, Results};
pub use results_dir::ResultsDir;
pub use screen::{Screen, line_to_stderr};
pub use text::{describe, message, name, one_line, task_name};
pub use trace::Trace;

/// How often the bar is drawn.
const REFRESH: Duration = Duration::from_millis(100);

/// How often progress is told where each time adds a line.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Log lines up to this level (3 is info) are shown; each `-v` shows one level more.
const SHOWN_LOG_LEVEL: u8 = 3;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// A bar where standard error is a terminal, nothing elsewhere
    Auto,
    /// A bar with rate and remaining time (lines where standard error is no terminal)
    Bar,
    /// A line of text about each second
    Lines,
    /// A JSON object a line for progress, failures and logs
    Json,
    /// Nothing
    None,
}

/// What to show, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How results are printed.
    pub form: Form,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether it is said at the end what the run took.
    pub summary: bool,
    /// How often a task may be started.
    pub most_attempts: u32,
    /// How a failed task is run again by itself.
    pub rerun: Rerun,
}

/// The files that a run writes as it goes.
#[derive(Debug, Default)]
pub struct Written {
    /// The job log.
    pub log: Option<JobLog>,
    /// The trace.
    pub trace: Option<Trace>,
    /// The directory for results; those of tasks are then printed as JSON objects or not at all.
    pub results: Option<ResultsDir>,
}

/// Outcomes by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks with an outcome, whatever it was.
    pub tasks: u64,
    /// Tasks that failed of their own.
    pub failed: u64,
    /// Tasks that the end of the run cut off.
    pub cancelled: u64,
    /// Tasks that passed, but not on their first attempt.
    pub flaky: u64,
    /// Whether the run ended early by itself, with tasks left that nobody has counted.
    pub halted: bool,
    /// Whether the results could not be merged.
    pub merge_failed: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    done: u64,
    total: Option<u64>,
    failed: u64,
    /// How many of those done did not run, because their results were in the cache.
    cached: u64,
    elapsed: Duration,
}

impl Snapshot {
    /// The time that the rest takes if it goes on as before; `None` where that is not known or there is no rest.
    fn remaining(&self) -> Option<Duration> {
        let total = self.total.filter(|total| (1..*total).contains(&self.done))?;
        let rest = total.saturating_sub(self.done) as f64 / self.done as f64;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest).ok()
    }
}

/// Shows what happens; each method is one kind of news.
trait Watcher {
    /// The run is so far; called at a pace that suits the eye.
    fn progress(&mut self, now: &Snapshot);
    /// A task ended, well or not (only with `-v`).
    fn ended(&mut self, outcome: &Outcome);
    /// A failed task's outcome is delivered; `rerun` is the command line that runs it again.
    fn failed(&mut self, outcome: &Outcome, error: &TaskError, rerun: Option<&str>);
    /// An attempt failed, and the next one follows after `delay` (only with `-v`).
    fn retrying(&mut self, outcome: &Outcome, delay: Duration);
    /// A task passed, but not on the first of at most `most_attempts`.
    fn flaky(&mut self, outcome: &Outcome, most_attempts: u32);
    /// A task logged a line.
    fn logged(&mut self, outcome: &Outcome, level: u8, line: &str);
    /// A task runs for long, and has not ended.
    fn slow(&mut self, index: u64, task: &Task, worker: u32, elapsed: Duration);
    /// A worker process died (only with `-v`: the task that it ran says so, too).
    fn worker_lost(&mut self, worker: u32, reason: &str);
    /// The run is over.
    fn finished(&mut self, now: &Snapshot, tally: &Tally);
    /// What it took (only with `--summary`).
    fn summary(&mut self, summary: &Summary);
}

/// What is said where results are not kept.
pub fn not_cached(why: &str) -> String {
    format!("warning: results are not cached: {}", one_line(why))
}

/// Shows one run to the user.
pub struct Report {
    results: Results,
    screen: Screen,
    watcher: Box<dyn Watcher>,
    verbose: u8,
    most_attempts: u32,
    rerun: Rerun,
    /// Paces progress; `None` where none is shown.
    progress: Option<Pace>,
    /// Whether results of tasks go to standard output.
    prints_results: bool,
    /// Whether each result is flushed at once, and not only when the run would wait.
    flush_each: bool,
    started: Instant,
    total: Rc<Cell<Option<u64>>>,
    stats: RunStats,
    tally: Tally,
    summary: Option<Summary>,
    stop: StopHandle,
    written: Written,
    /// Why one of the files could not be written.
    file_error: Option<anyhow::Error>,
    /// Why results could not be written at a moment when nobody could be told.
    flush_error: Option<io::Error>,
}

impl Report {
    /// Begins to show the run that `stop` stops, and to write its files; `total` is the number of its tasks as far as it is known.
    ///
    /// # Errors
    ///
    /// Where there is no standard output.
    pub fn new(
        settings: Settings,
        total: Rc<Cell<Option<u64>>>,
        stop: StopHandle,
        written: Written,
    ) -> io::Result<Report> {
        let (screen, lines) = Screen::choose(settings.progress);
        let results = Results::to_stdout(settings.form, &screen)?;
        let period = match &screen {
            Screen::Bar(_) => Some(REFRESH),
            Screen::Json => Some(LINE_EVERY),
            Screen::Plain => lines.then_some(LINE_EVERY),
        };
        let watcher: Box<dyn Watcher> = match &screen {
            Screen::Json => Box::new(JsonEvents),
            screen => Box::new(Human::new(screen.clone(), lines)),
        };
        // On a terminal each result appears at once, unless a bar would have to be drawn anew around each.
        let flush_each = results.is_terminal() && !matches!(screen, Screen::Bar(_));
        Ok(Report {
            results,
            screen,
            watcher,
            verbose: settings.verbose,
            most_attempts: settings.most_attempts,
            rerun: settings.rerun,
            progress: period.map(Pace::every),
            prints_results: written.results.is_none() || matches!(settings.form, Form::Json { .. }),
            flush_each,
            started: Instant::now(),
            total,
            stats: RunStats::default(),
            tally: Tally::default(),
            summary: settings.summary.then(Summary::new),
            stop,
            written,
            file_error: None,
            flush_error: None,
        })
    }

    /// Where other lines for the user go.
    pub fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// Why one of the files could not be written, if it could not: the first one.
    pub fn take_file_error(&mut self) -> Option<anyhow::Error> {
        self.file_error.take()
    }

    /// What was delivered so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether something is shown as time passes, and not only when something happens.
    pub fn shows_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Takes in an event, in the run's own order.
    pub fn observe(&mut self, event: &Event<'_>, stats: &RunStats) {
        self.stats = *stats;
        if let Some(summary) = &mut self.summary {
            summary.observe(event);
        }
        if let Some(trace) = &mut self.written.trace
            && let Err(error) = trace.observe(event, stats)
        {
            self.end_trace(error);
        }
        match event {
            Event::TaskFinished(outcome) => self.ended(outcome),
            Event::Retrying { outcome, delay } if self.verbose > 0 => self.watcher.retrying(outcome, *delay),
            Event::WorkerLost { worker, reason } if self.verbose > 0 => self.watcher.worker_lost(*worker, reason),
            Event::Unconfined { missing } => self.screen.notice(&format!(
                "warning: workers are not fully confined on this machine, which lacks {}; --sandbox strict refuses to run so",
                Missing::list(missing)
            )),
            Event::NotCached { why } => self.screen.notice(&not_cached(why)),
            Event::Slow { index, task, worker, elapsed } => self.watcher.slow(*index, task, *worker, *elapsed),
            Event::Halted(why) => {
                self.tally.halted = true;
                self.screen.notice(&format!("halted: {}", message(&why.to_string())));
            }
            // Nobody knows how long it will be until the next result.
            Event::HeldUp(shortage) => self.screen.notice(&format!("no task starts for now: {shortage}")),
            Event::Requeued { index, .. } => {
                self.screen.notice(&format!("task {index} was stopped for the memory that it had, and runs again later"));
            }
            Event::Waiting => self.flush_quietly(),
            // The run has just waited, if only for a moment: the last look at the clock may be long ago.
            Event::Tick => self.progress.iter_mut().for_each(Pace::look_now),
            _ => {}
        }
        if self.progress.as_mut().is_some_and(Pace::is_due) {
            self.watcher.progress(&self.snapshot());
        }
    }

    /// Prints a task's result, or tells of its failure.
    ///
    /// # Errors
    ///
    /// Where standard output takes no more; of kind `BrokenPipe` where its reader wants no more.
    pub fn deliver(&mut self, outcome: &Outcome) -> io::Result<()> {
        let rerun = outcome.result.is_err().then(|| self.rerun.line(outcome)).flatten();
        self.tell(outcome, rerun.as_deref());
        if self.prints_results {
            self.results.print(outcome, rerun.as_deref())?;
        }
        self.flush_if_wanted()
    }

    /// Prints the result that the tasks' results were merged to, or tells why there is none.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver).
    pub fn deliver_merged(&mut self, outcome: &Outcome) -> io::Result<()> {
        if let Err(error) = &outcome.result
            && (error.status != Status::Cancelled || self.tally.failed == 0)
        {
            self.screen.report(&format!("merge failed: {}", describe(error)));
            self.tally.merge_failed = true;
        }
        self.results.print_merged(outcome)?;
        self.flush_if_wanted()
    }

    /// Ends the display with a summary where something failed.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver).
    pub fn finish(&mut self) -> io::Result<Tally> {
        self.finish_trace();
        let flushed = self.flush_error.take().map_or_else(|| self.results.flush(), Err);
        self.screen.clear();
        flushed?;
        // Of merged tasks only those that failed were delivered.
        self.tally.tasks = self.tally.tasks.max(self.stats.done);
        self.tally.flaky = self.stats.flaky;
        self.watcher.finished(&self.snapshot(), &self.tally);
        if let Some(line) = from_cache(&self.stats).filter(|_| self.verbose > 0) {
            self.screen.notice(&line);
        }
        if let Some(summary) = &mut self.summary {
            summary.end();
            self.watcher.summary(summary);
        }
        Ok(self.tally)
    }

    /// Writes what the trace lacks.
    fn finish_trace(&mut self) {
        if let Some(mut trace) = self.written.trace.take()
            && let Err(error) = trace.finish(&self.stats)
        {
            self.end_trace(error);
        }
    }

    /// Goes on without a trace: what it lacks is said at the end.
    fn end_trace(&mut self, error: anyhow::Error) {
        self.file_error.get_or_insert(error);
        self.written.trace = None;
    }

    /// Tells of a task's end, before its turn to be delivered.
    fn ended(&mut self, outcome: &Outcome) {
        if let Some(log) = &mut self.written.log
            && let Err(error) = log.write(outcome)
        {
            self.file_error.get_or_insert(error);
            self.written.log = None;
            self.stop.stop_now();
        }
        // A task that was cancelled has left nothing, and may run in a later run.
        if let Some(results) = &self.written.results
            && outcome.status() != Status::Cancelled
            && let Err(error) = results.write(outcome)
        {
            self.file_error.get_or_insert(error);
            self.written.results = None;
            self.stop.stop_now();
        }
        if self.verbose > 0 {
            self.watcher.ended(outcome);
        }
        if outcome.is_flaky() {
            self.watcher.flaky(outcome, self.most_attempts);
        }
    }

    /// Counts an outcome and tells of its logs and failure.
    fn tell(&mut self, outcome: &Outcome, rerun: Option<&str>) {
        self.tally.tasks += 1;
        for (level, line) in &outcome.log {
            if *level <= SHOWN_LOG_LEVEL.saturating_add(self.verbose) {
                self.watcher.logged(outcome, *level, line);
            }
        }
        let Err(error) = &outcome.result else { return };
        if error.status == Status::Cancelled {
            // After an interruption there may be many of them, and the summary counts them.
            self.tally.cancelled += 1;
        } else {
            self.tally.failed += 1;
            self.watcher.failed(outcome, error, rerun);
        }
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

    /// Flushes from inside the run, which can then only be asked to stop.
    fn flush_quietly(&mut self) {
        if let Err(error) = self.results.flush() {
            self.flush_error.get_or_insert(error);
            self.stop.stop_now();
        }
    }
}

/// `3 of 10 tasks came from the cache`, where any did; merges where there were some.
fn from_cache(stats: &RunStats) -> Option<String> {
    let RunStats { done, cached, merged, merged_cached, .. } = stats;
    match (cached + merged_cached, merged) {
        (0, _) => None,
        (_, 0) => Some(format!("{cached} of {done} tasks came from the cache")),
        (_, _) => Some(format!("{cached} of {done} tasks and {merged_cached} of {merged} merges came from the cache")),
    }
}

/// A run that ends by an error leaves no bar behind, and a whole trace.
impl Drop for Report {
    fn drop(&mut self) {
        self.finish_trace();
        self.screen.clear();
    }
}
