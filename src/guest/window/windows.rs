//! All windows of one linear memory.
//!
//! Before an instance's memory goes back to wasmtime's pool, every area must be ordinary memory again: otherwise the next
//! instance would see the file, or the pool would crash when it clears the pages. [`Windows`] does that when it is dropped, and
//! wasmtime drops a store's data before it gives the store's memories back.
#![expect(unsafe_code, reason = "maps files over guest memory")]

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::area::{Area, Content, MapError, RangeEnd, WASM_PAGE, Window};
use super::dirty_pages::DirtyPages;
use super::fault_record::FaultRecord;
use super::file_range::{FileRange, WindowAccess};
use super::slice_edges::SliceEdges;
use crate::ipc::wire::Mapped;
use crate::sys::window as memory;

/// All windows of one linear memory.
#[derive(Debug)]
pub(in crate::guest) struct Windows {
    /// Where the linear memory begins in this process; 0 until it is known.
    pub(super) base: usize,
    /// Whether that memory is the host's, which needs none of its pages once the windows are gone.
    pub(super) is_host: bool,
    /// Memory reserved for windows, in the order of addresses.
    pub(super) areas: Vec<Area>,
    /// The index of the first shared input in the current task's view.
    first_shared: u32,
    pub(super) faults: FaultRecord,
    pub(super) edges: SliceEdges,
    /// The pages of copy-on-write windows that were written.
    pub(super) dirty: Arc<DirtyPages>,
}

impl Windows {
    /// No windows. Pages that tasks write are counted in `dirty`.
    pub fn new(dirty: Arc<DirtyPages>) -> Self {
        Windows {
            base: 0,
            is_host: false,
            areas: Vec::new(),
            first_shared: 0,
            faults: FaultRecord::default(),
            edges: SliceEdges::default(),
            dirty,
        }
    }

    /// Begins a task with this many inputs of its own, which precede the shared ones.
    pub fn begin_task(&mut self, own_inputs: u32) {
        // Windows that were kept from the last task are of shared inputs.
        for area in &mut self.areas {
            if let Content::Window(Window { of: Mapped::Input(input), .. }) = &mut area.content {
                *input = *input - self.first_shared + own_inputs;
            }
        }
        self.first_shared = own_inputs;
        self.edges.forget();
    }

    /// Finds a window of the same range and adds one use. Returns its address, and the bytes of its private memory that were not yet
    /// counted for the task.
    pub fn find(&mut self, of: Mapped, offset: u64, len: usize) -> Option<(usize, u64)> {
        self.areas.iter_mut().filter(|area| !area.is_guests).find_map(|area| match &mut area.content {
            Content::Window(window) if (window.of, window.offset, window.len) == (of, offset, len) => {
                window.uses += 1;
                Some((window.address, if window.uses == 1 { window.private_bytes } else { 0 }))
            }
            _ => None,
        })
    }

    /// The length of the free area at the end of the memory of `memory_len` bytes, if there is one.
    pub fn free_at_end(&self, memory_len: usize) -> Option<usize> {
        match self.areas.last() {
            Some(area) if area.is_free() && area.range().end == memory_len => Some(area.len),
            _ => None,
        }
    }

    /// Where a new area would begin if the memory of `memory_len` bytes grew for it.
    pub fn next_start(&self, memory_len: usize) -> usize {
        match self.free_at_end(memory_len) {
            Some(free) => memory_len - free,
            None => memory_len.max(WASM_PAGE),
        }
    }

    /// Adds an area of zeros at the end of the memory, which begins at the host address `base`. If the last area begins at `start`, it is
    /// free and becomes a part of the new one. Returns the index.
    pub fn add_area(&mut self, base: usize, start: usize, len: usize) -> usize {
        debug_assert!(self.base == 0 || self.base == base, "memories do not move, and there is one");
        self.base = base;
        if self.areas.pop_if(|area| area.start == start && area.is_free()).is_some() {
            // SAFETY: whole wasm pages of ours. Those that were free have faulted on every access until now.
            unsafe { memory::map_zeros(self.host(start), len) }.unwrap_or_else(|error| give_up(&error));
        }
        self.areas.push(Area::free(start, len));
        self.areas.len() - 1
    }

    /// Takes `len` bytes (a multiple of [`WASM_PAGE`]) from the free areas. Returns the area's index.
    pub fn take_free(&mut self, len: usize) -> Option<usize> {
        let index = self.areas.iter().position(|area| area.is_free() && area.len >= len)?;
        let area = &mut self.areas[index];
        let rest = Area::free(area.start + len, area.len - len);
        area.len = len;
        if rest.len > 0 {
            self.areas.insert(index + 1, rest);
        }
        let host = self.host(self.areas[index].start);
        // SAFETY: the area is whole pages inside the linear memory, reserved for windows.
        unsafe { memory::map_zeros(host, len) }.ok()?;
        Some(index)
    }

    /// Whether an area overlaps these bytes of the linear memory.
    pub fn overlaps(&self, range: Range<usize>) -> bool {
        self.areas.iter().any(|area| area.start < range.end && range.start < area.range().end)
    }

    /// Maps a range of a file over memory of the guest's own: whole wasm pages from `start` on, which overlap no area. The memory begins at
    /// the host address `base`. Returns the address of the first byte.
    pub fn map_over(&mut self, base: usize, start: usize, range: &FileRange<'_>) -> Result<usize, MapError> {
        debug_assert!(self.base == 0 || self.base == base, "memories do not move, and there is one");
        // What host copies have written to scratch pages is looked at while the areas are as they were.
        self.settle();
        self.base = base;
        let index = self.areas.partition_point(|area| area.start < start);
        self.areas.insert(index, Area { is_guests: true, ..Area::free(start, range.area_len()) });
        let mapped = self.clear_around(index, range).and_then(|()| self.map(index, 0, range));
        if mapped.is_err() {
            self.free(index);
        }
        mapped
    }

    /// Zeroes the pages of the guest's own area with this index that no page of the file replaces.
    fn clear_around(&self, index: usize, range: &FileRange<'_>) -> Result<(), MapError> {
        let Area { start, len, .. } = self.areas[index];
        let skew = range.skew_at(start, 0);
        let replaced = match range.access {
            WindowAccess::Slice { .. } => range.pages(skew),
            _ => range.interior(skew),
        };
        let rest = if replaced.is_empty() { [0..len, len..len] } else { [0..replaced.start, replaced.end..len] };
        for part in rest.into_iter().filter(|part| !part.is_empty()) {
            // SAFETY: whole pages of this area, which is memory of a guest that is not running now.
            unsafe { memory::map_zeros(self.host(start + part.start), part.len()) }.map_err(MapError::System)?;
        }
        Ok(())
    }

    /// Maps a range of a file over the area with this index, which is zeroed memory but for pages that the file's replace, between two guards of
    /// this length. Returns the address of its first byte.
    pub fn map(&mut self, index: usize, guard: usize, range: &FileRange<'_>) -> Result<usize, MapError> {
        let Range { start, end } = self.guard(index, guard).map_err(MapError::System)?;
        let (area_len, is_guests) = (end - start, self.areas[index].is_guests);
        let skew = range.skew_at(start, if is_guests { 0 } else { area_len });
        let end = skew + range.len;
        let (pages, interior) = (range.pages(skew), range.interior(skew));
        if let WindowAccess::Slice { .. } = range.access {
            let area = self.host(start);
            // SAFETY: this area is memory of a guest that is not running now, and long enough for the range.
            unsafe { self.edges.map(area, skew, range) }?;
        } else if interior.is_empty() {
            self.copy_edge(start, skew, skew..end, range)?;
        } else {
            self.copy_edge(start, skew, skew..interior.start.max(skew), range)?;
            self.copy_edge(start, skew, interior.end.min(end)..end, range)?;
        }
        let host = self.host(start);
        if !interior.is_empty() {
            let (file, len) = (range.file, interior.len());
            let file_offset = range.file_offset(skew, interior.start);
            // SAFETY: whole pages of this area, which is memory of a guest that is not running now.
            let mapped = unsafe {
                let at = host.add(interior.start);
                match range.access {
                    WindowAccess::ReadOnly => memory::map_file(at, len, file, file_offset),
                    // What the guest writes takes the place of memory that is counted already.
                    WindowAccess::CopyOnWrite if is_guests => memory::map_file_copied(at, len, file, file_offset),
                    WindowAccess::CopyOnWrite => memory::map_file_private(at, len, file, file_offset),
                    WindowAccess::Shared | WindowAccess::Slice { .. } => {
                        memory::map_file_writable(at, len, file, file_offset)
                    }
                }
            };
            mapped.map_err(MapError::System)?;
        }
        let on_write = match range.access {
            WindowAccess::CopyOnWrite if !is_guests => start + interior.start..start + interior.end,
            _ => 0..0,
        };
        // The parts before and after the writable pages, relative to the area's start.
        let writable = match range.access {
            WindowAccess::ReadOnly => interior,
            _ => pages,
        };
        let protected = match writable.is_empty() {
            true => [0..area_len, area_len..area_len],
            false => [0..writable.start, writable.end..area_len],
        };
        for part in protected {
            if !part.is_empty() {
                // SAFETY: as above.
                unsafe { memory::protect_read_only(host.add(part.start), part.len()) }.map_err(MapError::System)?;
            }
        }
        let window = Window {
            of: range.of,
            writable: range.access != WindowAccess::ReadOnly,
            offset: range.view_offset,
            len: range.len,
            address: start + skew,
            uses: 1,
            private_bytes: if is_guests { 0 } else { range.private_bytes() },
            on_write,
            dirty_bytes: Cell::new(0),
        };
        self.areas[index].content = Content::Window(window);
        Ok(start + skew)
    }

    /// Makes both ends of the area with this index inaccessible. Returns the rest, as offsets in the linear memory.
    fn guard(&mut self, index: usize, guard: usize) -> io::Result<Range<usize>> {
        let area = &mut self.areas[index];
        area.guard = guard;
        let Range { start, end } = area.range();
        if guard > 0 {
            // SAFETY: whole pages of this area, which is memory of a guest that is not running now.
            unsafe {
                memory::map_nothing(self.host(start), guard)?;
                memory::map_nothing(self.host(end - guard), guard)?;
            }
        }
        Ok(start + guard..end - guard)
    }

    /// Copies the file's bytes that belong at `edge`, relative to the area's start.
    fn copy_edge(&self, start: usize, skew: usize, edge: Range<usize>, range: &FileRange<'_>) -> Result<(), MapError> {
        let in_range = edge.start.saturating_sub(skew) as u64;
        // SAFETY: fresh read-write memory of this area; the guest is not running now.
        let count =
            unsafe { memory::read_at(self.host(start + edge.start), edge.len(), range.file, range.offset + in_range) };
        match count {
            Ok(count) if count == edge.len() => Ok(()),
            Ok(_) => Err(MapError::Truncated),
            Err(_) => Err(MapError::Unreadable { offset: range.view_offset + in_range }),
        }
    }

    /// Maps a memory file, writable, over the area with this index, as the task's result, between two guards
    /// of this length. Returns its address.
    pub fn map_output(&mut self, index: usize, guard: usize, file: impl AsFd, len: usize) -> io::Result<usize> {
        let Range { start, end } = self.guard(index, guard)?;
        let area_len = end - start;
        let host = self.host(start);
        let mapped = len.next_multiple_of(memory::page_size());
        // SAFETY: whole pages of this area, which is memory of a guest that is not running now.
        unsafe { memory::map_file_writable(host, mapped, file, 0)? };
        if mapped < area_len {
            // SAFETY: as above.
            unsafe { memory::protect_read_only(host.add(mapped), area_len - mapped)? };
        }
        self.areas[index].content = Content::Output;
        Ok(start)
    }

    /// Copies the slice's bytes in its edges back to its file. Call it when the guest's code has ended and faults are still
    /// watched: a page that is no longer in the file is recorded as one.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn write_edges_back(&mut self) -> io::Result<()> {
        self.edges.write_back()
    }

    /// The number of windows.
    pub fn count(&self) -> usize {
        self.areas.iter().filter(|area| matches!(area.content, Content::Window(_))).count()
    }

    /// Drops one use of the window at `address`. Returns the bytes of private memory that this freed, or `None` if there is no
    /// such window.
    pub fn unmap(&mut self, address: usize) -> Option<u64> {
        // What was recorded is found out while the window is still there.
        self.settle();
        let found = self.areas.iter_mut().enumerate().find_map(|(index, area)| match &mut area.content {
            Content::Window(window) if window.address == address && window.uses > 0 => Some((index, window)),
            _ => None,
        });
        let (index, window) = found?;
        window.uses -= 1;
        if window.uses > 0 {
            return Some(0);
        }
        let private_bytes = window.private_bytes;
        self.dirty.give_back(window.dirty_bytes.get());
        self.free(index);
        Some(private_bytes)
    }

    pub(super) fn free(&mut self, index: usize) {
        self.settle();
        let Area { start, len, is_guests, .. } = self.areas[index];
        if is_guests {
            self.faults.forget_scratch(&(self.base + start..self.base + start + len));
            // SAFETY: a whole area of ours, which the guest gets back.
            unsafe { memory::map_zeros(self.host(start), len) }.unwrap_or_else(|error| give_up(&error));
            self.areas.remove(index);
            return;
        }
        // SAFETY: a whole area of ours. Neither the file nor uncounted memory may remain there.
        unsafe { memory::map_nothing(self.host(start), len) }.unwrap_or_else(|error| give_up(&error));
        (self.areas[index].content, self.areas[index].guard) = (Content::Free, 0);
        let followed_by_free = |areas: &[Area], at: usize| areas.get(at).is_some_and(Area::is_free);
        let adjacent = |areas: &[Area], at: usize| areas[at].start + areas[at].len == areas[at + 1].start;
        if followed_by_free(&self.areas, index + 1) && adjacent(&self.areas, index) {
            self.areas[index].len += self.areas.remove(index + 1).len;
        }
        if index > 0 && followed_by_free(&self.areas, index - 1) && adjacent(&self.areas, index - 1) {
            self.areas[index - 1].len += self.areas.remove(index).len;
        }
    }

    /// Ends a task whose instance is reused: its own inputs and its output become inaccessible.
    pub fn end_task(&mut self) {
        self.faults.reset();
        let first_shared = self.first_shared;
        self.free_where(|area| match &area.content {
            Content::Free => area.is_guests,
            Content::Window(_) if area.is_guests => true,
            Content::Window(window) => window.writable || window.uses == 0 || window.of < Mapped::Input(first_shared),
            Content::Output => true,
        });
        for area in &mut self.areas {
            if let Content::Window(window) = &mut area.content {
                window.uses = 0;
            }
        }
    }

    /// Frees windows that were kept from the last task and that this one has not mapped. Returns whether there were any.
    pub fn free_unused(&mut self) -> bool {
        self.free_where(|area| matches!(&area.content, Content::Window(window) if window.uses == 0))
    }

    fn free_where(&mut self, is_to_go: impl Fn(&Area) -> bool) -> bool {
        let mut freed = false;
        while let Some(index) = self.areas.iter().position(&is_to_go) {
            self.free(index);
            freed = true;
        }
        freed
    }

    /// Makes all areas ordinary zeroed memory again.
    pub fn restore(&mut self) {
        self.restore_areas();
        self.base = 0;
        self.faults.reset();
    }

    fn restore_areas(&mut self) {
        let mut areas = self.areas.drain(..).map(|area| area.range());
        let Some(mut run) = areas.next() else { return };
        let restore = |run: Range<usize>| {
            // SAFETY: whole areas of ours, next to each other.
            let restored = unsafe {
                let start = (self.base as *mut u8).add(run.start);
                if self.is_host { memory::map_nothing(start, run.len()) } else { memory::map_zeros(start, run.len()) }
            };
            restored.unwrap_or_else(|error| give_up(&error));
        };
        for area in areas {
            if area.start == run.end {
                run.end = area.end;
            } else {
                restore(std::mem::replace(&mut run, area));
            }
        }
        restore(run);
    }

    pub(super) fn host(&self, offset: usize) -> *mut u8 {
        (self.base + offset) as *mut u8
    }

    /// The ends of the ranges that the task has mapped.
    pub fn ends(&self) -> impl Iterator<Item = RangeEnd> {
        let windows = self.areas.iter().filter_map(|area| match &area.content {
            Content::Window(window) if window.uses > 0 => Some(window.end()),
            _ => None,
        });
        windows.chain(self.edges.end().map(|offset| RangeEnd { of: Mapped::Region(wrun_abi::SLICE), offset }))
    }

    /// The end of the range that the window at `address` shows.
    pub fn end_of(&self, address: usize) -> Option<RangeEnd> {
        self.areas.iter().find_map(|area| match &area.content {
            Content::Window(window) if window.address == address && window.uses > 0 => Some(window.end()),
            _ => None,
        })
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Ends the process: a memory that still shows a file must not reach another instance. The pool replaces the worker, and only the
/// current task is lost.
fn give_up(error: &io::Error) -> ! {
    eprintln!("cannot take a window out of a guest's memory: {error}");
    std::process::abort()
}
