//! A file with an output slice for each task, which tasks write in place.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::SharedMemory;
use super::writable_file::WritableFile;
use crate::error::Repr;
use crate::sys::memory_file;
use crate::{Error, Input, Result};

/// A file in which each task has an output slice of its own, mapped writable: task `k` of a job has the bytes from
/// `k * slice_bytes` to `(k + 1) * slice_bytes`. The file grows as tasks start and is never truncated. Cheap to clone; all
/// clones are the same file.
///
/// A run locks the file (flock(2)), because two runs would write to the same slices. [`OutputFile::concurrent`] allows for runs of
/// different tasks at the same time.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// use wrun::{Job, Module, OutputFile, Pool};
///
/// let out = OutputFile::in_memory(8)?;
/// let job = Job::new(&Module::from_file("squares.wasm")?).out(out.clone());
/// Pool::builder().build()?.map(&job, 0..1000)?.for_each(drop);
/// assert_eq!(out.read(0..8)?, 0f64.to_le_bytes());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OutputFile {
    file: Arc<WritableFile>,
    slice_bytes: u64,
    failed: FailedSlice,
    is_concurrent: bool,
    /// The runs of this process that write it.
    writers: Arc<Mutex<Writers>>,
}

/// Who writes a file.
#[derive(Clone, Copy, Debug, Default)]
enum Writers {
    #[default]
    Nobody,
    One,
    /// So many runs with slices of their own.
    Concurrent(usize),
}

/// What happens to the output slice of a failed attempt, once nothing can write to it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedSlice {
    /// It is filled with zeros.
    #[default]
    Zero,
    /// It stays as the task left it. The next attempt starts from there.
    Leave,
}

impl OutputFile {
    /// Opens a regular file for reading and writing, or creates it. Existing contents are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a regular file that can be written and mapped, or if `slice_bytes` is 0.
    pub fn create(path: impl AsRef<Path>, slice_bytes: u64) -> Result<OutputFile> {
        OutputFile::new(WritableFile::create("cannot use output file", path.as_ref())?, slice_bytes)
    }

    /// Uses an open regular file, which must be readable and writable. Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`OutputFile::create`].
    pub fn from_file(file: File, name: impl Into<PathBuf>, slice_bytes: u64) -> Result<OutputFile> {
        OutputFile::new(WritableFile::checked("cannot use output file", file, name.into())?, slice_bytes)
    }

    /// Creates a file in memory, to be read with [`OutputFile::read`]. It is freed when the last clone is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses to create one, or if `slice_bytes` is 0.
    pub fn in_memory(slice_bytes: u64) -> Result<OutputFile> {
        let file =
            memory_file::growing("wrun-out").map_err(|error| Error::system("cannot make a file in memory", error))?;
        OutputFile::new(WritableFile::in_memory("cannot use output file", file)?, slice_bytes)
    }

    fn new(file: WritableFile, slice_bytes: u64) -> Result<OutputFile> {
        if slice_bytes == 0 {
            return Err(Error::request("an output slice needs at least 1 byte"));
        }
        let (failed, writers) = (FailedSlice::default(), Arc::default());
        Ok(OutputFile { file: Arc::new(file), slice_bytes, failed, is_concurrent: false, writers })
    }

    /// Sets what happens to the output slices of failed attempts.
    #[must_use]
    pub fn failed_slice(mut self, failed: FailedSlice) -> Self {
        self.failed = failed;
        self
    }

    /// Lets other runs for which this is set as well write the file at the same time, in this process or others. It is for runs of
    /// different tasks ([`Run::first_index`](crate::Run::first_index)). Space is then allocated for one slice at a time.
    #[must_use]
    pub fn concurrent(mut self) -> Self {
        self.is_concurrent = true;
        self
    }

    /// The length of an output slice in bytes.
    pub fn slice_bytes(&self) -> u64 {
        self.slice_bytes
    }

    /// The file's name in messages: its path.
    pub fn name(&self) -> &Path {
        &self.file.name
    }

    /// The file itself, for what [`OutputFile::read`] does not do.
    pub fn file(&self) -> &File {
        &self.file.file
    }

    /// Returns a copy of these bytes of the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is shorter than the range's end, or cannot be read.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.file.read(range)
    }

    pub(crate) fn is_concurrent(&self) -> bool {
        self.is_concurrent
    }

    /// Reserves the file for a run until the reservation is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if another run writes the file.
    pub(crate) fn reserve(&self) -> Result<Reservation> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = || {
            let error = io::Error::new(io::ErrorKind::ResourceBusy, "another run is writing it; give each run its own");
            Err(Repr::File { what: "cannot use output file", path: self.name().into(), source: error }.into())
        };
        *writers = match (*writers, self.is_concurrent) {
            (Writers::Nobody, is_concurrent) => {
                let file = self.file();
                match if is_concurrent { file.try_lock_shared() } else { file.try_lock() } {
                    Err(TryLockError::WouldBlock) => return in_use(),
                    // The file system has no locks.
                    Err(TryLockError::Error(_)) | Ok(()) => {}
                }
                if is_concurrent { Writers::Concurrent(1) } else { Writers::One }
            }
            (Writers::Concurrent(runs), true) => Writers::Concurrent(runs + 1),
            _ => return in_use(),
        };
        Ok(Reservation { out: self.clone() })
    }

    pub(crate) fn keeps_failed(&self) -> bool {
        self.failed == FailedSlice::Leave
    }

    pub(crate) fn opened(&self) -> Arc<File> {
        self.file.file.clone()
    }

    /// The length in bytes, and whether the file has a name.
    pub(crate) fn state(&self) -> io::Result<(u64, bool)> {
        self.file.state()
    }

    /// Distinguishes this file from others, for task keys.
    pub(crate) fn identity(&self) -> io::Result<[u64; 4]> {
        self.file.identity()
    }

    /// Whether the input is a range of the same file.
    pub(crate) fn is_file_of(&self, input: &Input) -> bool {
        self.file.is_file_of(input)
    }

    /// Whether the shared memory is a range of the same file.
    pub(crate) fn is_file_of_shared(&self, shared: &SharedMemory) -> bool {
        self.file.is_same(shared.writable_file())
    }
}

/// Keeps other runs from writing an output file.
#[derive(Debug)]
pub(crate) struct Reservation {
    out: OutputFile,
}

impl Reservation {
    /// The file.
    pub fn out(&self) -> &OutputFile {
        &self.out
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut writers = self.out.writers.lock().unwrap_or_else(PoisonError::into_inner);
        *writers = match *writers {
            Writers::Concurrent(runs) if runs > 1 => Writers::Concurrent(runs - 1),
            _ => {
                // It fails where locking has failed.
                let _ = self.out.file().unlock();
                Writers::Nobody
            }
        };
    }
}
