//! The owner of a result that is written in place.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::host;
use crate::Output;

/// A result of known length that is written in place and leaves the task uncopied: dereferences to `[u8]`.
///
/// It begins as zeros. Made by [`Output::map`]; return it from the task, or just drop it: the area is the result
/// either way.
pub struct OutputBuffer<'t> {
    first: NonNull<u8>,
    len: usize,
    _task: PhantomData<&'t mut [u8]>,
}

impl<'t> OutputBuffer<'t> {
    pub(crate) fn map(_output: Output<'t>, len: usize) -> Self {
        // The host is asked even for no bytes, as it is what makes the result complete.
        OutputBuffer { first: host::output_map(len), len, _task: PhantomData }
    }
}

impl Deref for OutputBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the host made `len` initialised bytes at this non-zero address, for this task until it ends, which
        // `'t` outlasts. The host allows one such area a task, so no other value refers to it, and it is no part
        // of the allocator's memory. `Output::map` checked that `len` is at most `isize::MAX`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl DerefMut for OutputBuffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl fmt::Debug for OutputBuffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputBuffer({} bytes)", self.len)
    }
}
