//! Files that can no longer change, as slices.
#![expect(unsafe_code, reason = "a map of a file as a slice is sound only if the file cannot change")]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};
use rustix::mm::{MprotectFlags, mprotect};

use super::memory_file;

/// A part of an immutable file.
#[derive(Debug)]
pub struct ReadOnlyMap(Option<Mmap>);

impl ReadOnlyMap {
    /// Maps the first `len` bytes.
    ///
    /// # Errors
    ///
    /// If the file is not sealed against every change, is shorter than `len`, or cannot be mapped.
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
    /// If the range cannot be mapped.
    ///
    /// # Safety
    ///
    /// The range lies within the file, and nobody changes the file while the map exists.
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

/// Allows the machine code in a map to run, or forbids it again.
///
/// # Errors
///
/// If the kernel refuses it.
///
/// # Safety
///
/// The range is whole pages of a [`ReadOnlyMap`] that stays while its code runs, and the code is trusted.
pub unsafe fn set_executable(code: &[u8], executable: bool) -> io::Result<()> {
    let exec = if executable { MprotectFlags::EXEC } else { MprotectFlags::empty() };
    // SAFETY: the caller's promise; the map stays readable.
    unsafe { mprotect(code.as_ptr().cast_mut().cast(), code.len(), MprotectFlags::READ | exec)? };
    Ok(())
}

impl std::ops::Deref for ReadOnlyMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
