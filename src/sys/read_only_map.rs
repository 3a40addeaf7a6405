//! Files that nobody can change any more, as slices.
#![expect(unsafe_code, reason = "a map of a file as a slice is sound only if the file cannot change")]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

use super::memory_file;

/// A part of an immutable file.
#[derive(Debug)]
pub struct ReadOnlyMap(Option<Mmap>);

impl ReadOnlyMap {
    /// Maps the first `len` bytes.
    ///
    /// # Errors
    ///
    /// Where the file is not sealed against every change or shorter than `len`, or the system has no room for the map.
    pub fn of_sealed(file: &File, len: u64) -> io::Result<ReadOnlyMap> {
        if !memory_file::is_immutable(file)? || memory_file::len(file)? < len {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an immutable file of that length"));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Ok(ReadOnlyMap(None));
        }
        // SAFETY: the seals, checked above, keep every process from writing to or shrinking the file, for good.
        let map = unsafe { MmapOptions::new().len(len).map(file)? };
        Ok(ReadOnlyMap(Some(map)))
    }

    /// Maps these bytes of a file.
    ///
    /// # Errors
    ///
    /// Where the system has no room for the map.
    ///
    /// # Safety
    ///
    /// The range lies in the file, and nobody changes the file as long as the map lives.
    pub unsafe fn of_unchanging(file: &File, range: Range<u64>) -> io::Result<ReadOnlyMap> {
        let len = usize::try_from(range.end - range.start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Ok(ReadOnlyMap(None));
        }
        // SAFETY: the caller's promise.
        let map = unsafe { MmapOptions::new().offset(range.start).len(len).map(file)? };
        Ok(ReadOnlyMap(Some(map)))
    }
}

impl std::ops::Deref for ReadOnlyMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
