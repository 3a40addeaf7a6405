//! The argument of the task that runs.

use std::fs::File;
use std::io;
use std::ops::Deref;

use crate::sys::read_only_map::ReadOnlyMap;

/// A short argument is copied. A long one is the pool's own memory, mapped while the task runs.
#[derive(Debug, Default)]
pub(super) struct GuestArgument {
    copied: Vec<u8>,
    mapped: Option<ReadOnlyMap>,
}

impl GuestArgument {
    /// Replaces the argument by a copy of these bytes.
    pub fn copy(&mut self, bytes: &[u8]) {
        self.copied.clear();
        self.copied.extend_from_slice(bytes);
    }

    /// Replaces the argument by the first `len` bytes of a sealed file, until [`GuestArgument::end`].
    pub fn map(&mut self, file: &File, len: u64) -> io::Result<()> {
        self.mapped = Some(ReadOnlyMap::of_sealed(file, len)?);
        Ok(())
    }

    /// Unmaps a long argument when the task has ended.
    pub fn end(&mut self) {
        self.mapped = None;
    }
}

impl Deref for GuestArgument {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.mapped {
            None => &self.copied,
            Some(map) => map,
        }
    }
}
