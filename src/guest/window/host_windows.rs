//! Windows for the host: it accesses regions for tasks that cannot map them, those of components.
//!
//! They lie in addresses that take the place of a linear memory. So all that holds for windows of modules holds for these, too: what a
//! task's slice is, faults, and the end of a task.
#![expect(unsafe_code, reason = "accesses mapped files, which other processes change")]

use std::io;
use std::sync::atomic::AtomicU64;

use super::area::{Area, Content, MapError, WASM_PAGE};
use super::file_range::FileRange;
use super::windows::Windows;
use crate::sys::window::Reservation;

/// Addresses for the host's windows.
#[derive(Debug)]
pub(in crate::guest) struct HostMemory(Reservation);

impl HostMemory {
    /// Reserves addresses for this many bytes of windows.
    pub fn new(len: usize) -> io::Result<HostMemory> {
        Reservation::new(len.next_multiple_of(WASM_PAGE)).map(HostMemory)
    }
}

impl Windows {
    /// Maps a range of a region for the host. Returns the address of its first byte in `memory`, which has to live as long as these
    /// windows, and be the only one.
    pub fn map_for_host(&mut self, memory: &HostMemory, range: &FileRange<'_>) -> Result<usize, MapError> {
        self.is_host = true;
        let len = range.area_len();
        let index = match self.take_free(len) {
            Some(index) => index,
            None => {
                let start = self.areas.last().map_or(0, |area| area.range().end);
                if memory.0.len().checked_sub(start).is_none_or(|room| room < len) {
                    return Err(MapError::System(io::ErrorKind::OutOfMemory.into()));
                }
                self.add_area(memory.0.address(), start, len)
            }
        };
        let mapped = self.map(index, 0, range);
        if mapped.is_err() {
            self.free(index);
        }
        mapped
    }

    /// Appends a copy of `len` bytes in a window to `to`.
    ///
    /// # Panics
    ///
    /// Panics if they do not lie in a window, as the others do.
    pub fn read_for_host(&self, address: usize, len: usize, to: &mut Vec<u8>) {
        let from = self.in_window(address, len, false);
        to.reserve(len);
        self.host_reads(address..address + len, || {
            // SAFETY: `in_window` has checked where these bytes lie, and a fault there is handled. `to` has room for them.
            unsafe {
                from.copy_to_nonoverlapping(to.as_mut_ptr().add(to.len()), len);
                to.set_len(to.len() + len);
            }
        });
    }

    /// Copies bytes into a window that can be written.
    pub fn write_for_host(&self, address: usize, bytes: &[u8]) {
        let to = self.in_window(address, bytes.len(), true);
        self.host_writes(address..address + bytes.len(), || {
            // SAFETY: as for reading. The bytes lie elsewhere: these addresses are the host's.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
        });
    }

    /// Calls `access` with a number in a window that can be written.
    pub fn number_for_host<R>(&self, address: usize, access: impl FnOnce(&AtomicU64) -> R) -> R {
        const LEN: usize = size_of::<AtomicU64>();
        let number = self.in_window(address, LEN, true);
        assert!(number.cast::<AtomicU64>().is_aligned(), "a number has the address of one");
        // SAFETY: `in_window` has checked where it lies, and a fault there is handled. It is aligned, and other processes change it by
        // atomic instructions.
        self.host_writes(address..address + LEN, || access(unsafe { AtomicU64::from_ptr(number.cast()) }))
    }

    /// The host address of these bytes of a window.
    fn in_window(&self, address: usize, len: usize, writes: bool) -> *mut u8 {
        let holds = |area: &Area| match &area.content {
            Content::Window(window) => {
                let start = address.checked_sub(window.address);
                window.uses > 0
                    && (window.writable || !writes)
                    && start.is_some_and(|start| start.checked_add(len).is_some_and(|end| end <= window.len))
            }
            Content::Free | Content::Output => false,
        };
        assert!(self.areas.iter().any(holds), "{len} bytes at {address:#x} lie in no window");
        self.host(address)
    }
}
