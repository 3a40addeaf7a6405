//! Running tasks natively, in unit tests.

use crate::raw::host::{self, Area, Host};
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

    /// Lets it write to private copies of its inputs.
    pub fn copy_on_write(mut self) -> Self {
        self.host.inputs_are_writable = true;
        self
    }

    /// Gives it a slice of zeros.
    pub fn slice(mut self, len: usize) -> Self {
        self.host.regions.retain(|region| !region.0.is_empty());
        self.host.regions.insert(0, (String::new(), Area::new(0, len)));
        self
    }

    /// Adds a shared area of zeros.
    ///
    /// # Panics
    ///
    /// Where the name is empty.
    pub fn shared(mut self, name: &str, len: usize) -> Self {
        assert!(!name.is_empty(), "a shared area has a name");
        self.host.regions.push((name.to_owned(), Area::new(0, len)));
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
        self.run_in_place(body).map(|written| written.output)
    }

    /// The result of `body` on this task, and what it has written in place.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// When `body` does.
    pub fn run_in_place<R: IntoOutput>(
        self,
        body: impl FnOnce(&Task) -> Result<R, Error>,
    ) -> Result<WrittenInPlace, String> {
        let outer = host::install(Some(self.host));
        crate::task::run(|task| body(task)?.into_output(&mut task.output()));
        let host = host::install(outer).expect("this call has installed it");
        let output = match (host.error, host.area) {
            (Some(error), _) => return Err(error),
            (None, Some(area)) => area.bytes(),
            (None, None) => host.output,
        };
        let mut written = WrittenInPlace { output, ..WrittenInPlace::default() };
        for (name, area) in host.regions {
            match name.as_str() {
                "" => written.slice = area.bytes(),
                _ => written.shared.push(area.bytes()),
            }
        }
        Ok(written)
    }
}

/// What a task for a test has written; made by [`TestTask::run_in_place`].
#[derive(Clone, Debug, Default)]
pub struct WrittenInPlace {
    /// The result.
    pub output: Vec<u8>,
    /// The bytes of its slice.
    pub slice: Vec<u8>,
    /// The bytes of the shared areas, in order.
    pub shared: Vec<Vec<u8>>,
}

impl std::fmt::Debug for TestTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestTask").field("index", &self.host.index).finish_non_exhaustive()
    }
}
