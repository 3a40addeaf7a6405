//! A task's result bytes.

use std::fs::File;
use std::io;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::Input;
use crate::sys::read_only_map::ReadOnlyMap;

/// A task's result bytes. A large result is not copied: it stays in memory that the worker filled and can change no
/// more, and goes when the last clone is dropped. A very small one needs no memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Output(OutputKind);

/// A result up to this long is kept in place: it has room for a number's text.
const INLINE_BYTES: usize = 24;

#[derive(Clone, Debug)]
enum OutputKind {
    Copied(SmallVec<[u8; INLINE_BYTES]>),
    Mapped(Arc<ReadOnlyMap>, Input),
}

impl Default for OutputKind {
    fn default() -> Self {
        OutputKind::Copied(SmallVec::new())
    }
}

impl Output {
    /// The first `len` bytes of a memory file that nobody can change any more.
    pub(crate) fn from_sealed(file: File, len: u64) -> io::Result<Output> {
        let map = Arc::new(ReadOnlyMap::of_sealed(&file, len)?);
        Ok(Output(OutputKind::Mapped(map, Input::from_sealed("result", file, len))))
    }

    /// The result as an input of another task; a large one is not copied.
    ///
    /// # Errors
    ///
    /// Where the system has no memory for a copy of a small one.
    pub fn to_input(&self) -> crate::Result<Input> {
        match &self.0 {
            OutputKind::Copied(bytes) => Input::from_bytes("result", bytes),
            OutputKind::Mapped(_, input) => Ok(input.clone()),
        }
    }

    /// The result as an input, where that takes no copy.
    pub(crate) fn as_input(&self) -> Option<&Input> {
        match &self.0 {
            OutputKind::Copied(_) => None,
            OutputKind::Mapped(_, input) => Some(input),
        }
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Output {}

impl From<Vec<u8>> for Output {
    fn from(bytes: Vec<u8>) -> Self {
        Output(OutputKind::Copied(bytes.into()))
    }
}

impl From<&[u8]> for Output {
    fn from(bytes: &[u8]) -> Self {
        Output(OutputKind::Copied(bytes.into()))
    }
}

impl std::ops::Deref for Output {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            OutputKind::Copied(bytes) => bytes,
            OutputKind::Mapped(map, _) => map,
        }
    }
}
