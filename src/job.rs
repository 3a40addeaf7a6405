//! What is to be run: a job, its tasks and its limits, as plain data.

use std::time::Duration;

use crate::failure::{Halt, Retries};
use crate::{
    Admission, Argument, Grants, Input, InputMode, Module, Output, OutputFile, SharedArea, TaskError, TaskStats,
};

/// One item of a job: an argument, and the inputs that belong to this task alone.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// The task's private bytes, which the guest gets a copy of; at most [`Limits::argument_bytes`].
    pub argument: Argument,
    /// Inputs of this task alone; the guest sees them before those of the job, in this order.
    pub inputs: Vec<Input>,
    /// Set where the task cannot run at all (its file does not open, say): its outcome is an error with this text.
    pub unrunnable: Option<String>,
    /// Set where it is known how the task ended, from an earlier run: it does not run, and that is its outcome.
    pub finished: Option<Box<Finished>>,
}

/// How a task ended in an earlier run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// Lines that it logged: (level 1 error .. 5 trace, text).
    pub log: Vec<(u8, String)>,
    /// When, where and how it ran.
    pub stats: TaskStats,
}

impl Task {
    /// The most that [`Limits::argument_bytes`] may be: 1 GiB. A guest has to copy it into a memory of at most 4 GiB, where its
    /// language's vectors have half of that at most.
    pub const MAX_ARGUMENT_BYTES: usize = 1 << 30;

    /// The most inputs of its own that a task may have.
    pub const MAX_INPUTS: usize = 4096;

    /// A task with an argument and no inputs of its own.
    pub fn new(argument: impl Into<Argument>) -> Self {
        Task { argument: argument.into(), ..Task::default() }
    }

    /// A task that fails with `message` instead of running, in its place among the others.
    pub fn unrunnable(argument: impl Into<Argument>, message: impl Into<String>) -> Self {
        Task { unrunnable: Some(message.into()), ..Task::new(argument) }
    }

    /// Keeps a task from running, because it is known how it ended. [`TaskKeys`](crate::TaskKeys) tell tasks of an earlier run.
    #[must_use]
    pub fn finished(self, finished: Finished) -> Self {
        Task { finished: Some(Box::new(finished)), ..self }
    }

    /// The files that its worker needs for this task alone.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().chain(self.argument.file())
    }

    /// Adds an input that only this task sees.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.inputs.push(input);
        self
    }
}

impl From<&str> for Task {
    fn from(argument: &str) -> Self {
        Task::new(argument)
    }
}

impl From<String> for Task {
    fn from(argument: String) -> Self {
        Task::new(argument)
    }
}

impl From<Vec<u8>> for Task {
    fn from(argument: Vec<u8>) -> Self {
        Task::new(argument)
    }
}

/// A file or piece as the item: it becomes input 0, and its label (`path` or `path@offset+len`) the argument.
impl From<Input> for Task {
    fn from(input: Input) -> Self {
        Task::new(input.label()).input(input)
    }
}

/// A piece that could not be cut off is a task that fails.
impl From<std::io::Result<Input>> for Task {
    fn from(input: std::io::Result<Input>) -> Self {
        match input {
            Ok(input) => input.into(),
            Err(error) => Task::unrunnable("", format!("cannot read the input: {error}")),
        }
    }
}

macro_rules! task_from_number {
    ($($number:ty)*) => { $(
        /// The number's decimal text becomes the argument.
        impl From<$number> for Task {
            fn from(number: $number) -> Self {
                Task::new(number.to_string())
            }
        }
    )* };
}
task_from_number!(i32 i64 u32 u64 usize f32 f64);

/// A length of time for one attempt of a task, from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskTime {
    /// This long.
    After(Duration),
    /// So many percent of the median time of the run's tasks that have passed so far, once [`TaskTime::LEAST_PASSED`] have: until
    /// then it is unlimited. Never shorter than [`TaskTime::SHORTEST`]. The median is exact to 1 %, and where many tasks have
    /// passed it may lag behind by one in 64 of them.
    OfMedian {
        /// 100 is the median itself.
        percent: u32,
    },
}

impl TaskTime {
    /// Tasks that have to pass before there is a median to go by.
    pub const LEAST_PASSED: u64 = 3;

    /// The shortest time that follows from a median: what a busy machine adds to a short task is not the task's fault.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// How long that is where the median is this; `None` where there is none yet.
    pub(crate) fn with_median(self, median: Option<Duration>) -> Option<Duration> {
        match self {
            TaskTime::After(time) => Some(time),
            TaskTime::OfMedian { percent } => {
                let time = median?.as_secs_f64() * f64::from(percent) / 100.0;
                Some(Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX).max(TaskTime::SHORTEST))
            }
        }
    }
}

impl From<Duration> for TaskTime {
    fn from(time: Duration) -> Self {
        TaskTime::After(time)
    }
}

/// What a task may use before it is stopped.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The wall-clock time of one task, from its own start; `None` is no limit.
    pub timeout: Option<TaskTime>,
    /// Bytes of linear memory and tables together, without windows but what is written of them with [`InputMode::CopyOnWrite`] (256 MiB unless set).
    pub memory_bytes: u64,
    /// Bytes of a task's result (64 MiB unless set).
    pub output_bytes: u64,
    /// Bytes of stack for wasm frames (1 MiB unless set).
    pub stack_bytes: u64,
    /// Bytes of log lines and standard error that are kept of a task (64 KiB unless set); more is dropped and said so.
    pub log_bytes: u64,
    /// Units of fuel, about one for each instruction, after which a task stops, at the same place in every run; `None` is no
    /// limit. It takes a module that counts fuel ([`Compiler::count_fuel`](crate::Compiler::count_fuel)), which makes it slower.
    pub fuel: Option<u64>,
    /// Bytes of a task's argument (64 KiB unless set; at most [`Task::MAX_ARGUMENT_BYTES`]).
    pub argument_bytes: u64,
    /// Linear memories of a module (4 unless set).
    pub memories: u32,
    /// Tables of a module (8 unless set).
    pub tables: u32,
    /// Files and directories that a task may have open, and events that it may wait for, at a time by WASI (1,024 unless set).
    pub open_files: u32,
    /// Bytes that one call of WASI takes over from a task (128 MiB unless set).
    pub host_call_bytes: u64,
}

impl Limits {
    /// The most that [`Limits::stack_bytes`] may be.
    pub const MAX_STACK_BYTES: u64 = 64 << 20;

    /// The most that [`Limits::memories`] may be.
    pub const MAX_MEMORIES: u32 = 16;

    /// The most that [`Limits::tables`] may be.
    pub const MAX_TABLES: u32 = 16;

    /// The most that [`Limits::open_files`] may be.
    pub const MAX_OPEN_FILES: u32 = 8192;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout: None,
            memory_bytes: 256 << 20,
            output_bytes: 64 << 20,
            stack_bytes: 1 << 20,
            log_bytes: 64 << 10,
            fuel: None,
            argument_bytes: 64 << 10,
            memories: 4,
            tables: 8,
            open_files: 1024,
            host_call_bytes: 128 << 20,
        }
    }
}

/// Whether tasks get a fresh instance each or share one per worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A fresh instance for every task: no state carries over.
    #[default]
    Fresh,
    /// One instance per worker: far cheaper calls, but state may carry over from task to task.
    Reused,
}

/// A module's function, and what every task of it shares.
#[derive(Clone, Debug)]
pub struct Job {
    /// The module that holds the task function.
    pub module: Module,
    /// The task function; `None` takes the only one there is.
    pub call: Option<String>,
    /// The arguments (argv without argv\[0\]) of a WASI command, in which `{}` stands for the item; `None` is the item alone.
    pub argv: Option<Vec<String>>,
    /// Inputs that all tasks share, by name, in order.
    pub inputs: Vec<(String, Input)>,
    /// What tasks may do in the windows of all their inputs.
    pub input_mode: InputMode,
    /// The file in which each task has a slice of its own, to write its result in place.
    pub out: Option<OutputFile>,
    /// Writable areas that all tasks share, by name, in order.
    pub shared: Vec<(String, SharedArea)>,
    /// What a task may use.
    pub limits: Limits,
    /// Fresh instances or reused ones.
    pub instances: Instances,
    /// What tasks may use of the world outside.
    pub grants: Grants,
    /// Whether the outcome of a task that a trap ended has a core dump ([`TaskError::core_dump`](crate::TaskError::core_dump)).
    pub core_dumps: bool,
    /// With a task's position, what its random numbers follow from (0 unless set).
    pub seed: u64,
    /// How often a failed task is tried again.
    pub retries: Retries,
    /// Whether failed tasks end the run early.
    pub halt: Halt,
    /// When tasks may start (always unless set).
    pub admission: Admission,
    /// After how long a running task is told as slow ([`Event::Slow`](crate::Event::Slow)), and again whenever that has doubled.
    pub slow: Option<TaskTime>,
}

impl Job {
    /// A job that calls the only task function of `module`, with default limits.
    pub fn new(module: &Module) -> Self {
        Job {
            module: module.clone(),
            call: None,
            argv: None,
            inputs: Vec::new(),
            input_mode: InputMode::default(),
            out: None,
            shared: Vec::new(),
            limits: Limits::default(),
            instances: Instances::Fresh,
            grants: Grants::default(),
            core_dumps: false,
            seed: 0,
            retries: Retries::default(),
            halt: Halt::Never,
            admission: Admission::default(),
            slow: None,
        }
    }

    /// Names the task function to call.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>) -> Self {
        self.call = Some(name.into());
        self
    }

    /// Adds an input that all tasks see under `name`.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, input: Input) -> Self {
        self.inputs.push((name.into(), input));
        self
    }

    /// Sets what tasks may do in the windows of their inputs.
    #[must_use]
    pub fn input_mode(mut self, mode: InputMode) -> Self {
        self.input_mode = mode;
        self
    }

    /// Gives each task a slice of this file to write.
    #[must_use]
    pub fn out(mut self, out: OutputFile) -> Self {
        self.out = Some(out);
        self
    }

    /// Adds an area that all tasks write, under `name`.
    #[must_use]
    pub fn shared(mut self, name: impl Into<String>, area: SharedArea) -> Self {
        self.shared.push((name.into(), area));
        self
    }

    /// Sets what a task may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tries failed tasks again.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Ends runs early where tasks fail.
    #[must_use]
    pub fn halt(mut self, halt: Halt) -> Self {
        self.halt = halt;
        self
    }

    /// Holds tasks up while the machine has too little to spare.
    #[must_use]
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Sets what tasks may use of the world outside.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Keeps one instance per worker instead of a fresh one per task.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        self.instances = Instances::Reused;
        self
    }
}
