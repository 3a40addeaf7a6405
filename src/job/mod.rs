//! What is to be run: a job, its tasks and its limits, as plain data.

mod admission;
mod argument;
mod failure;
mod grants;
mod limits;
mod source;
mod task;
mod worker_count;
mod writable;

pub use admission::{Admission, Measure, Shortage};
pub use argument::Argument;
pub(crate) use argument::KnownArguments;
pub use failure::{Halt, HaltAt, Halted, Retries};
pub use grants::{Directory, Grants};
pub use limits::{Limits, TaskTime};
pub use source::Source;
pub use task::Task;
pub use worker_count::Jobs;
pub use writable::{FailedSlice, InputMode, OutputFile, SharedArea};

use crate::{Input, Module};

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
