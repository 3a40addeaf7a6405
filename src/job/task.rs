//! One item of a job.

use super::Argument;
use crate::Input;
use crate::result::Finished;

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
