//! How a worker reports a fault in a mapped file.

/// What a window maps, by its index as the task sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mapped {
    /// A range of an input.
    Input(u32),
    /// A range of a region.
    Region(u32),
}

/// A worker's report of a fault in a mapped file. It travels as the message of a completion with
/// [`Status::InputFault`](crate::Status::InputFault); the pool, which knows the names, makes a text of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputFault {
    /// Where it happened.
    pub of: Mapped,
    /// What happened.
    pub kind: InputFaultKind,
}

/// See [`InputFault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum InputFaultKind {
    /// Something was written at this offset of the task's view.
    Write { offset: u64 },
    /// The file now has only this many bytes.
    Truncated { file_len: u64 },
    /// The file could not be read at this offset of the task's view, because of a disk error, say.
    Unreadable { offset: u64 },
}

impl InputFault {
    /// Encodes the fault as the bytes of a message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, value) = match self.kind {
            InputFaultKind::Write { offset } => (0u64, offset),
            InputFaultKind::Truncated { file_len } => (1, file_len),
            InputFaultKind::Unreadable { offset } => (2, offset),
        };
        let of = match self.of {
            Mapped::Input(index) => u64::from(index),
            Mapped::Region(index) => u64::from(index) | 1 << 32,
        };
        [of, kind, value].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Decodes what an untrusted worker wrote.
    pub fn decode(bytes: &[u8]) -> Option<InputFault> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let kind = match (word(8)?, word(16)?) {
            (0, offset) => InputFaultKind::Write { offset },
            (1, file_len) => InputFaultKind::Truncated { file_len },
            (2, offset) => InputFaultKind::Unreadable { offset },
            _ => return None,
        };
        let of = match (word(0)? >> 32, word(0)? as u32) {
            (0, index) => Mapped::Input(index),
            (1, index) => Mapped::Region(index),
            _ => return None,
        };
        Some(InputFault { of, kind })
    }
}
