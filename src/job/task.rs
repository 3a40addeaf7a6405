//! One item of a job.

use super::Argument;
use crate::Input;
use crate::result::Finished;

/// One item of a job: an argument, and the inputs that only this task sees.
///
/// Strings, numbers, bytes and [`Input`]s convert to tasks, so most programs pass those to [`Pool::map`](crate::Pool::map).
///
/// ```
/// use wrun::{Input, Task};
///
/// let task = Task::new("row 7").input(Input::from_bytes("row", &[0; 256])?);
/// assert_eq!((&task.argument[..], task.inputs.len()), (&b"row 7"[..], 1));
/// assert_eq!(Task::from(2.5).argument, "2.5");
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// The task's private bytes, which are copied to the guest; at most [`Limits::argument_bytes`](crate::Limits::argument_bytes).
    pub argument: Argument,
    /// Inputs that only this task sees, in order, before those of the job.
    ///
    /// A WASI program finds the first one as its standard input, and as a file whose path is the argument, if it can be one. It finds all
    /// of them as `/in/0`, `/in/1` and so on.
    pub inputs: Vec<Input>,
    /// Set if the task cannot run at all (its file does not open, for example): its outcome is an error with this text.
    pub unrunnable: Option<String>,
    /// Set if the task ended in an earlier run: it does not run again, and this is its outcome.
    pub finished: Option<Box<Finished>>,
}

impl Task {
    /// The largest value of [`Limits::argument_bytes`](crate::Limits::argument_bytes): 1 GiB. A guest copies the argument into a
    /// memory of at most 4 GiB, in which its language's vectors have at most half of that.
    pub const MAX_ARGUMENT_BYTES: usize = 1 << 30;

    /// The largest number of inputs that a task may have of its own.
    pub const MAX_INPUTS: usize = 4096;

    /// Creates a task with an argument and no inputs of its own.
    pub fn new(argument: impl Into<Argument>) -> Self {
        Task { argument: argument.into(), ..Task::default() }
    }

    /// Creates a task that fails with `message` instead of running.
    pub fn unrunnable(argument: impl Into<Argument>, message: impl Into<String>) -> Self {
        Task { unrunnable: Some(message.into()), ..Task::new(argument) }
    }

    /// Makes this the task's outcome, instead of running it. [`TaskKeys`](crate::cache::TaskKeys) identify tasks of an earlier run.
    #[must_use]
    pub fn finished(self, finished: Finished) -> Self {
        Task { finished: Some(Box::new(finished)), ..self }
    }

    /// The files that only this task needs in its worker.
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

/// A file or piece becomes input 0, and its label (`path` or `path@offset+len`) the argument, which has the bytes of the path as they are.
impl From<Input> for Task {
    fn from(input: Input) -> Self {
        Task::new(input.label().into_encoded_bytes()).input(input)
    }
}

/// A piece that cannot be read becomes a task that fails.
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
