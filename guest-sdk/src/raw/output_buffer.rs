//! A result that is written in place.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::host;
use crate::Output;

/// A result of known length that is written in place, without a copy. Dereferences to `[u8]`.
///
/// It starts as zeros. Made by [`Output::map`]. Return it from the task or drop it: it becomes the result either way.
///
/// ```
/// # use wrun_guest::{Output, TestTask};
/// #[wrun_guest::task]
/// fn ramp(len: usize, output: Output) {
///     let mut ramp = output.map(len);
///     ramp.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
/// }
///
/// let result = TestTask::new().arg("4").run(|task| Ok(ramp(task.extract()?, task.extract()?)));
/// assert_eq!(result.unwrap(), [0, 1, 2, 3]);
/// ```
pub struct OutputBuffer<'t> {
    first: NonNull<u8>,
    len: usize,
    _task: PhantomData<&'t mut [u8]>,
}

impl<'t> OutputBuffer<'t> {
    pub(crate) fn map(_output: Output<'t>, len: usize) -> Self {
        // The host is asked even for an empty buffer, because the call is what sets the result.
        OutputBuffer { first: host::output_map(len), len, _task: PhantomData }
    }
}

impl Deref for OutputBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the host made `len` initialised bytes at this non-zero address, valid until the task ends, and `'t` ends
        // before that. The host allows one such buffer per task, so no other value refers to it, and it is not part of the
        // allocator's memory. `Output::map` checked that `len` is at most `isize::MAX`.
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
