//! A range of a file that a worker has.

use serde::{Deserialize, Serialize};

/// A range of a file in the worker's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRange {
    /// The file's number in the table.
    pub file: u32,
    /// The offset of the first byte.
    pub offset: u64,
    /// The length in bytes.
    pub len: u64,
}

impl InputRange {
    /// The length of one record in a task's payload, in bytes.
    pub const BYTES: usize = 24;

    /// Appends the record to `to`.
    #[inline]
    pub fn encode(&self, to: &mut Vec<u8>) {
        for word in [u64::from(self.file), self.offset, self.len] {
            to.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Decodes the record at the start of `bytes`.
    ///
    /// # Panics
    ///
    /// If there are fewer than [`InputRange::BYTES`].
    #[inline]
    pub fn decode(bytes: &[u8]) -> InputRange {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        InputRange { file: word(0) as u32, offset: word(8), len: word(16) }
    }
}
