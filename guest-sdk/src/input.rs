//! An input and the ways to map it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use crate::raw::host;
use crate::{Error, FromTask, Lines, Pod, Task, Window, WindowMut};

/// A file, or a piece of one, that the task reads by mapping it. As a parameter, the task's first input.
///
/// Nothing is read until it is mapped, and mapping takes microseconds, whatever the length. An `Input` is a small handle
/// that can be copied freely. For a piece of a file, all offsets count from the start of the piece.
///
/// ```
/// # use wrun_guest::{Error, Input, TestTask};
/// #[wrun_guest::task]
/// fn longest_line(input: Input) -> usize {
///     input.lines().map(|line| line.len()).max().unwrap_or(0)
/// }
///
/// let result = TestTask::new().input("text", "a\nbcd\n").run(|task| Ok(longest_line(task.extract()?)));
/// assert_eq!(result.unwrap(), b"3");
/// ```
#[derive(Clone, Copy)]
pub struct Input<'t> {
    index: u32,
    len: u64,
    _task: PhantomData<&'t Task>,
}

impl<'t> Input<'t> {
    /// The maximum length of a window in bytes: 2 GiB - 1, the longest Rust slice in a 32-bit memory.
    pub const MAX_WINDOW_LEN: u64 = i32::MAX as u64;

    pub(crate) fn new(_task: &'t Task, index: u32) -> Self {
        Input { index, len: host::input_len(index), _task: PhantomData }
    }

    /// Its position among the task's inputs, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its length in bytes, which may exceed what memory can hold.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Maps the whole input as bytes, without a copy.
    ///
    /// # Errors
    ///
    /// If it is longer than [`MAX_WINDOW_LEN`](Self::MAX_WINDOW_LEN).
    pub fn map(&self) -> Result<Window<'t>, Error> {
        self.map_range(..)
    }

    /// Maps a range of the input as bytes, without a copy.
    ///
    /// # Errors
    ///
    /// If the range is not within the input, or longer than [`MAX_WINDOW_LEN`](Self::MAX_WINDOW_LEN).
    pub fn map_range(&self, range: impl RangeBounds<u64>) -> Result<Window<'t>, Error> {
        let (start, len) = self.resolve(range)?;
        Ok(Window::map(*self, start, len))
    }

    /// Maps a range of the input as a private copy, made page by page when it is written; the file does not change.
    ///
    /// The whole range counts against the task's memory limit.
    ///
    /// # Errors
    ///
    /// As for [`map_range`](Self::map_range), and if the job's inputs are read-only.
    pub fn map_private(&self, range: impl RangeBounds<u64>) -> Result<WindowMut<'t>, Error> {
        if !host::input_writable() {
            return Err(Error::new("inputs are read-only in this run: use --input-mode cow"));
        }
        let (start, len) = self.resolve(range)?;
        Ok(WindowMut::map_input(*self, start, len))
    }

    /// Copies bytes of the input to `to`, from `offset` on. Returns how many: fewer than `to` holds only at the end of the input.
    ///
    /// Mapping is faster for all but short ranges. This is for reading piece by piece into one buffer.
    ///
    /// ```
    /// # use wrun_guest::{Input, TestTask};
    /// /// The magic number at the start of a file.
    /// #[wrun_guest::task]
    /// fn magic(input: Input) -> String {
    ///     let mut magic = [0; 4];
    ///     let count = input.read_at(0, &mut magic);
    ///     format!("{:x?}", &magic[..count])
    /// }
    ///
    /// let result = TestTask::new().input("data", "\x7fELF..").run(|task| Ok(magic(task.extract()?)));
    /// assert_eq!(result.unwrap(), b"[7f, 45, 4c, 46]");
    /// ```
    pub fn read_at(&self, offset: u64, to: &mut [u8]) -> usize {
        let rest = self.len.saturating_sub(offset);
        let count = usize::try_from(rest).map_or(to.len(), |rest| rest.min(to.len()));
        if count > 0 {
            host::input_read(self.index, offset, &mut to[..count]);
        }
        count
    }

    /// The start and the length of the range, if it can be mapped.
    fn resolve(&self, range: impl RangeBounds<u64>) -> Result<(u64, usize), Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len,
        };
        if start > end || end > self.len {
            return Err(Error::out_of_range(self.index, start, end, self.len));
        }
        if end - start > Self::MAX_WINDOW_LEN {
            return Err(Error::too_large(end - start, Self::MAX_WINDOW_LEN));
        }
        Ok((start, (end - start) as usize))
    }

    /// Maps the whole input as a slice of little-endian numbers, without a copy.
    ///
    /// For part of an input use `map_range(..)?.cast::<T>()`.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map) and [`Window::cast`].
    pub fn as_slice<T: Pod>(&self) -> Result<Window<'t, T>, Error> {
        self.map()?.cast()
    }

    /// Maps the input one window of `len` bytes after another; the last one may be shorter.
    ///
    /// Use it for inputs larger than memory: each window gives its memory back when it is dropped.
    ///
    /// ```
    /// # use wrun_guest::{Input, TestTask};
    /// /// The sum of the bytes of a file of any size.
    /// #[wrun_guest::task]
    /// fn checksum(input: Input) -> u64 {
    ///     input.chunks(64 << 20).map(|chunk| chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>()).sum()
    /// }
    ///
    /// let result = TestTask::new().input("data", [1, 2, 3]).run(|task| Ok(checksum(task.extract()?)));
    /// assert_eq!(result.unwrap(), b"6");
    /// ```
    ///
    /// # Panics
    ///
    /// If `len` is 0 or more than [`MAX_WINDOW_LEN`](Self::MAX_WINDOW_LEN).
    pub fn chunks(&self, len: usize) -> Chunks<'t> {
        let len = len as u64;
        assert!((1..=Self::MAX_WINDOW_LEN).contains(&len), "a chunk of {len} bytes cannot be mapped");
        Chunks { input: *self, next: 0, len }
    }

    /// The lines of the input, without line endings; the input may have any length.
    pub fn lines(&self) -> Lines<'t> {
        Lines::new(*self)
    }
}

impl<'t> FromTask<'t> for Input<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        task.inputs().get(0).ok_or_else(|| Error::new("this task has no input: use --files, --split or --input"))
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({}, {} bytes)", self.index, self.len)
    }
}

/// The windows of an input, in order; made by [`Input::chunks`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy: nothing is mapped unless they are used"]
pub struct Chunks<'t> {
    input: Input<'t>,
    next: u64,
    len: u64,
}

impl<'t> Iterator for Chunks<'t> {
    type Item = Window<'t>;

    fn next(&mut self) -> Option<Window<'t>> {
        if self.next == self.input.len {
            return None;
        }
        let start = self.next;
        self.next = start.saturating_add(self.len).min(self.input.len);
        Some(Window::map(self.input, start, (self.next - start) as usize))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.input.len - self.next).div_ceil(self.len);
        (usize::try_from(left).unwrap_or(usize::MAX), usize::try_from(left).ok())
    }
}

impl std::iter::FusedIterator for Chunks<'_> {}

#[cfg(test)]
mod tests {
    use crate::{Error, Input, TestTask};

    fn input_error<'a>(task: TestTask, call: impl Fn(Input) -> Result<(), Error> + 'a) -> String {
        task.run(|task| call(task.extract()?)).unwrap_err()
    }

    #[test]
    fn ranges_show_exactly_their_bytes() {
        let result = TestTask::new().input("digits", "0123456789").run(|task| {
            let input: Input = task.extract()?;
            assert_eq!(&*input.map()?, b"0123456789");
            assert_eq!(&*input.map_range(2..5)?, b"234");
            assert_eq!(&*input.map_range(8..=9)?, b"89");
            assert_eq!(&*input.map_range(10..)?, b"");
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn copies_end_with_the_input() {
        let result = TestTask::new().input("digits", "0123456789").run(|task| {
            let input: Input = task.extract()?;
            let mut to = *b"......";
            assert_eq!((input.read_at(2, &mut to), &to), (6, b"234567"));
            assert_eq!((input.read_at(7, &mut to), &to), (3, b"789567"));
            assert_eq!((input.read_at(10, &mut to), input.read_at(u64::MAX, &mut to), &to), (0, 0, b"789567"));
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn ranges_outside_the_input_are_refused() {
        for range in [0..11, 11..11, u64::MAX - 1..u64::MAX] {
            let text = format!("range {}..{} is not within input 0, which has 10 bytes", range.start, range.end);
            let task = TestTask::new().input("digits", "0123456789");
            assert_eq!(input_error(task, |input| input.map_range(range.clone()).map(drop)), text);
        }
        let task = TestTask::new().input("digits", "0123456789");
        #[expect(clippy::reversed_empty_ranges, reason = "it is what the test is about")]
        let text = input_error(task, |input| input.map_range(5..4).map(drop));
        assert_eq!(text, "range 5..4 is not within input 0, which has 10 bytes");
    }

    #[test]
    fn numbers_are_read_in_place() {
        let bytes: Vec<u8> = [1.5f64, -2.0, 1e300].iter().flat_map(|number| number.to_le_bytes()).collect();
        let result = TestTask::new().input("numbers", bytes).run(|task| {
            let input: Input = task.extract()?;
            assert_eq!(&*input.as_slice::<f64>()?, [1.5, -2.0, 1e300]);
            assert_eq!(&*input.map_range(8..16)?.cast::<f64>()?, [-2.0]);
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn half_numbers_and_misaligned_ones_are_refused() {
        let task = TestTask::new().input("numbers", [0; 12]);
        let text = input_error(task, |input| input.as_slice::<f64>().map(drop));
        assert_eq!(
            text,
            "12 bytes are not a whole number of f64 values (8 bytes each); when cutting files, use --split-at record:8"
        );

        let task = TestTask::new().piece("numbers", [0; 16], 3);
        let text = input_error(task, |input| input.as_slice::<f64>().map(drop));
        assert!(
            text.starts_with("the range starts 3 bytes after a multiple of 8, but f64 needs that alignment; "),
            "{text}"
        );
    }

    #[test]
    fn empty_input_is_an_empty_slice_of_anything() {
        let result = TestTask::new().piece("nothing", "", 3).run(|task| {
            let input: Input = task.extract()?;
            assert!(input.is_empty() && input.map()?.is_empty() && input.as_slice::<i128>()?.is_empty());
            assert!(input.chunks(1).next().is_none() && input.lines().next().is_none());
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn two_windows_of_one_range_live_independently() {
        let result = TestTask::new().input("text", "abc").run(|task| {
            let input: Input = task.extract()?;
            let first = input.map()?;
            let second = input.map()?;
            assert_eq!(first.as_ptr(), second.as_ptr());
            drop(first);
            assert_eq!(&*second, b"abc");
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn private_copies_are_written_each_by_itself() {
        let result = TestTask::new().input("text", "abcdef").copy_on_write().run(|task| {
            let input: Input = task.extract()?;
            let (mut first, mut second) = (input.map_private(2..)?, input.map_private(2..)?);
            first[0] = b'X';
            second.fill(b'Y');
            assert_eq!((&*first, &*second, &*input.map()?), (&b"Xdef"[..], &b"YYYY"[..], &b"abcdef"[..]));
            Ok::<_, Error>(())
        });
        result.unwrap();
        let text = input_error(TestTask::new().input("text", "abc"), |input| input.map_private(..).map(drop));
        assert_eq!(text, "inputs are read-only in this run: use --input-mode cow");
    }

    #[test]
    fn chunks_cover_the_input_once() {
        let result = TestTask::new().input("text", "abcdefgh").run(|task| {
            let input: Input = task.extract()?;
            let chunks: Vec<Vec<u8>> = input.chunks(3).map(|chunk| chunk.to_vec()).collect();
            assert_eq!(chunks, [&b"abc"[..], b"def", b"gh"]);
            assert_eq!(input.chunks(3).size_hint(), (3, Some(3)));
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn missing_input_says_how_to_give_one() {
        let result = TestTask::new().run(|task| task.extract::<Input>().map(|input| input.len()));
        assert_eq!(result.unwrap_err(), "this task has no input: use --files, --split or --input");
    }
}
