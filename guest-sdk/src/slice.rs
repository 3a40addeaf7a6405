//! The task's slice of the output file, whole or in parts.

use std::marker::PhantomData;
use std::ops::Range;

use crate::raw::host;
use crate::{Error, FromTask, Input, Pod, Task, WindowMut};

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
pub type Slice<'t, T = u8> = WindowMut<'t, T>;

/// The task's own part of the job's output file, to be mapped in parts: for slices that are larger than memory.
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

    /// Whether it has no bytes, which no slice is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A range of it, one at a time.
    ///
    /// # Errors
    ///
    /// When the range is not within the slice, or longer than [`Input::MAX_WINDOW_LEN`].
    pub fn map_range(&mut self, range: Range<u64>) -> Result<Slice<'_>, Error> {
        if range.start > range.end || range.end > self.len {
            let Range { start, end } = range;
            return Err(Error::new(format_args!("range {start}..{end} is not within the slice of {} bytes", self.len)));
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
            return Err(Error::new("this task has no slice of an output file: use --out FILE --slice BYTES"));
        }
        if !task.take_slice() {
            return Err(Error::new("a task has one slice, and it is taken already"));
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
            assert_eq!(again, "a task has one slice, and it is taken already");
            Ok(())
        });
        assert_eq!(written.unwrap().slice, [0, 0, 0, 0, 0, 0, 2, 1]);
        let error = |len| TestTask::new().slice(len).run(|task| task.extract::<Slice<f64>>().map(|_| ())).unwrap_err();
        assert_eq!(
            error(12),
            "12 bytes are no whole number of f64 (8 bytes each); make --slice or pieces a multiple of that"
        );
        let none = TestTask::new().run(|task| task.extract::<Slice>().map(|_| ())).unwrap_err();
        assert_eq!(none, "this task has no slice of an output file: use --out FILE --slice BYTES");
    }

    #[test]
    fn parts_are_mapped_one_after_the_other() {
        let written = TestTask::new().slice(100).run_in_place(|task| {
            let mut parts: SliceParts = task.extract()?;
            for start in (0..parts.len()).step_by(10) {
                parts.map_range(start..start + 10)?.fill(start as u8);
            }
            let error = parts.map_range(95..101).unwrap_err().to_string();
            assert_eq!(error, "range 95..101 is not within the slice of 100 bytes");
            Ok(())
        });
        assert!((0..100).zip(written.unwrap().slice).all(|(at, byte)| byte == at / 10 * 10));
    }
}
