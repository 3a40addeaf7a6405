//! A task while it runs, and how parameters are taken from it.

use std::cell::{Cell, OnceCell};

use crate::raw::host;
use crate::{Error, Inputs, Output};

/// The running task: its argument, its inputs, its place in the job and its result.
///
/// There is one for each call, and everything that is mapped borrows from it. Ordinary tasks use extractors; this is
/// what extractors are made from.
#[derive(Debug)]
pub struct Task {
    /// Copied from the host when it is first asked for.
    arg: OnceCell<Vec<u8>>,
    /// Its slice was given out, and is to be written by one owner.
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

    /// The task's argument: the item's text, for a file its path, for a piece of a file path and range.
    pub fn arg(&self) -> &[u8] {
        self.arg.get_or_init(host::arg)
    }

    /// The argument as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
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

    /// A writer to the task's result.
    pub fn output(&self) -> Output<'_> {
        Output::new(self)
    }

    pub(crate) fn has_slice(&self) -> bool {
        host::region_find("").is_some()
    }

    /// Whether the slice was there to be taken, once.
    pub(crate) fn take_slice(&self) -> bool {
        !self.slice_taken.replace(true)
    }

    /// What the extractor `T` makes of this task; handy in tests, as [`TestTask`](crate::TestTask) shows.
    ///
    /// # Errors
    ///
    /// Whatever `T` finds wrong.
    pub fn extract<'t, T: FromTask<'t>>(&'t self) -> Result<T, Error> {
        T::from_task(self)
    }
}

/// A type that a task's parameter may have: it is made from the task just before the function is called.
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
    label = "wrun does not know how to make this from a task",
    note = "a parameter is `&str`, `String`, `&[u8]`, `Vec<u8>`, a number, `bool`, `char`, `Json<T>` with `T: Deserialize`, \
            `Input`, `Inputs`, `NpyInput`, `NpyView`, `Slice`, `Shared`, `TaskIndex`, `Output`, `&Task`, or a type of yours that implements `wrun_guest::FromTask`"
)]
pub trait FromTask<'t>: Sized {
    /// The value, or why it cannot be made, which becomes the task's error message.
    ///
    /// # Errors
    ///
    /// Whatever the implementation finds wrong with the argument or the inputs.
    fn from_task(task: &'t Task) -> Result<Self, Error>;
}

impl<'t> FromTask<'t> for &'t Task {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task)
    }
}

/// The item's position in the job, from 0, as a task's parameter.
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

/// Runs one task and returns what its export returns.
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

/// Fails to compile where the macro's idea of an export's name is not the contract's.
#[doc(hidden)]
pub const fn assert_task_export(name: &str) {
    let (name, prefix) = (name.as_bytes(), wrun_abi::TASK_EXPORT_PREFIX.as_bytes());
    assert!(name.len() > prefix.len(), "a task's name has at least one character");
    let mut index = 0;
    while index < prefix.len() {
        assert!(name[index] == prefix[index], "wrun-guest-macros and wrun-abi are of different versions");
        index += 1;
    }
}
