//! `wrun run`: one task, with the terminal attached where it is a command.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::module::Entry;
use wrun::{EarlyWorker, Event, Job, Outcome, Pool, Task, TaskError};

use super::arguments::check_numbers;
use super::compiler::CompilerArgs;
use super::core_dumps::{CoreDumpArgs, CoreDumps};
use super::exit_codes;
use super::grants::GrantArgs;
use super::options::{self, BackendArgs, LimitArgs, SandboxArgs, TaskArgs};
use super::parse::{self, ItemFile};
use super::print::written;
use super::regions::RegionArgs;
use super::results::ResultCacheArgs;
use super::usage;
use crate::report::{self, Form, ProgressMode, Results, Screen, line_to_stderr};

/// Run one task; a WASI command runs like a program, with these arguments and this terminal
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Run this module: a .wasm or .wat file, or a .cwasm file with --allow-precompiled
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// Give these words to a WASI command as its arguments; joined by spaces, they are any other task's argument. Options
    /// of wrun stand before the first of them; `--` before it if it looks like one
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    one: OneArgs,

    /// Print one JSON object with the result or the failure
    #[arg(long, conflicts_with = "raw", help_heading = "Results")]
    json: bool,

    /// Add no newline to a result that does not end in one
    #[arg(long, help_heading = "Results")]
    raw: bool,

    #[command(flatten)]
    regions: RegionArgs,

    #[command(flatten)]
    cache: ResultCacheArgs,

    #[command(flatten)]
    backend: BackendArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    sandbox: SandboxArgs,

    #[command(flatten)]
    grants: GrantArgs,

    #[command(flatten)]
    core_dumps: CoreDumpArgs,

    #[command(flatten)]
    compiler: CompilerArgs,
}

/// Options that make `run` do what `map` does with one of its items.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "One task of a map")]
struct OneArgs {
    /// Run the task as number N of a map; a command then gets no terminal and no standard input, and its output is the result
    #[arg(long, value_name = "N")]
    index: Option<u64>,

    /// Take this item of a map as the argument; ARGs are then the words of a command, in which `{}` stands for it
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true, conflicts_with = "file")]
    item: Option<OsString>,

    /// Map this file, LEN bytes of it from OFFSET on, or with PATH[START:END] rows of a .npy file, as the task's input 0, as a map
    /// does with files and pieces of files
    #[arg(long, value_name = "PATH[@OFFSET+LEN]", value_parser = OsStringValueParser::new().map(parse::item_file))]
    file: Option<ItemFile>,
}

impl OneArgs {
    fn is_given(&self) -> bool {
        self.index.is_some() || self.item.is_some() || self.file.is_some()
    }

    /// The task, and the words of a command; `words` are the ARGs.
    fn task(&self, words: Vec<OsString>) -> anyhow::Result<(Task, Option<Vec<String>>)> {
        let task = match (&self.item, &self.file) {
            (None, None) => return Ok((Task::new(words.join(" ".as_ref()).into_vec()), None)),
            (Some(item), _) => Task::new(item.as_bytes()),
            (None, Some(file)) => file.task()?,
        };
        let argv = if words.is_empty() { None } else { Some(text_words(words)?) };
        Ok((task, argv))
    }
}

impl RunArgs {
    /// Runs the task; gives the program's own exit code, or the documented one.
    pub fn execute(self, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        let inputs = self.task.open_inputs()?;
        let regions = self.regions.open()?;
        let sandbox = self.sandbox.sandbox();
        let module = options::load_to_run(&self.module, &self.compiler, &self.limits, sandbox, ProgressMode::Auto)?;
        let entry = module.entry(self.task.call.as_deref(), None)?;
        if let (Entry::Scalar(function), false) = (&entry, self.one.is_given()) {
            check_numbers(function, &self.words.join(" ".as_ref()).to_string_lossy())?;
        }
        let attached = entry == Entry::Command && !self.one.is_given();
        if attached && self.json {
            return Err(usage(
                "a command writes to this terminal by itself; for its output as JSON, use wrun map --json",
            ));
        }
        let mut job = Job::new(&module).call(entry.name()).limits(self.limits.limits());
        job.inputs = inputs;
        regions.apply(&mut job);
        self.grants.grant(&mut job)?;
        let core_dumps = self.core_dumps.open(&job.grants)?;
        job.core_dumps = core_dumps.is_some();
        let pool = Pool::builder().workers(NonZeroUsize::MIN).sandbox(sandbox).backend(self.backend.backend());
        let mut pool = super::pool(self.cache.apply(pool)?, early)?;
        if attached {
            if self.cache.is_given() {
                line_to_stderr(&not_cached(ATTACHED));
            }
            return match pool.run_attached(&job, &text_words(self.words)?)? {
                Ok(code) => Ok(ExitCode::from(code)),
                Err(error) => Ok(failed(module.name(), &error, core_dumps.as_ref())),
            };
        }
        let (task, argv) = self.one.task(self.words)?;
        job.argv = argv;
        let mut run =
            pool.map(&job, std::iter::once(task))?.first_index(self.one.index.unwrap_or(0)).observe(|event, _| {
                if let Event::NotCached { why } = event {
                    line_to_stderr(&not_cached(why));
                }
            });
        let outcome = run.next();
        run.finish()?;
        let outcome = outcome.context("the run was stopped before its task ran")?;
        let form = if self.json { Form::Json { usage: false } } else { Form::Text { tag: false, raw: self.raw } };
        written(print(&outcome, form))?;
        Ok(match &outcome.result {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => failed(module.name(), error, core_dumps.as_ref()),
        })
    }
}

/// Why a program on the terminal is not cached.
const ATTACHED: &str = "a program on this terminal reads and writes it by itself; give it an --item or --index";

fn not_cached(why: &str) -> String {
    format!("wrun: {}", report::not_cached(why))
}

/// A command's arguments, which are text.
fn text_words(words: Vec<OsString>) -> anyhow::Result<Vec<String>> {
    let text = |word: OsString| word.into_string().map_err(|word| usage(format!("argument {word:?} is not UTF-8")));
    words.into_iter().map(text).collect()
}

/// Prints the result, and what the task logged.
fn print(outcome: &Outcome, form: Form) -> io::Result<()> {
    for (_, line) in &outcome.log {
        line_to_stderr(&report::message(line));
    }
    let mut results = Results::to_stdout(form, &Screen::Plain)?;
    results.print(outcome, None)?;
    results.flush()
}

/// Says why the task failed.
fn failed(name: &str, error: &TaskError, core_dumps: Option<&CoreDumps>) -> ExitCode {
    if let (Some(dumps), Some(dump)) = (core_dumps, &error.core_dump) {
        line_to_stderr(&format!("wrun: {}", dumps.write(name, 0, dump)));
    }
    line_to_stderr(&format!("wrun: {} failed: {}", report::name(name), report::describe(error)));
    ExitCode::from(exit_codes::TASK_FAILED)
}
