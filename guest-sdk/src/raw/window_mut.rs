//! A mapped range that only the task sees, and can write.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Pod, host};
use crate::{Error, Input};

/// A range that only this task sees, mapped writable. Dereferences to `[T]` and is unmapped when dropped.
///
/// It is a range of the task's output slice ([`Slice`](crate::Slice)) or a private copy of a range of an input
/// ([`Input::map_private`]).
///
/// ```
/// # use wrun_guest::{Error, Input, TestTask};
/// /// The median of a file of bytes, found by sorting a private copy.
/// #[wrun_guest::task]
/// fn median(input: Input) -> Result<u8, Error> {
///     let mut bytes = input.map_private(..)?;
///     bytes.sort_unstable();
///     bytes.get(bytes.len() / 2).copied().ok_or_else(|| Error::new("the file is empty"))
/// }
///
/// let task = TestTask::new().input("bytes", [9, 1, 5]).copy_on_write();
/// assert_eq!(task.run(|task| median(task.extract()?)).unwrap(), b"5");
/// ```
pub struct WindowMut<'t, T: Pod = u8> {
    first: NonNull<T>,
    len: usize,
    _range: PhantomData<&'t mut T>,
}

impl<'t> WindowMut<'t, u8> {
    /// Maps a range that lies within the input, if inputs can be written.
    pub(crate) fn map_input(input: Input<'t>, offset: u64, len: usize) -> Self {
        let first = if len == 0 { dangling() } else { host::input_map_private(input.index(), offset, len) };
        WindowMut { first, len, _range: PhantomData }
    }

    /// Maps a range that lies within the slice; nothing else of the slice is mapped while the value lives.
    pub(crate) fn map_slice(offset: u64, len: usize) -> Self {
        let first = if len == 0 { dangling() } else { host::region_map(wrun_abi::SLICE, offset, len) };
        WindowMut { first, len, _range: PhantomData }
    }

    /// The same memory as a slice of little-endian `T`.
    ///
    /// # Errors
    ///
    /// If the length is not a multiple of `T`'s size, or if the window is not aligned for `T`. It is aligned exactly if its
    /// offset in the file is a multiple of `T`'s alignment.
    pub fn cast<T: Pod>(self) -> Result<WindowMut<'t, T>, Error> {
        let size = size_of::<T>();
        if !self.len.is_multiple_of(size) {
            return Err(Error::partial_slice(self.len, size, T::NAME));
        }
        let misalignment = self.first.addr().get() % align_of::<T>();
        if misalignment != 0 {
            return Err(Error::misaligned(misalignment, align_of::<T>(), T::NAME));
        }
        let window = WindowMut { first: self.first.cast(), len: self.len / size, _range: PhantomData };
        // The new owner unmaps it, so the old one must not.
        std::mem::forget(self);
        Ok(window)
    }
}

/// The address of an empty slice, aligned for every [`Pod`].
fn dangling() -> NonNull<u8> {
    NonNull::<u128>::dangling().cast()
}

impl<T: Pod> Deref for WindowMut<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: as for `Window`: a map that this value owns, aligned, of initialised bytes that are valid for every `Pod`,
        // at most `isize::MAX` of them. The host gives them to this task alone, `SliceParts` makes one such value at a time,
        // and each private copy of an input is separate. So nothing writes while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> DerefMut for WindowMut<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive; the map is writable.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> Drop for WindowMut<'_, T> {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: this value owns one map of this address, and all borrows of it have ended.
            unsafe { host::input_unmap(self.first.cast()) }
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for WindowMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowMut<{}>({} elements)", T::NAME, self.len)
    }
}
