//! The memory operations behind a window: a file's pages put over, and taken out of, a guest's linear memory.
//!
//! Source: mmap(2), mprotect(2).
#![expect(unsafe_code, reason = "mmap(2) with MAP_FIXED")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect};

/// The size of a memory page of the machine.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// Puts the `len` bytes of `file` from `file_offset` over the memory at `at`, read-only and shared with all mappings.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns whole, and that nothing accesses through a reference
/// while the file is there; writing there raises SIGSEGV, and reading behind the end of a file that shrank SIGBUS.
pub unsafe fn map_file(at: *mut u8, len: usize, file: &File, file_offset: u64) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, file, file_offset)? };
    Ok(())
}

/// Puts the first `len` bytes of a memory file over the memory at `at`, writable.
///
/// # Safety
///
/// As for [`map_file`]; the file's size is at least `len` and sealed or known to nobody else.
pub unsafe fn map_file_writable(at: *mut u8, len: usize, file: impl AsFd) -> io::Result<()> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, protection, MapFlags::SHARED | MapFlags::FIXED, file, 0)? };
    Ok(())
}

/// Replaces whatever is mapped at `at` by zeroed private memory that can be read and written.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns whole; its contents are lost.
pub unsafe fn map_zeros(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { map_anonymous(at, len, ProtFlags::READ | ProtFlags::WRITE) }
}

/// Replaces whatever is mapped at `at` by memory that faults on every access and costs nothing.
///
/// # Safety
///
/// As for [`map_zeros`].
pub unsafe fn map_nothing(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { map_anonymous(at, len, ProtFlags::empty()) }
}

unsafe fn map_anonymous(at: *mut u8, len: usize, protection: ProtFlags) -> io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: passed on to the caller.
    unsafe { mmap_anonymous(at.cast(), len, protection, flags)? };
    Ok(())
}

/// Makes private memory read-only.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns whole; writing there raises SIGSEGV from now on.
pub unsafe fn protect_read_only(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { mprotect(at.cast::<c_void>(), len, MprotectFlags::READ)? };
    Ok(())
}

/// Reads `len` bytes of `file` from `file_offset` into the memory at `at`, which may be guest memory. Gives the count of bytes read,
/// less than `len` only where the file ends.
///
/// # Safety
///
/// `at .. at+len` is writable memory that the caller owns, and nothing else reads or writes it during the call.
pub unsafe fn read_at(at: *mut u8, len: usize, file: &File, file_offset: u64) -> io::Result<usize> {
    // SAFETY: passed on to the caller; bytes are initialised memory (fresh pages are zero).
    let buffer = unsafe { std::slice::from_raw_parts_mut(at, len) };
    let mut done = 0;
    while done < len {
        match rustix::io::pread(file, &mut buffer[done..], file_offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}
