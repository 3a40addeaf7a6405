//! `wrun run`: one task. A WASI command is attached to the terminal.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::module::Entry;
use wrun::{EarlyWorker, Event, Job, Module, Outcome, Pool, PoolBuilder, Task, TaskError};

use super::check_argument::check_argument;
use crate::cli::errors::usage;
use crate::cli::file_roles::FileRoles;
use crate::cli::options::compiler::CompilerArgs;
use crate::cli::options::core_dumps::{CoreDumpArgs, CoreDumps};
use crate::cli::options::grants::GrantArgs;
use crate::cli::options::in_place::InPlaceArgs;
use crate::cli::options::limits::LimitArgs;
use crate::cli::options::result_cache::ResultCacheArgs;
use crate::cli::options::sandbox::SandboxArgs;
use crate::cli::options::task::TaskArgs;
use crate::cli::options::values::{self, ItemFile};
use crate::cli::options::workers::BackendArgs;
use crate::cli::{build_pool, exit_codes, stdout};
use crate::report::{self, ProgressMode, ResultFormat, ResultPrinter, Screen, line_to_stderr};

/// Run one task; a WASI command runs like a native program
///
/// A WASI command gets the ARGs as its arguments, reads and writes this terminal, and its exit code is that of wrun.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Run this module: a .wasm or .wat file, or a .cwasm file with --allow-precompiled
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// Pass these words to a WASI command, or to a function of a WASI program that takes no numbers, as its arguments; for a component's
    /// function, each is a value in WAVE notation; for any other task, join them with spaces to its argument. Options of wrun
    /// go before the first ARG; put `--` before it if it looks like an option
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    map_task: MapTaskArgs,

    /// Print one JSON object with the result or the failure
    #[arg(long, conflicts_with = "raw", help_heading = "Results")]
    json: bool,

    /// Do not add a newline to a result that does not end in one
    #[arg(long, help_heading = "Results")]
    raw: bool,

    #[command(flatten)]
    in_place: InPlaceArgs,

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
struct MapTaskArgs {
    /// Run the task as number N of a map; a WASI command then gets no terminal and no standard input, and its output is the result
    #[arg(long, value_name = "N")]
    index: Option<u64>,

    /// Use this item of a map as the argument; the ARGs are then the words of a WASI program, in which `{}` stands for the item
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true, conflicts_with = "file")]
    item: Option<OsString>,

    /// Map this file, LEN bytes of it from OFFSET, or with PATH[START:END] rows of a .npy file, as the task's input 0, as map does with
    /// files and their pieces
    #[arg(long, value_name = "PATH[@OFFSET+LEN]", value_parser = OsStringValueParser::new().map(values::item_file))]
    file: Option<ItemFile>,
}

impl MapTaskArgs {
    fn is_given(&self) -> bool {
        self.index.is_some() || self.item.is_some() || self.file.is_some()
    }

    fn index(&self) -> u64 {
        self.index.unwrap_or(0)
    }

    /// Makes the task, and says what the ARGs in `words` are to it.
    fn task(&self, words: Vec<OsString>, words_use: WordsUse) -> anyhow::Result<TaskToRun> {
        let task = match (&self.item, &self.file) {
            (None, None) => match words_use.argument(&words) {
                Some(argument) => {
                    let task = Task::new(argument.into_vec());
                    return Ok(TaskToRun { task, argv: None, index: self.index() });
                }
                None => Task::default(),
            },
            (Some(item), _) => Task::new(item.as_bytes()),
            (None, Some(file)) => file.task()?,
        };
        let argv = if words.is_empty() { None } else { Some(text_words(words)?) };
        Ok(TaskToRun { task, argv, index: self.index() })
    }
}

/// What the ARGs are to a task that is not given otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WordsUse {
    /// Its argument.
    Argument,
    /// Values for the parameters of a component's function.
    Values,
    /// The words of its program: a function without parameters has no argument.
    Program,
}

impl WordsUse {
    fn of(entry: &Entry, module: &Module) -> WordsUse {
        match entry {
            Entry::Scalar(function) if function.params.is_empty() && module.description().reads_argv() => {
                WordsUse::Program
            }
            Entry::Function(_) => WordsUse::Values,
            _ => WordsUse::Argument,
        }
    }

    /// The argument that the ARGs are.
    fn argument(self, words: &[OsString]) -> Option<OsString> {
        match self {
            WordsUse::Argument => Some(words.join(" ".as_ref())),
            WordsUse::Values => Some(words.join(", ".as_ref())),
            WordsUse::Program => None,
        }
    }
}

/// The task, the words of a program, and the task's index.
struct TaskToRun {
    task: Task,
    argv: Option<Vec<String>>,
    index: u64,
}

/// What to run, and how: every file is open, and the module is compiled.
struct RunPlan {
    module: Module,
    job: Job,
    pool: PoolBuilder,
    core_dumps: Option<CoreDumps>,
    action: Action,
}

enum Action {
    /// Attach a command with these arguments to the terminal.
    Attach { argv: Vec<OsString>, warns_not_cached: bool },
    /// Run a task and print its result.
    Print { map_task: MapTaskArgs, words: Vec<OsString>, words_use: WordsUse, format: ResultFormat },
}

impl RunArgs {
    /// Runs the task; gives the program's own exit code, or a documented one.
    ///
    /// # Errors
    ///
    /// If the task cannot be run. A failed task is not an error.
    pub fn execute(self, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        self.plan()?.execute(early)
    }

    /// Checks that no file that is written has another role.
    fn check_roles(&self) -> anyhow::Result<()> {
        let mut roles = FileRoles::default();
        self.in_place.note_roles(&mut roles)?;
        roles.write_stream("standard output", io::stdout())?;
        roles.write_stream("standard error", io::stderr())?;
        roles.read("the module", &self.module)?;
        self.task.check_roles(&roles)?;
        self.map_task.file.as_ref().map_or(Ok(()), |file| roles.read("--file", file.path()))
    }

    fn plan(self) -> anyhow::Result<RunPlan> {
        self.check_roles()?;
        let inputs = self.task.open_inputs()?;
        let in_place = self.in_place.open_for_one_task()?;
        let sandbox = self.sandbox.sandbox();
        let unknown = self.task.unknown_imports();
        let module = self.compiler.load_to_run(&self.module, &self.limits, sandbox, ProgressMode::Auto, unknown)?;
        let entry = module.entry(self.task.call.as_deref(), None)?;
        let words_use = match self.map_task.is_given() {
            true => WordsUse::Argument,
            false => WordsUse::of(&entry, &module),
        };
        if !self.map_task.is_given()
            && let Some(argument) = words_use.argument(&self.words)
        {
            check_argument(&entry, &argument)?;
        }
        if self.map_task.file.is_some() {
            module.check_own_inputs()?;
        }
        let is_attached = entry == Entry::Command && !self.map_task.is_given();
        if is_attached && self.json {
            return Err(usage(
                "a command writes to this terminal by itself; for its output as JSON, use wrun map --json",
            ));
        }
        if is_attached && self.task.has_exit_codes() {
            return Err(usage("a command on this terminal passes its exit code on; leave --ok-exit-codes out"));
        }
        let mut job = Job::new(&module).call(entry.name()).limits(self.limits.limits());
        self.task.apply(&mut job);
        job.inputs = inputs;
        in_place.apply(&mut job);
        self.grants.grant(&mut job)?;
        let core_dumps = self.core_dumps.open(&job.grants)?;
        job.core_dumps = core_dumps.is_some();
        let pool = Pool::builder().workers(NonZeroUsize::MIN).sandbox(sandbox).backend(self.backend.backend());
        let pool = self.cache.apply(pool)?;
        let action = if is_attached {
            Action::Attach { argv: self.words, warns_not_cached: self.cache.cache }
        } else {
            let format = match self.json {
                true => ResultFormat::Json { usage: false },
                false => ResultFormat::Text { tag: false, raw: self.raw },
            };
            Action::Print { map_task: self.map_task, words: self.words, words_use, format }
        };
        Ok(RunPlan { module, job, pool, core_dumps, action })
    }
}

impl RunPlan {
    fn execute(self, early: Option<EarlyWorker>) -> anyhow::Result<ExitCode> {
        let RunPlan { module, job, pool, core_dumps, action } = self;
        let mut pool = build_pool(pool, early)?;
        let failure = match action {
            Action::Attach { argv, warns_not_cached } => {
                if warns_not_cached {
                    warn_not_cached(ATTACHED);
                }
                match pool.run_attached(&job, &text_words(argv)?)? {
                    Ok(code) => return Ok(ExitCode::from(code)),
                    Err(error) => Some(error),
                }
            }
            Action::Print { map_task, words, words_use, format } => {
                let outcome = run_task(&mut pool, job, map_task.task(words, words_use)?)?;
                stdout::check(print_outcome(&outcome, format))?;
                outcome.result.err()
            }
        };
        Ok(match failure {
            None => ExitCode::SUCCESS,
            Some(error) => report_failure(module.name(), &error, core_dumps.as_ref()),
        })
    }
}

fn run_task(pool: &mut Pool, mut job: Job, to_run: TaskToRun) -> anyhow::Result<Outcome> {
    job.argv = to_run.argv;
    let run = pool.map(&job, std::iter::once(to_run.task))?;
    let mut run = run.first_index(to_run.index).observe(|event, _| {
        if let Event::NotCached { why } = event {
            warn_not_cached(why);
        }
    });
    let outcome = run.next();
    run.finish()?;
    outcome.context("the run was stopped before its task ran")
}

/// Why the output of an attached command is not cached.
const ATTACHED: &str = "a program on this terminal reads and writes it by itself; give it an --item or --index";

fn warn_not_cached(why: &str) {
    line_to_stderr(&format!("wrun: {}", report::not_cached(why)));
}

/// The arguments of a command, which are text.
fn text_words(words: Vec<OsString>) -> anyhow::Result<Vec<String>> {
    let text = |word: OsString| word.into_string().map_err(|word| usage(format!("argument {word:?} is not UTF-8")));
    words.into_iter().map(text).collect()
}

/// Prints the result, and what the task logged.
fn print_outcome(outcome: &Outcome, format: ResultFormat) -> io::Result<()> {
    for line in &outcome.log {
        line_to_stderr(&report::message(&line.text));
    }
    for line in report::stderr_lines(outcome) {
        line_to_stderr(&report::message(&line));
    }
    let mut results = ResultPrinter::to_stdout(format, &Screen::Plain)?;
    results.print(outcome, None)?;
    results.flush()
}

/// Reports why the task failed.
fn report_failure(module: &str, error: &TaskError, core_dumps: Option<&CoreDumps>) -> ExitCode {
    if let (Some(dumps), Some(dump)) = (core_dumps, &error.core_dump) {
        line_to_stderr(&format!("wrun: {}", dumps.write(module, 0, dump)));
    }
    let (name, printed) = (report::name(module), report::printed_before(error));
    line_to_stderr(&format!("wrun: {name} failed: {}{printed}", report::describe(error)));
    ExitCode::from(exit_codes::TASK_FAILED)
}
