//! The task's output slice, whole or in parts.

use std::marker::PhantomData;
use std::ops::Range;

use crate::raw::host;
use crate::{Error, FromTask, Input, Pod, Task, WindowMut};

/// The task's output slice: its own range of the job's output file, written in place. Dereferences to `[T]`.
///
/// As a parameter it is the whole slice. It shows the bytes that are in the file, which are zeros in a new file. No other
/// task can access them.
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
pub type Slice<'t, T = u8> = WindowMut<'t, T>;

/// The task's output slice, mapped in parts: for slices that are larger than memory.
///
/// ```
/// # use wrun_guest::{Error, SliceParts, TestTask};
/// /// Fills a slice of any size, 1 MiB at a time.
/// #[wrun_guest::task]
/// fn fill(byte: u8, mut slice: SliceParts) -> Result<(), Error> {
///     let len = slice.len();
///     for start in (0..len).step_by(1 << 20) {
///         slice.map_range(start..len.min(start + (1 << 20)))?.fill(byte);
///     }
///     Ok(())
/// }
///
/// let task = TestTask::new().arg("7").slice(3);
/// assert_eq!(task.run_in_place(|task| fill(task.extract()?, task.extract()?)).unwrap().slice, [7, 7, 7]);
/// ```
#[derive(Debug)]
pub struct SliceParts<'t> {
    len: u64,
    _task: PhantomData<&'t Task>,
}

impl SliceParts<'_> {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes; never true for a real output slice.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Maps a range of the slice; only one range can be mapped at a time.
    ///
    /// # Errors
    ///
    /// If the range is not within the slice, or longer than [`Input::MAX_WINDOW_LEN`].
    pub fn map_range(&mut self, range: Range<u64>) -> Result<Slice<'_>, Error> {
        if range.start > range.end || range.end > self.len {
            let Range { start, end } = range;
            let len = self.len;
            return Err(Error::new(format_args!(
                "range {start}..{end} is not within the output slice, which has {len} bytes"
            )));
        }
        if range.end - range.start > Input::MAX_WINDOW_LEN {
            return Err(Error::too_large(range.end - range.start, Input::MAX_WINDOW_LEN));
        }
        Ok(Slice::map_slice(range.start, (range.end - range.start) as usize))
    }
}

impl<'t> FromTask<'t> for SliceParts<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        if !task.has_slice() {
            return Err(Error::new("this task has no output slice: use --out FILE --slice BYTES"));
        }
        if !task.take_slice() {
            return Err(Error::new("the task's output slice is already taken; take it once"));
        }
        Ok(SliceParts { len: host::region_len(wrun_abi::SLICE), _task: PhantomData })
    }
}

impl<'t, T: Pod> FromTask<'t> for WindowMut<'t, T> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        let parts = SliceParts::from_task(task)?;
        if parts.len > Input::MAX_WINDOW_LEN {
            return Err(Error::too_large(parts.len, Input::MAX_WINDOW_LEN));
        }
        Slice::map_slice(0, parts.len as usize).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestTask;

    #[test]
    fn a_slice_is_exclusive_and_typed() {
        let written = TestTask::new().slice(8).run_in_place(|task| {
            let mut slice: Slice<u16> = task.extract()?;
            slice[3] = 0x0102;
            let again = task.extract::<Slice>().unwrap_err().to_string();
            assert_eq!(again, "the task's output slice is already taken; take it once");
            Ok(())
        });
        assert_eq!(written.unwrap().slice, [0, 0, 0, 0, 0, 0, 2, 1]);
        let error = |len| TestTask::new().slice(len).run(|task| task.extract::<Slice<f64>>().map(|_| ())).unwrap_err();
        assert_eq!(
            error(12),
            "12 bytes are not a whole number of f64 values (8 bytes each); make --slice or the pieces a multiple of that"
        );
        let none = TestTask::new().run(|task| task.extract::<Slice>().map(|_| ())).unwrap_err();
        assert_eq!(none, "this task has no output slice: use --out FILE --slice BYTES");
    }

    #[test]
    fn parts_are_mapped_one_after_the_other() {
        let written = TestTask::new().slice(100).run_in_place(|task| {
            let mut parts: SliceParts = task.extract()?;
            for start in (0..parts.len()).step_by(10) {
                parts.map_range(start..start + 10)?.fill(start as u8);
            }
            let error = parts.map_range(95..101).unwrap_err().to_string();
            assert_eq!(error, "range 95..101 is not within the output slice, which has 100 bytes");
            Ok(())
        });
        assert!((0..100).zip(written.unwrap().slice).all(|(at, byte)| byte == at / 10 * 10));
    }
}
