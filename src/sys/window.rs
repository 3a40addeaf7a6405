//! The memory operations behind windows: mapping pages of a file over a guest's linear memory, and removing them.
//!
//! Source: mmap(2), mprotect(2).
#![expect(unsafe_code, reason = "mmap(2) with MAP_FIXED")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};

/// The size of a huge page. If a window agrees with its file modulo this, and the page cache holds the file in pieces as large, the window
/// is read without a page fault for each 64 KiB.
pub const HUGE_PAGE: usize = 2 << 20;

/// The page size of the system.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// Maps `len` bytes of `file` from `file_offset` over the memory at `at`, read-only and shared.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns entirely, and that nothing accesses through a reference while the file is
/// mapped. Writing there raises SIGSEGV, and reading beyond the end of a file that has shrunk raises SIGBUS.
pub unsafe fn map_file(at: *mut u8, len: usize, file: &File, file_offset: u64) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, file, file_offset)? };
    Ok(())
}

/// Maps `len` bytes of `file` from `file_offset` over the memory at `at`, writable and shared.
///
/// # Safety
///
/// As for [`map_file`], except that it may be written.
pub unsafe fn map_file_writable(at: *mut u8, len: usize, file: impl AsFd, file_offset: u64) -> io::Result<()> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, protection, MapFlags::SHARED | MapFlags::FIXED, file, file_offset)? };
    Ok(())
}

/// Maps them privately and writable: writes go to private copies of the pages.
///
/// # Safety
///
/// As for [`map_file`], except that it may be written.
pub unsafe fn map_file_copied(at: *mut u8, len: usize, file: &File, file_offset: u64) -> io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, protection, flags, file, file_offset)? };
    Ok(())
}

/// Maps them privately, read-only at first. If they are made writable later, writes go to private copies of the pages.
///
/// # Safety
///
/// As for [`map_file`].
pub unsafe fn map_file_private(at: *mut u8, len: usize, file: &File, file_offset: u64) -> io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: passed on to the caller.
    unsafe { mmap(at.cast(), len, ProtFlags::READ, flags, file, file_offset)? };
    Ok(())
}

/// Whether a system call failed because it could not write to the memory that it was given (EFAULT): the mapping does not allow that.
pub fn is_bad_address(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::FAULT.raw_os_error())
}

/// Whether the file can be mapped for reading. Files that the kernel makes up, as in /proc, usually cannot (mmap(2) `ENODEV`).
pub fn can_map(file: &File) -> bool {
    // SAFETY: the kernel chooses addresses that are free, and nothing accesses the page.
    match unsafe { mmap(std::ptr::null_mut(), page_size(), ProtFlags::READ, MapFlags::SHARED, file, 0) } {
        Ok(page) => {
            // SAFETY: the page was mapped above, and nobody else knows of it.
            let _ = unsafe { munmap(page, page_size()) };
            true
        }
        // These are about this process and not about the file.
        Err(Errno::NOMEM | Errno::AGAIN | Errno::NFILE) => true,
        Err(_) => false,
    }
}

/// Reserved addresses, inaccessible at first.
#[derive(Debug)]
pub struct Reservation {
    address: usize,
    len: usize,
}

impl Reservation {
    /// Reserves `len` bytes, whole pages.
    pub fn new(len: usize) -> io::Result<Reservation> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the kernel chooses addresses that are free.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags)? };
        Ok(Reservation { address: start as usize, len })
    }

    /// Its first address.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the addresses are this value's own. An error would only leave them reserved.
        let _ = unsafe { munmap(self.address as *mut c_void, self.len) };
    }
}

/// A page of reserved addresses, inaccessible at first.
#[derive(Debug)]
pub struct SparePage(Reservation);

impl SparePage {
    /// Reserves a page.
    pub fn new() -> io::Result<SparePage> {
        Reservation::new(page_size()).map(SparePage)
    }

    /// Its first address.
    pub fn address(&self) -> usize {
        self.0.address()
    }

    /// Copies bytes into a page of a file through a mapping, so other bytes of the page stay as they are. Unlike pwrite(2) this never
    /// extends the file, and `RLIMIT_FSIZE` does not apply. If the file does not have this page any more, the copy raises SIGBUS; the
    /// handler must map something else here.
    ///
    /// # Panics
    ///
    /// Panics if the bytes do not fit into the page from `start` on.
    pub fn copy_to_file(&mut self, file: &File, page_offset: u64, start: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(start + bytes.len() <= page_size(), "more than a page");
        let page = self.address() as *mut u8;
        // SAFETY: the page is this value's own, and no reference to it exists. The bytes fit, as was checked above, and do not
        // overlap it.
        unsafe {
            map_file_writable(page, page_size(), file, page_offset)?;
            page.add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            map_nothing(page, page_size())
        }
    }
}

/// Replaces whatever is mapped at `at` by zeroed, private, writable memory.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns entirely. Its contents are lost.
pub unsafe fn map_zeros(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { map_anonymous(at, len, ProtFlags::READ | ProtFlags::WRITE) }
}

/// Replaces whatever is mapped at `at` by inaccessible memory, which uses no resources.
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
    let map = || unsafe { mmap_anonymous(at.cast(), len, protection, flags) };
    if map().is_err_and(|error| error == Errno::NOMEM) {
        // The process may have as many mappings as the kernel allows (`vm.max_map_count`), and the kernel refuses even a call that
        // would leave fewer of them. Neighbours become one mapping when their protection is the same.
        // SAFETY: passed on to the caller.
        unsafe { mprotect(at.cast::<c_void>(), len, MprotectFlags::empty())? };
        map()?;
    }
    Ok(())
}

/// Makes private memory read-only.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory that the caller owns entirely. Writing there raises SIGSEGV from now on.
pub unsafe fn protect_read_only(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { mprotect(at.cast::<c_void>(), len, MprotectFlags::READ)? };
    Ok(())
}

/// Makes private memory writable. Async-signal-safe: it is one system call.
///
/// # Safety
///
/// `at .. at+len` is page-aligned memory of private mappings that the caller owns entirely.
pub unsafe fn protect_read_write(at: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { mprotect(at.cast::<c_void>(), len, MprotectFlags::READ | MprotectFlags::WRITE)? };
    Ok(())
}

/// Reads `len` bytes of `file` from `file_offset` into the memory at `at`, which may be guest memory. Returns the number of bytes read,
/// which is less than `len` only at the end of the file.
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
