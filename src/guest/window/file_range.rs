//! Which pages of a window are mapped and which bytes are copied.
//!
//! | access | pages of the file | private pages |
//! |---|---|---|
//! | read-only | whole pages of the range | copies of partly covered ones |
//! | copy on write | the same, until they are written | the same, and each page that was written |
//! | shared memory | all that the range touches | none |
//! | output slice | those entirely in the *slice*, whatever the range | the slice's first and last one, if others have bytes in them |

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::area::WASM_PAGE;
use crate::ipc::wire::{Mapped, WindowBytes};
use crate::sys::window::page_size;

/// The size of a huge page. If a window agrees with its file modulo this, and the page cache holds the file in pieces as large, the window
/// is read without a page fault for each 64 KiB.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Windows of at least this many bytes are placed to agree with their file modulo [`HUGE_PAGE`]. That costs up to 2 MiB of the
/// guest's scarce addresses, and one more system call.
const LARGE_WINDOW: usize = 8 << 20;

/// A range of a file, for a window.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct FileRange<'a> {
    pub file: &'a Arc<File>,
    /// Offset in the file.
    pub offset: u64,
    pub len: usize,
    /// Which of the task's inputs or regions it belongs to, and the offset in it, for messages and look-up.
    pub of: Mapped,
    pub view_offset: u64,
    pub access: WindowAccess,
}

/// What a task may do in a window, and who sees its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum WindowAccess {
    /// The task reads.
    ReadOnly,
    /// The task writes to private copies.
    CopyOnWrite,
    /// Shared memory: all tasks write.
    Shared,
    /// Output slice: the task alone writes to these bytes of the file.
    Slice { start: u64, end: u64 },
}

impl FileRange<'_> {
    /// Bytes of linear memory that a window of this range takes.
    pub fn area_len(&self) -> usize {
        (self.skew() + self.len).next_multiple_of(WASM_PAGE)
    }

    /// The same for an area that begins at `start` in the linear memory, with room to align a large window for huge pages.
    pub fn area_len_at(&self, start: usize) -> usize {
        (self.skew_at(start, usize::MAX) + self.len).next_multiple_of(WASM_PAGE)
    }

    /// Bytes of a window's area that are private memory before the task writes anything.
    pub fn private_bytes(&self) -> u64 {
        (self.pages(self.skew()).len() - self.interior(self.skew()).len()) as u64
    }

    /// How many of its bytes a window maps and how many it copies.
    pub fn bytes(&self) -> WindowBytes {
        // Whole pages of shared memory may extend beyond the range.
        let mapped = self.interior(self.skew()).len().min(self.len) as u64;
        WindowBytes { mapped, copied: self.len as u64 - mapped }
    }

    /// The pages that hold bytes of the range, relative to the start of an area in which it begins at `skew`.
    pub fn pages(&self, skew: usize) -> Range<usize> {
        let page = page_size();
        skew - skew % page..(skew + self.len).next_multiple_of(page)
    }

    /// The pages that are mapped from the file.
    pub fn interior(&self, skew: usize) -> Range<usize> {
        let page = page_size();
        let pages = self.pages(skew);
        let (start, end) = match self.access {
            WindowAccess::ReadOnly | WindowAccess::CopyOnWrite => {
                let end = skew + self.len;
                (skew.next_multiple_of(page), end - end % page)
            }
            WindowAccess::Shared => (pages.start, pages.end),
            WindowAccess::Slice { start, end } => {
                let page = page as u64;
                let first = self.file_offset(skew, pages.start);
                let in_area = |offset: u64| pages.start + offset.saturating_sub(first).min(pages.len() as u64) as usize;
                (in_area(start.next_multiple_of(page)), in_area(end - end % page))
            }
        };
        start..end.max(start)
    }

    /// The offset in the file of the byte `at` bytes after the start of the area; `at` is at least the start of [`FileRange::pages`].
    pub fn file_offset(&self, skew: usize, at: usize) -> u64 {
        (self.offset + at as u64).saturating_sub(skew as u64)
    }

    /// Bytes between the start of a page and the range's first byte.
    fn skew(&self) -> usize {
        (self.offset % page_size() as u64) as usize
    }

    /// Bytes between the start of an area of `area_len` bytes, which begins at `start` in the linear memory, and the range's first byte.
    /// This must not depend on the memory's address in this process, which the guest must not learn. wasmtime's pool lies at a multiple of
    /// 2 MiB if the kernel aligns large maps (Linux 6.7).
    pub fn skew_at(&self, start: usize, area_len: usize) -> usize {
        let skew = (self.offset as usize).wrapping_sub(start) % HUGE_PAGE;
        if self.len >= LARGE_WINDOW && skew + self.len <= area_len { skew } else { self.skew() }
    }
}
