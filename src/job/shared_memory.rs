//! Memory that all tasks of a job write at the same time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::writable_file::WritableFile;
use crate::error::{Error, Repr};
use crate::sys::memory_file;
use crate::{Input, Result};

/// A range of a file that all tasks of a job map writable at the same time: for counters and histograms, with atomic
/// instructions. Cheap to clone; all clones are the same memory.
///
/// ```no_run
/// use wrun::{Job, Module, Pool, SharedMemory};
///
/// wrun::init();
/// let total = SharedMemory::in_memory(8)?;
/// let job = Job::new(&Module::from_file("count.wasm")?).shared("total", total.clone());
/// Pool::builder().build()?.map(&job, 0..1000)?.for_each(drop);
/// println!("{:?}", total.read(0..8)?);
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedMemory {
    file: Arc<WritableFile>,
    len: u64,
}

impl SharedMemory {
    /// Uses the first `len` bytes of a regular file, which is created or extended as needed. Existing contents are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a regular file that can be written and mapped, if `len` is 0, or if the file is longer than `len`
    /// and `len` is not a multiple of the page size (4096 bytes on most machines): tasks could write what follows in that page.
    pub fn create(path: impl AsRef<Path>, len: u64) -> Result<SharedMemory> {
        SharedMemory::new(WritableFile::create("cannot use shared memory", path.as_ref())?, len)
    }

    /// Uses the first `len` bytes of an open file, which must be readable and writable. Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`SharedMemory::create`].
    pub fn from_file(file: File, name: impl Into<PathBuf>, len: u64) -> Result<SharedMemory> {
        SharedMemory::new(WritableFile::checked("cannot use shared memory", file, name.into())?, len)
    }

    /// Creates `len` zeros in memory, to be read with [`SharedMemory::read`]. They are freed when the last clone is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses the memory, or if `len` is 0.
    pub fn in_memory(len: u64) -> Result<SharedMemory> {
        let file = memory_file::fixed("wrun-shared", len)
            .map_err(|error| Error::system("cannot make shared memory", error))?;
        SharedMemory::new(WritableFile::in_memory("cannot use shared memory", file)?, len)
    }

    fn new(file: WritableFile, len: u64) -> Result<SharedMemory> {
        let failed = |error| Repr::file("cannot use shared memory", file.name.as_ref(), error);
        if len == 0 {
            return Err(Error::request(format!("shared memory {:?} needs at least 1 byte", file.name)));
        }
        let file_len = file.file.metadata().map_err(failed)?.len();
        if file_len > len && !len.is_multiple_of(crate::sys::window::page_size() as u64) {
            return Err(Error::request(format!(
                "shared memory of {len} bytes ends inside a page of {:?}, which has {file_len} bytes: share all of them, or a \
                 multiple of {}",
                file.name,
                crate::sys::window::page_size()
            )));
        }
        if file_len < len {
            crate::sys::allocate::allocate(&file.file, file_len, len - file_len).map_err(failed)?;
        }
        Ok(SharedMemory { file: Arc::new(file), len })
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Always false: shared memory has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file's name in messages: its path.
    pub fn name(&self) -> &Path {
        &self.file.name
    }

    /// The file itself, for what [`SharedMemory::read`] does not do.
    pub fn file(&self) -> &File {
        &self.file.file
    }

    /// Returns a copy of these bytes. Tasks may be changing them meanwhile: each aligned number of up to 8 bytes is read whole.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is shorter than the range's end, or cannot be read.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.file.read(range)
    }

    /// Checks, after a run, that nobody has truncated the file.
    ///
    /// # Errors
    ///
    /// Returns an error if somebody has, or if a system call on the file fails.
    pub(crate) fn check_len(&self) -> Result<()> {
        let failed = |error| Repr::file("cannot finish shared memory", self.file.name.as_ref(), error);
        let (len, _) = self.file.state().map_err(failed)?;
        if len < self.len {
            let message = format!("it was truncated to {len} bytes while tasks used it, and what they wrote is lost");
            return Err(failed(io::Error::other(message)).into());
        }
        Ok(())
    }

    pub(super) fn writable_file(&self) -> &WritableFile {
        &self.file
    }

    pub(crate) fn opened(&self) -> Arc<File> {
        self.file.file.clone()
    }

    /// Distinguishes this file from others, for task keys.
    pub(crate) fn identity(&self) -> io::Result<[u64; 4]> {
        self.file.identity()
    }

    /// Whether the input is a range of the same file.
    pub(crate) fn is_file_of(&self, input: &Input) -> bool {
        self.file.is_file_of(input)
    }
}
