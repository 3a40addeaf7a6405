//! Which part of a window is mapped and which is copied.

use std::fs::File;
use std::ops::Range;

use super::window::WASM_PAGE;
use crate::ipc::wire::WindowBytes;
use crate::sys::window::page_size;

/// What one entry of a page table maps at a time, where memory and file agree modulo it and the page cache holds the
/// file in pieces as large. A window that agrees is read without a page fault for each 64 KiB.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Windows of at least so many bytes are placed to agree with their file modulo [`HUGE_PAGE`]. That takes up to as much
/// of the guest's addresses, which are few, and one more system call.
const LARGE_WINDOW: usize = 8 << 20;

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

    /// The same for an area that starts there in the linear memory, with room to place a large window where huge pages can
    /// be mapped.
    pub fn area_len_at(&self, start: usize) -> usize {
        (self.skew_at(start, usize::MAX) + self.len).next_multiple_of(WASM_PAGE)
    }

    /// Bytes of a window's area that are no pages of the file: those that are copied.
    pub fn private_bytes(&self) -> u64 {
        let skew = self.skew();
        ((skew + self.len).next_multiple_of(page_size()) - self.interior(skew).len()) as u64
    }

    /// Which of its bytes a window maps and which it copies.
    pub fn bytes(&self) -> WindowBytes {
        let mapped = self.interior(self.skew()).len() as u64;
        WindowBytes { mapped, copied: self.len as u64 - mapped }
    }

    /// The whole pages that are mapped, relative to the start of an area in which the range begins at `skew`.
    pub fn interior(&self, skew: usize) -> Range<usize> {
        let page = page_size();
        let (start, end) = (skew.next_multiple_of(page), skew + self.len);
        let end = end - end % page;
        start..end.max(start)
    }

    /// Bytes between the start of a page and the range's first byte.
    fn skew(&self) -> usize {
        (self.offset % page_size() as u64) as usize
    }

    /// Bytes between the start of an area, which is there in the linear memory and so long, and the range's first byte. It does
    /// not depend on where the memory lies in this process, which the guest must not learn; wasmtime's pool lies at a multiple of
    /// 2 MiB where the kernel aligns large maps (Linux 6.7).
    pub fn skew_at(&self, start: usize, area_len: usize) -> usize {
        let skew = (self.offset as usize).wrapping_sub(start) % HUGE_PAGE;
        if self.len >= LARGE_WINDOW && skew + self.len <= area_len { skew } else { self.skew() }
    }
}
