//! The lines of an input of any length, read through a moving window.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Deref;
use std::rc::Rc;

use crate::{Input, Window};

/// How many bytes are mapped at a time: enough to make moving cheap, and little compared with any memory limit.
const WINDOW_LEN: u64 = 16 << 20;

/// Windows begin at multiples of this, so that all but the last have the same length and can use the same addresses.
const WINDOW_STEP: u64 = 64 << 10;

/// The lines of an input, in order; made by [`Input::lines`].
///
/// A line ends with `\n` or `\r\n`, which is not part of it; the last line may lack it. This is what [`str::lines`] does,
/// for bytes.
///
/// # Panics
///
/// The iterator panics if a line is longer than [`Input::MAX_WINDOW_LEN`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy: nothing is read unless they are used"]
pub struct Lines<'t> {
    input: Input<'t>,
    /// The bytes of the input from `window_start` on; `None` before the first line and after the last one.
    window: Option<Rc<Window<'t>>>,
    window_start: u64,
    window_len: u64,
    window_step: u64,
    /// The offset of the next line in the input.
    next: u64,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(input: Input<'t>) -> Self {
        Self::with_windows(input, WINDOW_LEN, WINDOW_STEP)
    }

    fn with_windows(input: Input<'t>, window_len: u64, window_step: u64) -> Self {
        Lines { input, window: None, window_start: 0, window_len, window_step, next: 0 }
    }

    /// Maps the window with the next line's first byte, a longer one if the line does not end within the current one.
    fn move_window(&mut self) {
        let start = self.next - self.next % self.window_step;
        if self.window.is_some() && start == self.window_start {
            self.window_len = self.window_len.saturating_mul(2);
        }
        // Unmap the old window first, so that the new one can use its addresses.
        self.window = None;
        let end = start.saturating_add(self.window_len.min(Input::MAX_WINDOW_LEN)).min(self.input.len());
        self.window_start = start;
        self.window = Some(Rc::new(Window::map(self.input, start, (end - start) as usize)));
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        if self.next >= self.input.len() {
            self.window = None;
            return None;
        }
        loop {
            if let Some(window) = &self.window {
                let start = (self.next - self.window_start) as usize;
                let at_end = self.window_start + window.len() as u64 == self.input.len();
                let newline = window.get(start..).and_then(|rest| memchr::memchr(b'\n', rest));
                let (end, skip) = match newline {
                    Some(len) => (start + len, 1),
                    None if at_end => (window.len(), 0),
                    None => {
                        assert!(
                            (window.len() as u64) < Input::MAX_WINDOW_LEN || start as u64 >= self.window_step,
                            "the line at offset {} is longer than {} bytes",
                            self.next,
                            Input::MAX_WINDOW_LEN
                        );
                        self.move_window();
                        continue;
                    }
                };
                let offset = self.next;
                self.next = self.window_start + (end + skip) as u64;
                let text_end = if skip == 1 && window[start..end].ends_with(b"\r") { end - 1 } else { end };
                return Some(Line { window: Rc::clone(window), start, end: text_end, offset });
            }
            self.move_window();
        }
    }
}

impl FusedIterator for Lines<'_> {}

/// One line of an input, without its line ending. Dereferences to `[u8]`.
///
/// It is not copied, so it keeps its window mapped.
///
/// ```
/// # use wrun_guest::{Input, TestTask};
/// /// The offsets of empty lines.
/// #[wrun_guest::task]
/// fn empty_lines(input: Input) -> String {
///     let empty = input.lines().filter(|line| line.is_empty());
///     empty.map(|line| format!("{}\n", line.offset())).collect()
/// }
///
/// let result = TestTask::new().input("text", "a\n\nb\n\n").run(|task| Ok(empty_lines(task.extract()?)));
/// assert_eq!(result.unwrap(), b"2\n5\n");
/// ```
#[derive(Clone)]
pub struct Line<'t> {
    window: Rc<Window<'t>>,
    start: usize,
    end: usize,
    offset: u64,
}

impl Line<'_> {
    /// The offset of the line in the input, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The line as text.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8.
    pub fn to_str(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self)
    }
}

impl Deref for Line<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.window[self.start..self.end]
    }
}

impl AsRef<[u8]> for Line<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({}, {:?})", self.offset, String::from_utf8_lossy(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, TestTask};

    fn lines(text: &str, window_len: u64, window_step: u64) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let result = TestTask::new().input("text", text).run(|task| {
            let lines = Lines::with_windows(task.extract()?, window_len, window_step);
            found.extend(lines.map(|line| (line.offset(), line.to_str().unwrap().to_owned())));
            Ok::<_, Error>(())
        });
        result.unwrap();
        found
    }

    #[test]
    fn lines_are_those_of_the_standard_library_whatever_the_window() {
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "\n\na\r\n\r\nbb\rcc\r",
            "one\ntwo\nthree and more\n\nfive",
            "\r\n",
            "xxxxxxxxxxxxxxxxx\ny",
        ] {
            let expected: Vec<String> = text.lines().map(str::to_owned).collect();
            for (window_len, window_step) in [(1, 1), (2, 1), (4, 2), (4, 4), (8, 4), (100, 50)] {
                let found = lines(text, window_len, window_step);
                let texts: Vec<String> = found.iter().map(|line| line.1.clone()).collect();
                assert_eq!(texts, expected, "{text:?} through {window_len} bytes");
                for (offset, line) in found {
                    assert!(text[offset as usize..].starts_with(&line), "{line:?} at {offset}");
                }
            }
        }
    }

    #[test]
    fn windows_are_given_back_as_they_move() {
        let text = "0123456\n".repeat(1000);
        let result = TestTask::new().input("text", text).run(|task| {
            let mut lines = Lines::with_windows(task.extract()?, 64, 16);
            while lines.next().is_some() {
                assert!(crate::raw::host::open_maps() <= 1);
            }
            assert_eq!(crate::raw::host::open_maps(), 0);
            Ok::<_, Error>(())
        });
        result.unwrap();
    }

    #[test]
    fn a_line_that_is_kept_keeps_its_bytes() {
        let result = TestTask::new().input("text", "abc\ndefghijk\n").run(|task| {
            let mut lines = Lines::with_windows(task.extract()?, 4, 4);
            let first = lines.next().unwrap();
            assert_eq!(&*lines.next().unwrap(), b"defghijk");
            assert_eq!(&*first, b"abc");
            Ok::<_, Error>(())
        });
        result.unwrap();
    }
}
