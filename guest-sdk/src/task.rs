//! The running task, and how parameters are made from it.

use std::cell::{Cell, OnceCell};

use crate::raw::host;
use crate::{Error, Inputs, Output};

/// The running task: its argument, its inputs, its position in the job and its result.
///
/// There is one for each call, and everything that is mapped borrows from it. Ordinary tasks use extractors, which are
/// made from it.
///
/// ```
/// # use wrun_guest::{Task, TestTask};
/// #[wrun_guest::task]
/// fn describe(task: &Task) -> String {
///     format!("task {} has {} bytes and {} inputs", task.index(), task.arg().len(), task.inputs().len())
/// }
///
/// let result = TestTask::new().arg("pear").run(|task| Ok(describe(task)));
/// assert_eq!(result.unwrap(), b"task 0 has 4 bytes and 0 inputs");
/// ```
#[derive(Debug)]
pub struct Task {
    /// Copied from the host when it is first used.
    arg: OnceCell<Vec<u8>>,
    /// Whether the output slice was taken; it has one owner at most.
    slice_taken: Cell<bool>,
}

impl Task {
    pub(crate) fn new() -> Self {
        Task { arg: OnceCell::new(), slice_taken: Cell::new(false) }
    }

    /// The item's position in the job, from 0.
    pub fn index(&self) -> u64 {
        host::task_index()
    }

    /// The task's argument: the item's text; for a file its path, for a piece of a file its path and range.
    pub fn arg(&self) -> &[u8] {
        self.arg.get_or_init(host::arg)
    }

    /// The argument as text.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8.
    pub fn arg_str(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.arg()).map_err(|error| {
            let text = String::from_utf8_lossy(self.arg());
            Error::new(format_args!("argument {text:?} is not UTF-8: {error}"))
        })
    }

    /// All inputs of the task.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs::new(self)
    }

    /// A writer that appends to the task's result.
    #[must_use]
    pub fn output(&self) -> Output<'_> {
        Output::new(self)
    }

    pub(crate) fn has_slice(&self) -> bool {
        host::region_find("").is_some()
    }

    /// Takes the slice; `false` if it was taken before.
    pub(crate) fn take_slice(&self) -> bool {
        !self.slice_taken.replace(true)
    }

    /// Makes the extractor `T` from this task; handy in tests, as [`TestTask`](crate::TestTask) shows.
    ///
    /// # Errors
    ///
    /// The extractor's error.
    pub fn extract<'t, T: FromTask<'t>>(&'t self) -> Result<T, Error> {
        T::from_task(self)
    }
}

/// A type that a task can have as a parameter: it is made from the task just before the function is called.
///
/// Implement it for a type of your own to use that as a parameter:
///
/// ```
/// use wrun_guest::{Error, FromTask, Task};
///
/// /// An argument of the form `KEY=VALUE`.
/// struct Pair<'t>(&'t str, &'t str);
///
/// impl<'t> FromTask<'t> for Pair<'t> {
///     fn from_task(task: &'t Task) -> Result<Self, Error> {
///         let text = task.arg_str()?;
///         let (key, value) = text.split_once('=').ok_or_else(|| Error::new("give KEY=VALUE"))?;
///         Ok(Pair(key, value))
///     }
/// }
///
/// #[wrun_guest::task]
/// fn swap(Pair(key, value): Pair) -> String {
///     format!("{value}={key}")
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a task",
    label = "wrun cannot make this from a task",
    note = "a parameter is `&str`, `String`, `&[u8]`, `Vec<u8>`, a number, `bool`, `char`, `Json<T>` with `T: Deserialize`, \
            `Input`, `Inputs`, `NpyInput`, `NpyView`, `Slice`, `Shared`, `TaskIndex`, `Output`, `&Task`, or a type of your own that implements `wrun_guest::FromTask`"
)]
pub trait FromTask<'t>: Sized {
    /// Makes the value. An error becomes the task's error message.
    ///
    /// # Errors
    ///
    /// If the argument or the inputs are not what the type needs.
    fn from_task(task: &'t Task) -> Result<Self, Error>;
}

impl<'t> FromTask<'t> for &'t Task {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task)
    }
}

/// The item's position in the job, from 0, as a parameter.
///
/// ```
/// # use wrun_guest::{TaskIndex, TestTask};
/// #[wrun_guest::task]
/// fn label(TaskIndex(index): TaskIndex, text: &str) -> String {
///     format!("{index}: {text}")
/// }
///
/// let result = TestTask::new().index(7).arg("pear").run(|task| Ok(label(task.extract()?, task.extract()?)));
/// assert_eq!(result.unwrap(), b"7: pear");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIndex(pub u64);

impl<'t> FromTask<'t> for TaskIndex {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(TaskIndex(task.index()))
    }
}

/// Runs one task and returns its export's result.
#[doc(hidden)]
pub fn run(body: impl FnOnce(&Task) -> Result<(), Error>) -> i32 {
    host::prepare_instance();
    let result = body(&Task::new());
    #[cfg(feature = "arrow")]
    crate::raw::shared::end_task();
    match result {
        Ok(()) => wrun_abi::TASK_OK,
        Err(error) => {
            host::fail(&error.to_string());
            wrun_abi::TASK_FAILED
        }
    }
}

/// Fails to compile if the macro and the contract disagree about export names.
#[doc(hidden)]
pub const fn assert_task_export(name: &str) {
    let (name, prefix) = (name.as_bytes(), wrun_abi::TASK_EXPORT_PREFIX.as_bytes());
    assert!(name.len() > prefix.len(), "a task's name needs at least one character");
    let mut index = 0;
    while index < prefix.len() {
        assert!(name[index] == prefix[index], "wrun-guest-macros and wrun-abi have different versions");
        index += 1;
    }
}
