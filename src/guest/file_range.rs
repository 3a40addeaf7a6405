//! Which part of a window is mapped and which is copied.

use std::fs::File;
use std::ops::Range;

use super::window::WASM_PAGE;
use crate::sys::window::page_size;

/// A range of a file, for a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileRange<'a> {
    pub file: &'a File,
    /// In the file.
    pub offset: u64,
    pub len: usize,
    /// The input's index and the offset in the task's view, for messages and look-up.
    pub input: u32,
    pub view_offset: u64,
}

impl FileRange<'_> {
    /// Bytes of linear memory that a window of this range takes.
    pub fn area_len(&self) -> usize {
        (self.skew() + self.len).next_multiple_of(WASM_PAGE)
    }

    /// Bytes of a window's area that are no pages of the file: those that are copied.
    pub fn private_bytes(&self) -> u64 {
        ((self.skew() + self.len).next_multiple_of(page_size()) - self.interior().len()) as u64
    }

    /// The whole pages that are mapped, relative to the area's start.
    pub fn interior(&self) -> Range<usize> {
        let page = page_size();
        let (start, end) = (self.skew().next_multiple_of(page), self.skew() + self.len);
        let end = end - end % page;
        start..end.max(start)
    }

    /// Bytes between the start of a page and the range's first byte.
    pub fn skew(&self) -> usize {
        (self.offset % page_size() as u64) as usize
    }
}
