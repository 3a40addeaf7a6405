//! Words of shared memory, which other tasks change at the same time.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::host;
use crate::{Error, Task};

/// The 64-bit words of a shared memory, each read and written as a whole. All operations are sequentially consistent.
#[derive(Clone, Copy)]
pub struct Words<'t> {
    first: NonNull<u64>,
    len: usize,
    _task: PhantomData<&'t Task>,
}

impl<'t> Words<'t> {
    /// Maps the first `bytes` bytes of a region, which stay mapped until the task ends.
    pub fn map(_task: &'t Task, region: u32, bytes: usize) -> Result<Self, Error> {
        if !bytes.is_multiple_of(size_of::<u64>()) {
            return Err(Error::new(format_args!(
                "a shared memory of {bytes} bytes is not a whole number of 64-bit words"
            )));
        }
        let first = if bytes == 0 { NonNull::dangling() } else { host::region_map(region, 0, bytes).cast::<u64>() };
        if !first.is_aligned() {
            return Err(Error::misaligned(first.addr().get() % align_of::<u64>(), align_of::<u64>(), "u64"));
        }
        Ok(Words { first, len: bytes / size_of::<u64>(), _task: PhantomData })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// `len` words from `start` on.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn part(&self, start: usize, len: usize) -> Self {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "words {start}.. of {}", self.len);
        // SAFETY: within the words, as was just checked.
        Words { first: unsafe { self.first.add(start) }, len, ..*self }
    }

    pub fn load(&self, index: usize) -> u64 {
        // SAFETY: see `word`.
        unsafe { atomic::load(self.word(index)) }
    }

    pub fn store(&self, index: usize, value: u64) {
        // SAFETY: see `word`.
        unsafe { atomic::store(self.word(index), value) }
    }

    /// Adds, wrapping around, and returns the previous value.
    pub fn add(&self, index: usize, value: u64) -> u64 {
        // SAFETY: see `word`.
        unsafe { atomic::add(self.word(index), value) }
    }

    pub fn exchange(&self, index: usize, value: u64) -> u64 {
        // SAFETY: see `word`.
        unsafe { atomic::exchange(self.word(index), value) }
    }

    /// Returns the previous value; the exchange took place if that is `current`.
    pub fn compare_exchange(&self, index: usize, current: u64, new: u64) -> u64 {
        // SAFETY: see `word`.
        unsafe { atomic::compare_exchange(self.word(index), current, new) }
    }

    /// The address of a word: aligned, mapped readable and writable until the task ends, which `'t` does not outlive, and
    /// accessed with atomic operations only, by this type and by everyone else who maps the shared memory.
    fn word(&self, index: usize) -> *mut u64 {
        assert!(index < self.len, "word {index} of {}", self.len);
        // SAFETY: within the words, as was just checked.
        unsafe { self.first.add(index) }.as_ptr()
    }
}

/// The atomic instructions, in the library that `build.rs` writes.
#[cfg(target_family = "wasm")]
mod atomic {
    #[link(name = "wrun_atomics", kind = "static")]
    unsafe extern "C" {
        #[link_name = "wrun_atomic_load"]
        pub unsafe fn load(at: *mut u64) -> u64;
        #[link_name = "wrun_atomic_store"]
        pub unsafe fn store(at: *mut u64, value: u64);
        #[link_name = "wrun_atomic_add"]
        pub unsafe fn add(at: *mut u64, value: u64) -> u64;
        #[link_name = "wrun_atomic_exchange"]
        pub unsafe fn exchange(at: *mut u64, value: u64) -> u64;
        #[link_name = "wrun_atomic_compare_exchange"]
        pub unsafe fn compare_exchange(at: *mut u64, current: u64, new: u64) -> u64;
    }
}

/// The same natively. Each pointer is to an aligned word that is accessed with atomic operations only.
#[cfg(not(target_family = "wasm"))]
mod atomic {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    pub unsafe fn load(at: *mut u64) -> u64 {
        // SAFETY: the pointer is as described above.
        unsafe { AtomicU64::from_ptr(at) }.load(SeqCst)
    }

    pub unsafe fn store(at: *mut u64, value: u64) {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(at) }.store(value, SeqCst);
    }

    pub unsafe fn add(at: *mut u64, value: u64) -> u64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(at) }.fetch_add(value, SeqCst)
    }

    pub unsafe fn exchange(at: *mut u64, value: u64) -> u64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(at) }.swap(value, SeqCst)
    }

    pub unsafe fn compare_exchange(at: *mut u64, current: u64, new: u64) -> u64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(at) }
            .compare_exchange(current, new, SeqCst, SeqCst)
            .unwrap_or_else(|before| before)
    }
}
