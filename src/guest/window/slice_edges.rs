//! The pages at both ends of a task's output slice, which hold bytes of other tasks as well.
//!
//! ```text
//!   file    |    page    |    page    |    page    |    page    |
//!   slice              |<------------------------------>|
//!   task    | own |slice|  the file's pages, shared |slice| own |
//!             head                                    tail
//! ```
//!
//! Head and tail (a single page if the slice lies within one) are pages of a memory file that only this worker has: zeros, and the
//! slice's bytes as they were in the file. All windows of the task on them show the same page. When the task ends, exactly the
//! slice's bytes are copied back.
#![expect(unsafe_code, reason = "maps pages over guest memory")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::area::MapError;
use super::file_range::{FileRange, WindowAccess};
use crate::sys::memory_file;
use crate::sys::window::{self as memory, SparePage, page_size};

/// Head and tail of the current task's slice.
#[derive(Debug, Default)]
pub(super) struct SliceEdges {
    kept: Option<Kept>,
    /// Head and tail, as far as they have been mapped.
    pages: [Option<Edge>; 2],
    /// Bytes of a page, for copying.
    buffer: Vec<u8>,
}

/// What stays from task to task.
#[derive(Debug)]
struct Kept {
    /// Two pages.
    file: File,
    spare: SparePage,
}

#[derive(Debug)]
struct Edge {
    /// The slice's file, and the page's offset in it.
    file: Arc<File>,
    offset: u64,
    /// The slice's bytes in the page.
    own: Range<usize>,
    /// Bytes of the slice.
    slice_bytes: u64,
}

impl SliceEdges {
    /// Forgets the last task's pages.
    pub fn forget(&mut self) {
        self.pages = [None, None];
    }

    /// Whether this address lies in the page through which bytes are copied back. Async-signal-safe.
    pub fn holds(&self, address: usize) -> bool {
        let holds = |kept: &Kept| (kept.spare.address()..kept.spare.address() + page_size()).contains(&address);
        self.kept.as_ref().is_some_and(holds)
    }

    /// Maps zeroed memory over that page, so that the copy can finish. Async-signal-safe.
    pub fn scratch(&self) -> bool {
        // SAFETY: the page is this value's own, and no reference to it exists.
        let scratch = |kept: &Kept| unsafe { memory::map_zeros(kept.spare.address() as *mut u8, page_size()) };
        self.kept.as_ref().is_some_and(|kept| scratch(kept).is_ok())
    }

    /// The end of the slice in the task's view, if any of its edges was mapped.
    pub fn end(&self) -> Option<u64> {
        self.pages.iter().flatten().map(|edge| edge.slice_bytes).next()
    }

    /// The memory file, and which of its pages replaces the page at `offset` of the slice's file.
    fn page(&mut self, file: &Arc<File>, offset: u64, slice: &Range<u64>) -> Result<(&File, usize), MapError> {
        let page_bytes = page_size() as u64;
        let number = usize::from(offset != slice.start - slice.start % page_bytes);
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => {
                let file = memory_file::fixed("wrun-edges", 2 * page_bytes).map_err(MapError::System)?;
                Kept { file, spare: SparePage::new().map_err(MapError::System)? }
            }
        };
        let kept = self.kept.insert(kept);
        if self.pages[number].is_none() {
            let own = slice.start.max(offset) - offset..slice.end.min(offset + page_bytes) - offset;
            let own = own.start as usize..own.end as usize;
            self.buffer.clear();
            self.buffer.resize(page_size(), 0);
            match file.read_exact_at(&mut self.buffer[own.clone()], offset + own.start as u64) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(MapError::Truncated),
                Err(_) => return Err(MapError::Unreadable { offset: 0 }),
            }
            kept.file.write_all_at(&self.buffer, number as u64 * page_bytes).map_err(MapError::System)?;
            let slice_bytes = slice.end - slice.start;
            self.pages[number] = Some(Edge { file: file.clone(), offset, own, slice_bytes });
        }
        Ok((&kept.file, number))
    }

    /// Maps the edges of the slice that hold bytes of this range, which begins at `skew` in the area at the host address `area`.
    ///
    /// # Safety
    ///
    /// The area is whole pages that the caller owns, with room for the range behind `skew`; nothing accesses it during the call.
    pub unsafe fn map(&mut self, area: *mut u8, skew: usize, range: &FileRange<'_>) -> Result<(), MapError> {
        let WindowAccess::Slice { start: first, end } = range.access else { return Ok(()) };
        let (pages, interior) = (range.pages(skew), range.interior(skew));
        // At most one page each.
        for at in (pages.start..interior.start).chain(interior.end..pages.end).step_by(page_size()) {
            let (file, number) = self.page(range.file, range.file_offset(skew, at), &(first..end))?;
            let offset = (number * page_size()) as u64;
            // SAFETY: a whole page of the area, as the caller promises.
            unsafe { memory::map_file_writable(area.add(at), page_size(), file, offset) }.map_err(MapError::System)?;
        }
        Ok(())
    }

    /// Copies the slice's bytes in head and tail back to its file.
    pub fn write_back(&mut self) -> io::Result<()> {
        let SliceEdges { kept: Some(kept), pages, buffer } = self else { return Ok(()) };
        for (number, edge) in pages.iter().enumerate() {
            let Some(Edge { file, offset, own, .. }) = edge else { continue };
            buffer.resize(own.len(), 0);
            kept.file.read_exact_at(buffer, (number * page_size() + own.start) as u64)?;
            kept.spare.copy_to_file(file, *offset, own.start, buffer)?;
        }
        Ok(())
    }
}
