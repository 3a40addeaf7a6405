//! `wrun map`: many tasks, results on standard output.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use wrun::module::Entry;
use wrun::{EarlyWorker, Event, Job, Module, Run, Task, TaskError, TaskKeys};

use super::arguments::check_numbers;
use super::compiler::CompilerArgs;
use super::core_dumps::CoreDumpArgs;
use super::dry_run;
use super::exit_codes;
use super::failure::FailureArgs;
use super::grants::GrantArgs;
use super::interrupt::Interrupted;
use super::items::{ItemArgs, Items};
use super::options::{self, LimitArgs, SandboxArgs, TaskArgs, WorkerArgs};
use super::print::STDOUT;
use super::regions::RegionArgs;
use super::results::ResultCacheArgs;
use super::resume::LoggedItems;
use super::usage;
use super::watching::WatchArgs;
use crate::report::{Form, Report, Rerun, ResultsDir, Settings, Tally, Written, line_to_stderr};

/// Run one task per item, in parallel; print the results in item order
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
    regions: RegionArgs,
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

    /// Run a WASI command with these words as its arguments; `{}` in them stands for the item
    #[arg(last = true, value_name = "WORD", help_heading = None)]
    argv: Option<Vec<String>>,

    #[command(flatten)]
    compiler: CompilerArgs,
}

/// What is printed of the results.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
struct ResultArgs {
    /// Print results as tasks end instead of in item order
    #[arg(long)]
    unordered: bool,

    /// Put the item (for files and pieces, the path and range) and a tab before each line of its result
    #[arg(long)]
    tag: bool,

    /// Print one JSON object a line for each task, failed ones too
    #[arg(long, conflicts_with_all = ["tag", "raw"])]
    json: bool,

    /// Add no newline to results that do not end in one
    #[arg(long)]
    raw: bool,

    /// Write each result to a file in DIR, which must be empty unless a run is resumed, and print nothing (but with --json, objects, and
    /// the merged result): INDEX.out, or INDEX-NAME.out where items are files; why a task failed to INDEX.err, what it logged to INDEX.log
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tag", "unordered"])]
    results: Option<PathBuf>,

    /// Merge all results to one by the task NAME, which gets earlier results as its inputs, in item order
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tag", "unordered"])]
    reduce: Option<String>,
}

impl ResultArgs {
    /// What `run` is to do with the result, in words.
    fn words_of_run(&self) -> impl Iterator<Item = OsString> {
        [(self.json, "--json"), (self.raw, "--raw")]
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, word)| word.into())
    }

    fn form(&self, watching: &WatchArgs) -> Form {
        match self.json {
            true => Form::Json { usage: watching.summary },
            false => Form::Text { tag: self.tag, raw: self.raw },
        }
    }
}

impl MapArgs {
    /// Runs the tasks; gives the documented exit code. `shared_options` are those that a `run` of one task needs as well.
    pub fn execute(self, shared_options: Vec<OsString>, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        // Whatever is quickly checked comes before a compilation that may take a while.
        let inputs = self.task.open_inputs()?;
        let regions = match self.watching.dry_run {
            true => self.regions.open_to_look()?,
            false => self.regions.open()?,
        };
        let items = self.items.open(self.limits.longest_argument()?)?;
        let log = match self.watching.dry_run {
            true => self.failure.open_log_to_look()?,
            false => self.failure.open_log()?,
        };
        let sandbox = self.sandbox.sandbox();
        let module = options::load_to_run(&self.module, &self.compiler, &self.limits, sandbox, self.watching.progress)?;
        if let Some(function) = &self.results.reduce {
            module.entry(Some(function), None)?;
        }
        let entry = module.entry(self.task.call.as_deref(), self.results.reduce.as_deref())?;
        check_entry(&module, &entry, self.argv.is_some(), &items)?;

        let mut job = Job::new(&module).call(entry.name()).limits(self.limits.limits());
        let is_chosen = self.task.call.is_none() && self.results.reduce.is_some();
        let mut words = words_of_run(&self.module, job.call.as_deref().filter(|_| is_chosen), shared_options);
        job.argv = self.argv;
        job.inputs = inputs;
        regions.apply(&mut job);
        job.instances = self.workers.instances();
        self.grants.grant(&mut job)?;
        self.failure.apply(&mut job);
        job.admission = self.workers.admission();
        job.slow = self.watching.slow;
        let core_dumps = self.core_dumps.open(&job.grants)?;
        job.core_dumps = core_dumps.is_some();
        if self.watching.dry_run {
            words.extend(self.results.words_of_run());
        }
        let items_are = items.are();
        let settings = Settings {
            form: self.results.form(&self.watching),
            progress: self.watching.progress,
            verbose: self.watching.verbose,
            summary: self.watching.summary,
            most_attempts: job.retries.count.saturating_add(1),
            rerun: Rerun::new(&words, job.argv.as_deref(), items_are),
        };

        let (total, failure) = (items.total(), items.failure());
        let (items, log) = match log {
            Some((log, earlier)) => {
                if earlier.is_some() && !(job.grants.are_pure() && job.shared.is_empty()) {
                    line_to_stderr(IMPURE);
                }
                let keys = TaskKeys::new(&job, self.results.reduce.as_deref())?;
                (LoggedItems::new(items, keys, &log, earlier, job.out.as_ref())?, Some(log))
            }
            None => (LoggedItems::without_log(items), None),
        };
        if self.watching.dry_run {
            if !job.grants.environment.is_empty() {
                line_to_stderr(
                    "wrun: values of --env are left out of these lines; they are taken from the environment",
                );
            }
            // What keeps the run from beginning keeps its lines from it as well.
            self.workers.pool(sandbox).build()?.map(&job, std::iter::empty::<Task>())?;
            let code = dry_run::print(items, &settings.rerun, self.results.reduce.as_deref())?;
            return failure.take().map_or(Ok(code), Err);
        }
        let mut pool = super::pool(self.cache.apply(self.workers.pool(sandbox))?, early)?;
        let run = pool.map(&job, items)?;
        let trace = self.watching.open_trace(&self.module)?;
        let results = self.results.results.as_deref();
        let results = results.map(|path| ResultsDir::open(path, self.failure.to_continue(), items_are)).transpose()?;
        let report =
            Report::new(settings, total, run.stop_handle(), Written { log, trace, results }).context(STDOUT)?;
        let run = if report.shows_progress() { run } else { run.without_ticks() };
        let run = match self.workers.ahead() {
            Some(ahead) => run.ahead(ahead),
            None => run,
        };
        let report = Rc::new(RefCell::new(report));
        let observer = Rc::clone(&report);
        let name = module.name();
        let run = run.observe(move |event, stats| {
            if let (Some(dumps), Event::TaskFinished(outcome)) = (&core_dumps, event)
                && let Err(TaskError { core_dump: Some(dump), .. }) = &outcome.result
            {
                observer.borrow().screen().notice(&dumps.write(name, outcome.index, dump));
            }
            observer.borrow_mut().observe(event, stats);
        });
        let interrupted = Interrupted::watch(run.stop_handle(), report.borrow().screen(), self.workers.are_inline())
            .context("signal handlers")?;

        let printed = match &self.results.reduce {
            Some(function) => reduce(run, function, &report)?,
            None if self.results.unordered => map(run.unordered(), &report)?,
            None => map(run, &report)?,
        };
        let code = match printed.and_then(|()| report.borrow_mut().finish()) {
            _ if interrupted.get() => exit_codes::INTERRUPTED,
            Ok(Tally { failed: 0, cancelled: 0, merge_failed: false, .. }) => exit_codes::OK,
            Ok(_) => exit_codes::TASK_FAILED,
            // Whoever reads the results has enough of them.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => exit_codes::OK,
            Err(error) => return Err(error).context(STDOUT),
        };
        let failure = failure.take().or_else(|| report.borrow_mut().take_file_error());
        match failure {
            Some(error) => Err(error),
            None => Ok(ExitCode::from(code)),
        }
    }
}

/// The words by which `run` does the same with one task, but for what tells the task. `chosen` is the function where that was
/// found by leaving out the one that merges, of which `run` knows nothing.
fn words_of_run(module: &Path, chosen: Option<&str>, shared_options: Vec<OsString>) -> Vec<OsString> {
    // No path is to look like an option.
    let option_like = module.as_os_str().as_bytes().starts_with(b"-");
    let module = if option_like { Path::new(".").join(module) } else { module.to_owned() };
    let mut words = vec![module.into_os_string()];
    words.extend(chosen.into_iter().flat_map(|name| [OsString::from("--call"), name.into()]));
    words.extend(shared_options);
    words
}

/// Said where an earlier result need not be what a task would give now.
const IMPURE: &str = "wrun: warning: results in the joblog are taken as they are, although tasks may see other files in --dir, \
                      other bytes in --shared, another time or other random numbers now";

/// Checks what is known of the arguments before the first task starts.
fn check_entry(module: &Module, entry: &Entry, has_words: bool, items: &Items) -> anyhow::Result<()> {
    if has_words && *entry != Entry::Command {
        let name = module.name();
        return Err(usage(format!(
            "words after -- are a command's arguments, and module {name} is called as no command"
        )));
    }
    if let Entry::Scalar(function) = entry {
        for argument in items.known_arguments() {
            check_numbers(function, &argument.to_string_lossy())?;
        }
    }
    Ok(())
}

/// Prints each outcome; gives as the inner result whether they could be printed.
fn map(mut run: Run<'_, LoggedItems>, report: &RefCell<Report>) -> anyhow::Result<io::Result<()>> {
    for outcome in &mut run {
        let printed = report.borrow_mut().deliver(&outcome);
        if printed.is_err() {
            // The run is dropped here, which cancels what is left of it.
            return Ok(printed);
        }
    }
    let (taken, told) = (run.finish()?.taken, report.borrow().tally().tasks);
    // Results that are missing must never pass for results that are not there.
    ensure!(told == taken, "{told} outcomes were given for {taken} tasks, which is a defect of wrun; please report it");
    Ok(Ok(()))
}

/// Prints failures and the merged result; gives as the inner result whether they could be printed.
fn reduce(run: Run<'_, LoggedItems>, function: &str, report: &RefCell<Report>) -> anyhow::Result<io::Result<()>> {
    let stop = run.stop_handle();
    let mut printed = Ok(());
    let merged = run.reduce(function, |failed| {
        if printed.is_ok() {
            printed = report.borrow_mut().deliver(&failed);
            if printed.is_err() {
                stop.stop_now();
            }
        }
    })?;
    Ok(printed.and_then(|()| report.borrow_mut().deliver_merged(&merged)))
}
