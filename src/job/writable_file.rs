//! A file that tasks map writable, behind output slices and shared memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::Input;
use crate::Result;
use crate::error::{Error, Repr};
use crate::input::must_be_regular;
use crate::sys::{memory_file, open_path, window};

/// An open file that can be read and written.
#[derive(Debug)]
pub(super) struct WritableFile {
    pub file: Arc<File>,
    /// For messages: its path.
    pub name: PathBuf,
    /// Device and inode.
    inode: (u64, u64),
}

impl WritableFile {
    /// A memory file.
    pub fn in_memory(what: &'static str, file: File) -> Result<WritableFile> {
        WritableFile::checked(what, file, "memory".into())
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
            // A pipe may have taken its place by now.
            open_path::open(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
        };
        let file = open().map_err(|error| Repr::writable_file(what, path, error))?;
        WritableFile::checked(what, file, path.to_owned())
    }

    /// Uses an open file if it is a regular one that can be read, written and mapped.
    pub fn checked(what: &'static str, file: File, name: PathBuf) -> Result<WritableFile> {
        let check = || {
            let metadata = file.metadata()?;
            must_be_regular(&metadata)?;
            if !memory_file::is_writable(&file)? {
                let message = "it is not open for reading and writing";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
            }
            if !window::can_map(&file) {
                let message = "it cannot be mapped; name a file on a disk or in memory";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            Ok((metadata.dev(), metadata.ino()))
        };
        let inode = check().map_err(|error| Repr::writable_file(what, &name, error))?;
        Ok(WritableFile { file: Arc::new(file), name, inode })
    }

    pub fn read(&self, Range { start, end }: Range<u64>) -> Result<Vec<u8>> {
        let failed = |error| Repr::file("cannot read", &self.name, error);
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

    /// Whether the input is a range of the same file.
    pub fn is_file_of(&self, input: &Input) -> bool {
        input.inode() == Some(self.inode)
    }

    /// Whether `other` is the same file.
    pub fn is_same(&self, other: &WritableFile) -> bool {
        self.inode == other.inode
    }
}
