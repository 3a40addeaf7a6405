//! What tasks write in place: a file with a slice for each task, and areas that all share.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::error::{Error, Kind};
use crate::input::must_be_regular;
use crate::sys::memory_file;
use crate::{Input, Result};

/// A file in which task `k` of a job has the bytes from `k * slice_bytes` to `(k + 1) * slice_bytes` to itself, mapped
/// writable. It grows as tasks are taken and is never made shorter than it was. Cheap to clone; all clones are the same file.
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
    file: Arc<RegionFile>,
    slice_bytes: u64,
    failed: FailedSlice,
}

/// What becomes of the slice of an attempt that failed, when nobody can write there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedSlice {
    /// It becomes zeros.
    #[default]
    Zero,
    /// It stays as the task left it; the next attempt finds it so.
    Leave,
}

/// What tasks may do in the windows of their inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputMode {
    /// Read.
    #[default]
    ReadOnly,
    /// Write, too: each window is a private copy, of which pages are made as they are written. Those count against
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes), in pieces of 64 KiB.
    CopyOnWrite,
}

/// A writable area that all tasks of a job map, at the same time: for counters and histograms, by atomic instructions. Cheap to
/// clone; all clones are the same area.
#[derive(Clone, Debug)]
pub struct SharedArea {
    file: Arc<RegionFile>,
    len: u64,
}

#[derive(Debug)]
struct RegionFile {
    file: Arc<File>,
    /// For messages.
    name: String,
}

impl OutputFile {
    /// Opens a regular file for reading and writing, or creates it; what is in it stays.
    ///
    /// # Errors
    ///
    /// Where it is none, may not be written, or a slice has no bytes.
    pub fn create(path: impl AsRef<Path>, slice_bytes: u64) -> Result<OutputFile> {
        OutputFile::new(RegionFile::create("cannot use output file", path.as_ref())?, slice_bytes)
    }

    /// Takes an open regular file, which must be readable and writable; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As for [`OutputFile::create`].
    pub fn from_file(file: File, name: impl Into<String>, slice_bytes: u64) -> Result<OutputFile> {
        OutputFile::new(RegionFile::checked("cannot use output file", file, name.into())?, slice_bytes)
    }

    /// A file in memory alone, to be read by [`OutputFile::read`]. It goes with the last clone.
    ///
    /// # Errors
    ///
    /// Where the system gives none.
    pub fn in_memory(slice_bytes: u64) -> Result<OutputFile> {
        let file =
            memory_file::growing("wrun-out").map_err(|error| Error::system("cannot make a file in memory", error))?;
        OutputFile::new(RegionFile { file: Arc::new(file), name: "memory".into() }, slice_bytes)
    }

    fn new(file: RegionFile, slice_bytes: u64) -> Result<OutputFile> {
        if slice_bytes == 0 {
            return Err(Error::request("a slice needs at least 1 byte"));
        }
        Ok(OutputFile { file: Arc::new(file), slice_bytes, failed: FailedSlice::default() })
    }

    /// Says what becomes of slices of attempts that failed.
    #[must_use]
    pub fn failed_slice(mut self, failed: FailedSlice) -> Self {
        self.failed = failed;
        self
    }

    /// Bytes of a slice.
    pub fn slice_bytes(&self) -> u64 {
        self.slice_bytes
    }

    /// The name for messages: the path.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The file itself, for what [`OutputFile::read`] does not do.
    pub fn file(&self) -> &File {
        &self.file.file
    }

    /// A copy of these bytes of the file.
    ///
    /// # Errors
    ///
    /// Where the file has not so many, or cannot be read.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.file.read(range)
    }

    pub(crate) fn keeps_failed(&self) -> bool {
        self.failed == FailedSlice::Leave
    }

    pub(crate) fn opened(&self) -> Arc<File> {
        self.file.file.clone()
    }

    /// What tells this file from others, for keys.
    pub(crate) fn identity(&self) -> io::Result<[u64; 4]> {
        self.file.identity()
    }

    /// Whether the input is a range of the same file.
    pub(crate) fn is_file_of(&self, input: &Input) -> bool {
        self.file.is_file(input.file().0)
    }

    /// Whether the area is a part of the same file.
    pub(crate) fn is_file_of_area(&self, area: &SharedArea) -> bool {
        self.file.is_file(area.file())
    }
}

impl SharedArea {
    /// The first `len` bytes of a regular file, which is created or made longer where it is needed; what is in it stays.
    ///
    /// # Errors
    ///
    /// Where it is no regular file, may not be written, or is longer than an area that ends inside a page (4096 bytes, on most
    /// machines): what follows there would be part of the area.
    pub fn create(path: impl AsRef<Path>, len: u64) -> Result<SharedArea> {
        SharedArea::new(RegionFile::create("cannot use shared area", path.as_ref())?, len)
    }

    /// The same with an open file, which must be readable and writable; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As for [`SharedArea::create`].
    pub fn from_file(file: File, name: impl Into<String>, len: u64) -> Result<SharedArea> {
        SharedArea::new(RegionFile::checked("cannot use shared area", file, name.into())?, len)
    }

    /// An area of zeros in memory alone, to be read by [`SharedArea::read`]. It goes with the last clone.
    ///
    /// # Errors
    ///
    /// Where the system gives none.
    pub fn in_memory(len: u64) -> Result<SharedArea> {
        let file = memory_file::fixed("wrun-shared", len)
            .map_err(|error| Error::system("cannot make a shared area", error))?;
        SharedArea::new(RegionFile { file: Arc::new(file), name: "memory".into() }, len)
    }

    fn new(file: RegionFile, len: u64) -> Result<SharedArea> {
        let failed = |error| Kind::file("cannot use shared area", file.name.as_ref(), error);
        if len == 0 {
            return Err(Error::request(format!("shared area {:?} needs at least 1 byte", file.name)));
        }
        let file_len = file.file.metadata().map_err(failed)?.len();
        if file_len > len && !len.is_multiple_of(crate::sys::window::page_size() as u64) {
            return Err(Error::request(format!(
                "a shared area of {len} bytes ends inside a page of {:?}, which has {file_len} bytes: give all of them, or a \
                 multiple of {}",
                file.name,
                crate::sys::window::page_size()
            )));
        }
        if file_len < len {
            crate::sys::allocate::allocate(&file.file, file_len, len - file_len).map_err(failed)?;
        }
        Ok(SharedArea { file: Arc::new(file), len })
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes, which none has.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name of its file for messages: the path.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The file itself, for what [`SharedArea::read`] does not do.
    pub fn file(&self) -> &File {
        &self.file.file
    }

    /// A copy of these bytes of the area. While tasks run they change: each number of up to 8 bytes is as it was at some time.
    ///
    /// # Errors
    ///
    /// Where the area has not so many, or cannot be read.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.file.read(range)
    }

    pub(crate) fn opened(&self) -> Arc<File> {
        self.file.file.clone()
    }

    /// What tells this file from others, for keys.
    pub(crate) fn identity(&self) -> io::Result<[u64; 4]> {
        self.file.identity()
    }

    /// Whether the input is a range of the same file.
    pub(crate) fn is_file_of(&self, input: &Input) -> bool {
        self.file.is_file(input.file().0)
    }
}

impl RegionFile {
    fn create(what: &'static str, path: &Path) -> Result<RegionFile> {
        let open = || {
            // Looked at before it is opened, because opening a pipe would wait for a reader.
            match std::fs::metadata(path) {
                Ok(metadata) => must_be_regular(&metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        };
        let file = open().map_err(|error| Kind::writable_file(what, path, error))?;
        RegionFile::checked(what, file, path.display().to_string())
    }

    fn checked(what: &'static str, file: File, name: String) -> Result<RegionFile> {
        let checked = file.metadata().and_then(|metadata| must_be_regular(&metadata)).and_then(|()| {
            let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "it is not open for reading and writing");
            if memory_file::is_writable(&file)? { Ok(()) } else { Err(refused()) }
        });
        checked.map_err(|error| Kind::writable_file(what, name.as_ref(), error))?;
        Ok(RegionFile { file: Arc::new(file), name })
    }

    fn read(&self, Range { start, end }: Range<u64>) -> Result<Vec<u8>> {
        let failed = |error| Kind::file("cannot read", self.name.as_ref(), error);
        let file_len = self.file.metadata().map_err(failed)?.len();
        if start > end || end > file_len {
            return Err(Error::request(format!("{:?} has {file_len} bytes, and no range {start}..{end}", self.name)));
        }
        let mut bytes = vec![0; usize::try_from(end - start).map_err(|error| failed(io::Error::other(error)))?];
        self.file.read_exact_at(&mut bytes, start).map_err(failed)?;
        Ok(bytes)
    }

    /// Device, inode and time of birth: an inode's number is used again for a later file.
    fn identity(&self) -> io::Result<[u64; 4]> {
        let metadata = self.file.metadata()?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Ok([metadata.dev(), metadata.ino(), born.as_secs(), born.subsec_nanos().into()])
    }

    /// Whether it is the same file as an open one.
    fn is_file(&self, other: &File) -> bool {
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), other.metadata()) {
            (Ok(own), Ok(other)) => id(own) == id(other),
            _ => false,
        }
    }
}
