//! Groups of options that several subcommands share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::backend::BuiltIn;
use wrun::job::Instances;
use wrun::{Admission, Compiler, Input, Jobs, Limits, Module, Pool, PoolBuilder, Sandbox, Task, TaskTime};

use super::compiler::CompilerArgs;
use super::parse::{self, NamedInput};
use super::usage;
use crate::report::{ProgressMode, line_to_stderr, while_compiling};

/// The module to run.
#[derive(Debug, clap::Args)]
pub struct ModuleArgs {
    /// Take this module: a .wasm or .wat file, or a .cwasm file with --allow-precompiled
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    #[command(flatten)]
    compiler: CompilerArgs,
}

impl ModuleArgs {
    /// The file's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.module
    }

    /// Reads the module, compiling it unless that was done before.
    pub fn load(&self, compiler: Compiler) -> wrun::Result<Module> {
        load_module(&self.module, compiler, ProgressMode::Auto)
    }

    /// The settings of the compiler.
    pub fn compiler(&self) -> Compiler {
        self.compiler.compiler()
    }
}

/// Reads a module, compiling it unless that was done before; shows that on a terminal, where it takes a while.
pub fn load_module(path: &Path, compiler: Compiler, progress: ProgressMode) -> wrun::Result<Module> {
    let module = while_compiling(path, progress, || compiler.load(path))?;
    if let Some(problem) = module.cache_problem() {
        line_to_stderr(&format!("wrun: warning: compiled code is not kept: {problem}"));
    }
    Ok(module)
}

/// Reads a module whose tasks are to run with these limits, so confined.
///
/// # Errors
///
/// Also where the module imports what wrun does not give.
pub fn load_to_run(
    path: &Path,
    compiler: &CompilerArgs,
    limits: &LimitArgs,
    sandbox: Sandbox,
    progress: ProgressMode,
) -> wrun::Result<Module> {
    let compiler = Compiler { count_fuel: limits.fuel.is_some(), sandbox, ..compiler.compiler() };
    let module = load_module(path, compiler, progress)?;
    module.check_imports()?;
    Ok(module)
}

/// Which function to call, and what every task of it reads.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Task")]
pub struct TaskArgs {
    /// Call this task or exported function [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    pub call: Option<String>,

    /// Map a file, or LEN bytes of it from OFFSET on, into every task under a name; repeatable
    #[arg(
        short,
        long = "input",
        value_name = "NAME=PATH[@OFFSET+LEN]",
        value_parser = OsStringValueParser::new().try_map(parse::named_input)
    )]
    inputs: Vec<NamedInput>,
}

impl TaskArgs {
    /// Opens the inputs that all tasks share.
    pub fn open_inputs(&self) -> anyhow::Result<Vec<(String, Input)>> {
        let mut names = HashSet::new();
        self.inputs
            .iter()
            .map(|input| {
                if !names.insert(&input.name) {
                    return Err(usage(format!("two inputs are named {:?}; give each its own name", input.name)));
                }
                let open = input.open().with_context(|| format!("--input {}", input.name))?;
                Ok((input.name.clone(), open))
            })
            .collect()
    }
}

/// How many workers there are, and what they keep from task to task.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    /// Run N tasks at a time, each in a process of its own; -1 is one per CPU, -2 one fewer, and so on [default: -1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    jobs: Option<Jobs>,

    #[command(flatten)]
    backend: BackendArgs,

    /// Take at most N items beyond one per worker before earlier ones have ended [default: as many as keep the workers busy]
    #[arg(long, value_name = "N", value_parser = parse::count)]
    ahead: Option<u64>,

    /// Start no task while less than SIZE of memory is available; when less than half of that is, stop the task that began last (of
    /// those in processes) and run it again later [default: no condition]
    #[arg(long, value_name = "SIZE", value_parser = parse::size_above_0)]
    memfree: Option<u64>,

    /// Start no task while more than N threads of the machine run or could run (N% of the CPUs: 150%) [default: no condition]
    #[arg(long, value_name = "N|N%", value_parser = parse::load)]
    load: Option<f64>,

    /// Keep one instance per worker instead of a fresh one per task: far cheaper calls, but state may carry over
    #[arg(long)]
    reuse: bool,
}

/// Where tasks run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Workers")]
pub struct BackendArgs {
    /// Run tasks in confined processes (default), in threads (for modules that you trust: nothing but WebAssembly confines them), or
    /// inline, one by one and without any parallel code (for debuggers)
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = BackendChoice::Processes)]
    backend: BackendChoice,
}

/// The values of `--backend`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum BackendChoice {
    /// Worker processes, confined by the system
    Processes,
    /// Threads of this process
    Threads,
    /// The thread that reads items and prints results
    Inline,
}

impl BackendArgs {
    /// As the library has it.
    pub fn backend(&self) -> BuiltIn {
        match self.backend {
            BackendChoice::Processes => BuiltIn::Processes,
            BackendChoice::Threads => BuiltIn::Threads,
            BackendChoice::Inline => BuiltIn::Inline,
        }
    }
}

/// How workers are confined.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sandbox")]
pub struct SandboxArgs {
    /// Confine workers and the compiler by the system: as far as it can (default), fully or not at all (strict), or not (off, to debug wrun)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = SandboxChoice::Default)]
    sandbox: SandboxChoice,
}

/// The values of `--sandbox`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SandboxChoice {
    /// All layers that this machine has
    Default,
    /// All layers; an error where one is missing
    Strict,
    /// None
    Off,
}

impl SandboxArgs {
    /// As the library has it; warns where there is none.
    pub fn sandbox(&self) -> Sandbox {
        match self.sandbox {
            SandboxChoice::Default => Sandbox::Default,
            SandboxChoice::Strict => Sandbox::Strict,
            SandboxChoice::Off => {
                line_to_stderr("wrun: warning: --sandbox off: workers are not confined by the system");
                Sandbox::Off
            }
        }
    }
}

impl WorkerArgs {
    /// Settings of a pool of so many workers.
    pub fn pool(&self, sandbox: Sandbox) -> PoolBuilder {
        let pool = Pool::builder().sandbox(sandbox).backend(self.backend.backend());
        match self.jobs {
            Some(jobs) => pool.workers(jobs.workers()),
            None => pool,
        }
    }

    /// Whether tasks run on the thread that drives the run.
    pub fn are_inline(&self) -> bool {
        self.backend.backend() == BuiltIn::Inline
    }

    /// When tasks may start.
    pub fn admission(&self) -> Admission {
        Admission { free_memory_bytes: self.memfree, load: self.load, ..Admission::default() }
    }

    /// How many items may be taken beyond one per worker.
    pub fn ahead(&self) -> Option<u64> {
        self.ahead
    }

    /// Fresh or reused ones.
    pub fn instances(&self) -> Instances {
        if self.reuse { Instances::Reused } else { Instances::Fresh }
    }
}

/// What a task may use.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Stop a task that runs longer than this (500ms, 2s, 1m), or (300%) than so many percent of the median time of the tasks that
    /// have passed, once 3 have, but never in less than 100ms [default: none]
    #[arg(long, value_name = "TIME|N%", value_parser = parse::task_time)]
    timeout: Option<TaskTime>,

    /// Let a task have this many bytes of memory, not counting mapped inputs (but what it writes to with --input-mode cow)
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse::size_above_0)]
    memory: u64,

    /// Let a task's result have this many bytes
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = parse::size)]
    max_output: u64,

    /// Let a task's calls have this many bytes of stack
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = parse::size_above_0)]
    stack: u64,

    /// Stop a task after about N instructions (5K, 2M, 1G), at the same one in every run; makes all tasks slower [default: none]
    #[arg(long, value_name = "N", value_parser = parse::count)]
    fuel: Option<u64>,

    /// Keep this many bytes of a task's log lines and standard error
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = parse::size)]
    max_log: u64,

    /// Let an item have this many bytes (at most 1G)
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = parse::size)]
    max_argument: u64,

    /// Let a module have N linear memories (at most 16)
    #[arg(long, value_name = "N", default_value_t = Limits::default().memories, value_parser = clap::value_parser!(u32).range(..=i64::from(Limits::MAX_MEMORIES)))]
    max_memories: u32,

    /// Let a module have N tables (at most 16)
    #[arg(long, value_name = "N", default_value_t = Limits::default().tables, value_parser = clap::value_parser!(u32).range(..=i64::from(Limits::MAX_TABLES)))]
    max_tables: u32,

    /// Let a task have N files, directories and events of WASI at a time (at most 8192)
    #[arg(long, value_name = "N", default_value_t = Limits::default().open_files, value_parser = clap::value_parser!(u32).range(..=i64::from(Limits::MAX_OPEN_FILES)))]
    max_open_files: u32,

    /// Let one call of WASI take over this many bytes from a task
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = parse::size_above_0)]
    max_host_call: u64,
}

impl LimitArgs {
    /// The longest item, in bytes.
    ///
    /// # Errors
    ///
    /// Where that is longer than an argument can be.
    pub fn longest_argument(&self) -> anyhow::Result<usize> {
        let longest = usize::try_from(self.max_argument).ok().filter(|longest| *longest <= Task::MAX_ARGUMENT_BYTES);
        longest.ok_or_else(|| {
            usage(format!(
                "--max-argument cannot be more than {} bytes; pass more as an input",
                Task::MAX_ARGUMENT_BYTES
            ))
        })
    }

    /// The limits for the library.
    pub fn limits(&self) -> Limits {
        Limits {
            timeout: self.timeout,
            memory_bytes: self.memory,
            output_bytes: self.max_output,
            stack_bytes: self.stack,
            log_bytes: self.max_log,
            fuel: self.fuel,
            argument_bytes: self.max_argument,
            memories: self.max_memories,
            tables: self.max_tables,
            open_files: self.max_open_files,
            host_call_bytes: self.max_host_call,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
        #[command(flatten)]
        task: TaskArgs,
    }

    #[test]
    fn the_defaults_shown_are_those_of_the_library() {
        let limits = Line::parse_from(["wrun"]).limits.limits();
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn two_inputs_of_one_name_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let line = Line::parse_from(["wrun".to_owned(), format!("-ia={path}"), format!("-ia={path}@0+0")]);
        let error = line.task.open_inputs().unwrap_err();
        assert_eq!(error.to_string(), r#"two inputs are named "a"; give each its own name"#);
    }
}
