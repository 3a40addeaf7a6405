//! Runs tasks natively, in unit tests.

use crate::raw::host::{self, Host, Memory};
use crate::{Error, IntoOutput, Task};

/// A task for a native unit test: set its argument and inputs, then run a function on it.
///
/// Not available on WebAssembly. Inputs behave like mapped files, with the same addresses modulo 4096.
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
#[must_use = "nothing runs until `run` is called"]
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

    /// Adds an input that is a piece of a file, starting at this offset of the file, in bytes.
    pub fn piece(mut self, name: &str, bytes: impl AsRef<[u8]>, file_offset: u64) -> Self {
        self.host.inputs.push((name.to_owned(), bytes.as_ref().to_vec(), file_offset));
        self
    }

    /// Makes inputs writable as private copies (`--input-mode cow`).
    pub fn copy_on_write(mut self) -> Self {
        self.host.inputs_are_writable = true;
        self
    }

    /// Adds an output slice of this many zero bytes.
    pub fn slice(mut self, len: usize) -> Self {
        self.host.regions.retain(|region| !region.0.is_empty());
        self.host.regions.insert(0, (String::new(), Memory::new(0, len)));
        self
    }

    /// Adds a shared memory of this many zero bytes.
    ///
    /// # Panics
    ///
    /// If the name is empty.
    pub fn shared(mut self, name: &str, len: usize) -> Self {
        assert!(!name.is_empty(), "a shared memory needs a name");
        self.host.regions.push((name.to_owned(), Memory::new(0, len)));
        self
    }

    /// Runs `body` on this task and returns its result.
    ///
    /// # Errors
    ///
    /// The task's error message: an extractor's error, or the task's own `Err`.
    ///
    /// # Panics
    ///
    /// If `body` panics.
    pub fn run<R: IntoOutput>(self, body: impl FnOnce(&Task) -> Result<R, Error>) -> Result<Vec<u8>, String> {
        self.run_in_place(body).map(|written| written.output)
    }

    /// Runs `body` on this task and returns its result and what it wrote in place.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// If `body` panics.
    pub fn run_in_place<R: IntoOutput>(
        self,
        body: impl FnOnce(&Task) -> Result<R, Error>,
    ) -> Result<WrittenInPlace, String> {
        let outer = host::install(Some(self.host));
        crate::task::run(|task| body(task)?.into_output(&mut task.output()));
        let host = host::install(outer).expect("this call has installed it");
        let output = match (host.error, host.mapped_output) {
            (Some(error), _) => return Err(error),
            (None, Some(memory)) => memory.bytes(),
            (None, None) => host.output,
        };
        let mut written = WrittenInPlace { output, ..WrittenInPlace::default() };
        for (name, memory) in host.regions {
            match name.as_str() {
                "" => written.slice = memory.bytes(),
                _ => written.shared.push(memory.bytes()),
            }
        }
        Ok(written)
    }
}

/// What a test's task wrote; made by [`TestTask::run_in_place`]. [`Slice`](crate::Slice) has an example.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WrittenInPlace {
    /// The result.
    pub output: Vec<u8>,
    /// The bytes of its output slice.
    pub slice: Vec<u8>,
    /// The bytes of the shared memories, in order.
    pub shared: Vec<Vec<u8>>,
}

impl std::fmt::Debug for TestTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestTask").field("index", &self.host.index).finish_non_exhaustive()
    }
}
