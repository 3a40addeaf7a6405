//! A task's result bytes.

use std::fs::File;
use std::io;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::Input;
use crate::sys::read_only_map::ReadOnlyMap;

/// A task's result: bytes, which it dereferences to.
///
/// A large result is not copied: it stays in the memory that the worker filled and sealed, which is freed when the last clone is
/// dropped. A very small one needs no memory of its own.
///
/// ```
/// use wrun::Output;
///
/// let output = Output::from(b"1.5".to_vec());
/// assert_eq!(String::from_utf8_lossy(&output), "1.5");
/// assert_eq!(output.to_input()?.len(), 3);
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Output(OutputKind);

/// A result up to this long is kept in place. A number's text fits.
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
    /// The first `len` bytes of a sealed memory file.
    pub(crate) fn from_sealed(file: File, len: u64) -> io::Result<Output> {
        let map = Arc::new(ReadOnlyMap::of_sealed(&file, len)?);
        Ok(Output(OutputKind::Mapped(map, Input::from_sealed("result", file, len))))
    }

    /// Returns the result as an input of another task. A large one is not copied.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no memory for a copy of a small one.
    pub fn to_input(&self) -> crate::Result<Input> {
        match &self.0 {
            OutputKind::Copied(bytes) => Input::from_bytes("result", bytes),
            OutputKind::Mapped(_, input) => Ok(input.clone()),
        }
    }

    /// The result as an input, if that takes no copy.
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
