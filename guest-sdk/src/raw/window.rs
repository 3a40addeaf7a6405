//! A mapped range of an input.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use super::host;
use super::pod::Pod;
use crate::{Error, Input};

/// A range of an input, mapped into memory. Dereferences to `[T]` and is unmapped when dropped.
///
/// It is read-only, and nothing is copied to make it. It cannot outlive the task, and neither can anything that borrows
/// from it. Made by [`Input::map`], [`Input::map_range`], [`Input::chunks`] and [`Input::as_slice`].
///
/// ```
/// # use wrun_guest::{Error, Input, TestTask, Window};
/// /// The largest of the first 8 numbers of a file of `u32`.
/// #[wrun_guest::task]
/// fn largest(input: Input) -> Result<u32, Error> {
///     let numbers: Window<u32> = input.map_range(..32)?.cast()?;
///     Ok(numbers.iter().copied().max().unwrap_or(0))
/// }
///
/// let file = [3u32, 9, 2, 0, 0, 0, 0, 0, 77].map(u32::to_le_bytes).concat();
/// assert_eq!(TestTask::new().input("numbers", file).run(|task| largest(task.extract()?)).unwrap(), b"9");
/// ```
pub struct Window<'t, T: Pod = u8> {
    first: NonNull<T>,
    len: usize,
    _task: PhantomData<&'t T>,
}

impl<'t> Window<'t, u8> {
    /// Maps a range that lies within the input.
    pub(crate) fn map(input: Input<'t>, offset: u64, len: usize) -> Self {
        // An empty slice may be at any aligned address, so there is no need to ask the host.
        let first = if len == 0 { dangling() } else { host::input_map(input.index(), offset, len) };
        Window { first, len, _task: PhantomData }
    }

    /// The same memory as a slice of little-endian `T`.
    ///
    /// # Errors
    ///
    /// If the length is not a multiple of `T`'s size, or if the window is not aligned for `T`. It is aligned exactly if its
    /// offset in the file is a multiple of `T`'s alignment.
    pub fn cast<T: Pod>(self) -> Result<Window<'t, T>, Error> {
        let size = size_of::<T>();
        if !self.len.is_multiple_of(size) {
            return Err(Error::partial_element(self.len, size, T::NAME));
        }
        let misalignment = self.first.addr().get() % align_of::<T>();
        if misalignment != 0 {
            return Err(Error::misaligned(misalignment, align_of::<T>(), T::NAME));
        }
        let window = Window { first: self.first.cast(), len: self.len / size, _task: PhantomData };
        // The new owner unmaps it, so the old one must not.
        std::mem::forget(self);
        Ok(window)
    }

    /// The bytes as text.
    ///
    /// # Errors
    ///
    /// If they are not UTF-8.
    pub fn to_str(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self)
    }
}

/// The address of an empty window, aligned for every [`Pod`].
fn dangling() -> NonNull<u8> {
    NonNull::<u128>::dangling().cast()
}

impl<T: Pod> Deref for Window<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: an empty window has a well-aligned dangling address. Any other address is a map that this value owns and
        // undoes only in `drop`, so it stays mapped while `self` is borrowed; the host counts maps, so dropping another
        // window does not end it. The range has `len * size_of::<T>()` bytes, at most `Input::MAX_WINDOW_LEN` (`Input`
        // checks), which is `isize::MAX` on wasm32. `cast` checked alignment and size, and `Pod` types have no invalid
        // bytes. The bytes do not change: the mapping is read-only, and the host fails a task whose file changes while it
        // runs.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> Drop for Window<'_, T> {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: this value owns one map of this address, and all borrows of it have ended.
            unsafe { host::input_unmap(self.first.cast()) }
        }
    }
}

impl<T: Pod> AsRef<[T]> for Window<'_, T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Window<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window<{}>({} elements)", T::NAME, self.len)
    }
}
