//! The parts of a linear memory that are reserved for windows.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use crate::ipc::wire::Mapped;

/// Bytes of a page of linear memory.
pub(in crate::guest) const WASM_PAGE: usize = 64 << 10;

/// Whole wasm pages that are reserved for windows.
#[derive(Debug)]
pub(super) struct Area {
    /// Offset in the linear memory.
    pub start: usize,
    pub len: usize,
    pub content: Content,
    /// Whether the memory is the guest's own: it had it before, and gets it back, zeroed, with the end of the window.
    pub is_guests: bool,
}

impl Area {
    /// Pages by which the memory was grown, without a content.
    pub fn free(start: usize, len: usize) -> Area {
        Area { start, len, content: Content::Free, is_guests: false }
    }

    /// Whether windows that need pages may take it.
    pub fn is_free(&self) -> bool {
        matches!(self.content, Content::Free) && !self.is_guests
    }

    /// Offsets in the linear memory.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

#[derive(Debug)]
pub(super) enum Content {
    /// Nothing: every access faults. Later windows reuse it.
    Free,
    /// A range of an input or a region.
    Window(Window),
    /// The task's result, writable.
    Output,
}

#[derive(Debug)]
pub(super) struct Window {
    pub of: Mapped,
    /// Offset in the task's view of it.
    pub offset: u64,
    /// Whether it can be written.
    pub writable: bool,
    pub len: usize,
    /// Offset of the first byte in the linear memory.
    pub address: usize,
    /// How often it was mapped minus how often it was unmapped; 0 for a window kept from the last task.
    pub uses: u32,
    /// Bytes of its area that are private memory from the start.
    pub private_bytes: u64,
    /// The pages, relative to the linear memory, that become private when they are written.
    pub on_write: Range<usize>,
    /// Bytes of those that were written.
    pub dirty_bytes: Cell<u64>,
}

impl Window {
    /// The end of its range.
    pub fn end(&self) -> RangeEnd {
        RangeEnd { of: self.of, offset: self.offset + self.len as u64 }
    }
}

/// The end of a range that a task has seen.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct RangeEnd {
    pub of: Mapped,
    /// In the task's view.
    pub offset: u64,
}

/// Why a range could not be mapped.
#[derive(Debug)]
pub(in crate::guest) enum MapError {
    /// The file ends before the range.
    Truncated,
    /// The file could not be read at this offset of the task's view.
    Unreadable { offset: u64 },
    /// The system refused.
    System(io::Error),
}
