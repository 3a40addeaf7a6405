//! Memory that this process shares with a worker.
#![expect(unsafe_code, reason = "mmap(2) and raw access to memory that another process writes")]

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

/// A read-write shared mapping of a memfd. It is never accessed as a Rust slice, because the other process may write at any moment:
/// single words are atomics, and bytes are copied in and out.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: all access goes through atomics or copies to and from private memory, from any thread.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps the first `len` bytes of `file`, which must be sealed against shrinking, so that no access can fault.
    pub fn map(file: impl AsFd, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe {
            mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file.as_fd(), 0)?
        };
        Ok(SharedMemory { start: NonNull::new(start.cast()).expect("mmap never gives address 0"), len })
    }

    /// The 64-bit word at `offset` bytes.
    ///
    /// # Panics
    ///
    /// If `offset` is not a multiple of 8, or is out of bounds.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "shared word at {offset} of {}", self.len);
        // SAFETY: in bounds and aligned (the mapping is page-aligned), mapped as long as `self` lives, and an atomic
        // is the one type that another process may change under us.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// The 32-bit word at `offset` bytes.
    ///
    /// # Panics
    ///
    /// If `offset` is not a multiple of 4, or is out of bounds.
    #[inline]
    pub fn half_word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "shared word at {offset} of {}", self.len);
        // SAFETY: as for `word`.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// Sleeps while the 32-bit word at `offset` bytes is 0. Spurious wake-ups are possible.
    ///
    /// # Panics
    ///
    /// As for [`SharedMemory::half_word`].
    pub fn sleep_while_zero(&self, offset: usize) {
        // Whatever ends the wait, the caller checks again. The word is shared between processes, so the futex is not private.
        let _ = futex::wait(self.half_word(offset), futex::Flags::empty(), 0, None);
    }

    /// Wakes one thread that sleeps in [`SharedMemory::sleep_while_zero`] on this word, in any process.
    ///
    /// # Panics
    ///
    /// As for [`SharedMemory::half_word`].
    pub fn wake_sleeper(&self, offset: usize) {
        // An error would mean that the address is invalid. Only one is woken: the other process decides how many threads sleep here,
        // and must not be able to make work for this one.
        let _ = futex::wake(self.half_word(offset), futex::Flags::empty(), 1);
    }

    /// Appends the `len` bytes at `offset` to `to`.
    ///
    /// The other process may change them in the meantime. What arrives may then be any mixture; the caller checks it, like everything
    /// that comes from there.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds.
    #[inline]
    pub fn copy_out(&self, offset: usize, len: usize, to: &mut Vec<u8>) {
        assert!(offset <= self.len && len <= self.len - offset, "shared range {offset}+{len} of {}", self.len);
        to.reserve(len);
        // SAFETY: the source is in bounds and mapped; the target has `len` reserved bytes after its end and is private, so the two do
        // not overlap; and bytes need no initialisation other than being copied. The copy reads raw memory, not through a reference,
        // so a concurrent write by the other process changes bytes and nothing else.
        unsafe {
            std::ptr::copy_nonoverlapping(self.start.as_ptr().add(offset), to.as_mut_ptr().add(to.len()), len);
            to.set_len(to.len() + len);
        }
    }

    /// Copies `from` to `offset`.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds.
    #[inline]
    pub fn copy_in(&self, offset: usize, from: &[u8]) {
        assert!(offset <= self.len && from.len() <= self.len - offset, "shared range {offset}+{}", from.len());
        // SAFETY: in bounds and mapped writable; `from` is private memory and cannot overlap.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.start.as_ptr().add(offset), from.len()) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: this is exactly the mapping made in `map`, and borrows of it end with `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping cannot fail");
    }
}
