//! A file that tasks map writable, behind output slices and shared memory.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::Result;
use crate::error::{Error, Repr};
use crate::input::must_be_regular;
use crate::sys::memory_file;

/// An open file that can be read and written.
#[derive(Debug)]
pub(super) struct WritableFile {
    pub file: Arc<File>,
    /// For messages.
    pub name: String,
}

impl WritableFile {
    /// A memory file.
    pub fn in_memory(file: File) -> WritableFile {
        WritableFile { file: Arc::new(file), name: "memory".into() }
    }

    /// Opens a regular file for reading and writing, or creates it.
    pub fn create(what: &'static str, path: &Path) -> Result<WritableFile> {
        let open = || {
            // Checked before opening it, because opening a pipe would wait for a reader.
            match std::fs::metadata(path) {
                Ok(metadata) => must_be_regular(&metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        };
        let file = open().map_err(|error| Repr::writable_file(what, path, error))?;
        WritableFile::checked(what, file, path.display().to_string())
    }

    /// Uses an open file if it is a regular one and can be read and written.
    pub fn checked(what: &'static str, file: File, name: String) -> Result<WritableFile> {
        let checked = file.metadata().and_then(|metadata| must_be_regular(&metadata)).and_then(|()| {
            let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "it is not open for reading and writing");
            if memory_file::is_writable(&file)? { Ok(()) } else { Err(refused()) }
        });
        checked.map_err(|error| Repr::writable_file(what, name.as_ref(), error))?;
        Ok(WritableFile { file: Arc::new(file), name })
    }

    pub fn read(&self, Range { start, end }: Range<u64>) -> Result<Vec<u8>> {
        let failed = |error| Repr::file("cannot read", self.name.as_ref(), error);
        let file_len = self.file.metadata().map_err(failed)?.len();
        if start > end || end > file_len {
            return Err(Error::request(format!(
                "{:?} has {file_len} bytes, so there is no range {start}..{end}",
                self.name
            )));
        }
        let mut bytes = vec![0; usize::try_from(end - start).map_err(|error| failed(io::Error::other(error)))?];
        self.file.read_exact_at(&mut bytes, start).map_err(failed)?;
        Ok(bytes)
    }

    /// The length in bytes, and whether the file has a name.
    pub fn state(&self) -> io::Result<(u64, bool)> {
        self.file.metadata().map(|metadata| (metadata.len(), metadata.nlink() > 0))
    }

    /// Device, inode and creation time: a later file may reuse the inode's number.
    pub fn identity(&self) -> io::Result<[u64; 4]> {
        let metadata = self.file.metadata()?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Ok([metadata.dev(), metadata.ino(), born.as_secs(), born.subsec_nanos().into()])
    }

    /// Whether `other` is the same file.
    pub fn is_file(&self, other: &File) -> bool {
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), other.metadata()) {
            (Ok(own), Ok(other)) => id(own) == id(other),
            _ => false,
        }
    }
}
