//! The owner of a mapped range of the task's slice.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Pod, host};
use crate::Error;

/// The task's own part of the job's output file, written in place: dereferences to `[T]`. As a parameter it is the whole slice.
///
/// Its bytes are what stands in the file: zeros in a new one. No other task can reach them.
///
/// ```
/// # use wrun_guest::{Slice, TaskIndex, TestTask};
/// /// Row `k` of a table of squares.
/// #[wrun_guest::task]
/// fn squares(TaskIndex(row): TaskIndex, mut out: Slice<f64>) {
///     let first = row * out.len() as u64;
///     for (number, square) in (first..).zip(out.iter_mut()) {
///         *square = (number * number) as f64;
///     }
/// }
///
/// let task = TestTask::new().index(2).slice(16);
/// let written = task.run_in_place(|task| Ok(squares(task.extract()?, task.extract()?))).unwrap();
/// assert_eq!(written.slice, [4 * 4, 5 * 5].map(|square| f64::to_le_bytes(square as f64)).concat());
/// ```
pub struct Slice<'t, T: Pod = u8> {
    first: NonNull<T>,
    len: usize,
    _slice: PhantomData<&'t mut T>,
}

impl<'t> Slice<'t, u8> {
    /// Maps a range that lies within the slice and of which nothing is mapped, for as long as the value lives.
    pub(crate) fn map(offset: u64, len: usize) -> Self {
        let first = if len == 0 { dangling() } else { host::region_map(wrun_abi::SLICE, offset, len) };
        Slice { first, len, _slice: PhantomData }
    }

    /// The same memory as a slice of `T`, little-endian as the bytes are.
    ///
    /// # Errors
    ///
    /// When the length is no multiple of `T`'s size, or when it does not begin at a multiple of `T`'s alignment, which is so exactly
    /// when its offset in the file does not: make all slices a multiple of that.
    pub fn cast<T: Pod>(self) -> Result<Slice<'t, T>, Error> {
        let size = size_of::<T>();
        if !self.len.is_multiple_of(size) {
            return Err(Error::partial_slice(self.len, size, T::NAME));
        }
        let misalignment = self.first.addr().get() % align_of::<T>();
        if misalignment != 0 {
            return Err(Error::misaligned(misalignment, align_of::<T>(), T::NAME));
        }
        let slice = Slice { first: self.first.cast(), len: self.len / size, _slice: PhantomData };
        // The new owner unmaps, so the old one must not.
        std::mem::forget(self);
        Ok(slice)
    }
}

/// The address of an empty slice, aligned for every [`Pod`].
fn dangling() -> NonNull<u8> {
    NonNull::<u128>::dangling().cast()
}

impl<T: Pod> Deref for Slice<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: as for `Window`: a map that this value owns, aligned, of initialised bytes that are valid for every `Pod`,
        // at most `isize::MAX` of them. The host gives them to this task alone, and `SliceParts` makes one such value at a
        // time, so nothing writes while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> DerefMut for Slice<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive; the map is writable.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> Drop for Slice<'_, T> {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: this value owns one map of this address, and whatever borrowed from it has ended.
            unsafe { host::input_unmap(self.first.cast()) }
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Slice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice<{}>({} elements)", T::NAME, self.len)
    }
}
