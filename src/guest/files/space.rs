//! Counts what a task keeps in its scratch directory.

use super::error::FileError;

/// What a file, directory or link takes, without its names and contents, in bytes.
pub(super) const NODE_BYTES: u64 = 320;

/// What a name takes, without its characters, in bytes.
pub(super) const NAME_BYTES: u64 = 192;

/// The space of a scratch directory, in bytes. The tree's own memory is within what is counted: see the test of its size.
#[derive(Debug)]
pub(super) struct Space {
    limit: u64,
    used: u64,
    is_refused: bool,
}

impl Space {
    pub fn new(limit: u64) -> Space {
        Space { limit, used: 0, is_refused: false }
    }

    /// Takes space.
    ///
    /// # Errors
    ///
    /// If there is not enough.
    pub fn take(&mut self, bytes: u64) -> Result<(), FileError> {
        if bytes > self.limit - self.used {
            self.is_refused = true;
            return Err(FileError::NoSpace);
        }
        self.used += bytes;
        Ok(())
    }

    /// Gives space back.
    pub fn give_back(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.used, "more than was taken");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Whether something was refused.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    #[cfg(test)]
    pub fn used(&self) -> u64 {
        self.used
    }
}
