//! Options about workers: how many, where they run tasks, when a task may start.

use wrun::backend::BuiltIn;
use wrun::job::{Admission, Instances};
use wrun::{Jobs, Pool, PoolBuilder, Sandbox};

use super::values;

/// How many workers there are, and what they keep from task to task.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    /// Run N tasks at a time, each in its own process; -1 means one per CPU, -2 one fewer, and so on [default: -1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    jobs: Option<Jobs>,

    #[command(flatten)]
    backend: BackendArgs,

    /// Take at most N items ahead, beyond one per worker [default: as many as keep the workers busy]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub ahead: Option<u64>,

    /// Start no task while less than SIZE bytes of memory are available; below half of that, stop the task that started last and
    /// run it again later (processes only) [default: no condition]
    #[arg(long, value_name = "SIZE", value_parser = values::size_above_0)]
    memfree: Option<u64>,

    /// Start no task while more than N threads of the machine are running or ready to run (N% of the CPUs: 150%) [default: no
    /// condition]
    #[arg(long, value_name = "N|N%", value_parser = values::load)]
    load: Option<f64>,

    /// Keep one instance per worker instead of a fresh one per task: calls cost far less, but state may carry over
    #[arg(long)]
    reuse: bool,
}

impl WorkerArgs {
    /// Settings of a pool of these workers.
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

    /// Whether instances are fresh or reused.
    pub fn instances(&self) -> Instances {
        if self.reuse { Instances::Reused } else { Instances::Fresh }
    }
}

/// Where tasks run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Workers")]
pub struct BackendArgs {
    /// Run tasks in sandboxed processes, in threads (only WebAssembly confines them: use it for modules you trust), or inline, one at
    /// a time and without any parallel code (for debuggers)
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
    /// The value for the library.
    pub fn backend(&self) -> BuiltIn {
        match self.backend {
            BackendChoice::Processes => BuiltIn::Processes,
            BackendChoice::Threads => BuiltIn::Threads,
            BackendChoice::Inline => BuiltIn::Inline,
        }
    }
}
