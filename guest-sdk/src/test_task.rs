//! Running tasks natively, in unit tests.

use crate::raw::host::{self, Host};
use crate::{Error, IntoOutput, Task};

/// A task for a native unit test: give it an argument and inputs, then run a function on it.
///
/// Not there on WebAssembly. Inputs behave as mapped files do, with the same addresses modulo 4096.
///
/// ```
/// use wrun_guest::{Input, TestTask};
///
/// #[wrun_guest::task]
/// fn skip(count: u64, input: Input) -> Result<Vec<u8>, wrun_guest::Error> {
///     Ok(input.map_range(count..)?.to_vec())
/// }
///
/// let task = || TestTask::new().input("text", "hello");
/// let result = task().arg("2").run(|task| Ok(skip(task.extract()?, task.extract()?)));
/// assert_eq!(result.unwrap(), b"llo");
///
/// let result = task().arg("x").run(|task| Ok(skip(task.extract()?, task.extract()?)));
/// assert_eq!(result.unwrap_err(), "argument \"x\" is not a valid u64: invalid digit found in string");
/// ```
#[derive(Default)]
#[must_use = "nothing happens before `run`"]
pub struct TestTask {
    host: Host,
}

impl TestTask {
    /// A task with index 0, an empty argument and no inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the item's position in the job.
    pub fn index(mut self, index: u64) -> Self {
        self.host.index = index;
        self
    }

    /// Sets the argument.
    pub fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.host.arg = arg.as_ref().to_vec();
        self
    }

    /// Adds an input that is a whole file.
    pub fn input(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.piece(name, bytes, 0)
    }

    /// Adds an input that is a piece of a file, which begins at that offset of the file.
    pub fn piece(mut self, name: &str, bytes: impl AsRef<[u8]>, file_offset: u64) -> Self {
        self.host.inputs.push((name.to_owned(), bytes.as_ref().to_vec(), file_offset));
        self
    }

    /// The result of `body` on this task.
    ///
    /// # Errors
    ///
    /// The message with which the task fails: that of an extractor, or of an `Err` that is the task's result.
    ///
    /// # Panics
    ///
    /// When `body` does.
    pub fn run<R: IntoOutput>(self, body: impl FnOnce(&Task) -> Result<R, Error>) -> Result<Vec<u8>, String> {
        let outer = host::install(Some(self.host));
        crate::task::run(|task| body(task)?.into_output(&mut task.output()));
        let host = host::install(outer).expect("this call has installed it");
        match (host.error, host.area) {
            (Some(error), _) => Err(error),
            (None, Some(area)) => Ok(area.bytes()),
            (None, None) => Ok(host.output),
        }
    }
}

impl std::fmt::Debug for TestTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestTask").field("index", &self.host.index).finish_non_exhaustive()
    }
}
