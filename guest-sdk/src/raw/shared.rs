//! Windows with shared ownership: the memory behind Arrow's buffers.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;

use super::{Window, host};

thread_local! {
    /// The number of windows that a buffer still refers to.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// The number of tasks that were ended because they left such windows.
    static LOST: Cell<usize> = const { Cell::new(0) };
}

/// A window that is unmapped when the last buffer that refers to it is dropped.
struct Owner {
    first: NonNull<u8>,
    /// [`LOST`] when it was mapped.
    lost: usize,
}

// SAFETY: the address is only used to unmap the window. On WebAssembly there is one thread; elsewhere the stand-in for the
// host panics if a thread other than the task's unmaps it.
unsafe impl Send for Owner {}
// SAFETY: nothing can be done through a shared reference to it.
unsafe impl Sync for Owner {}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.lost != LOST.get() {
            // Its task was ended early, and the memory is left alone.
            return;
        }
        OPEN.set(OPEN.get() - 1);
        // SAFETY: this value owns one map of this address, and the last buffer that referred to it is gone.
        unsafe { host::input_unmap(self.first) }
    }
}

/// The window's memory as a buffer, without a copy. Everything made from it must be dropped before the task ends, which
/// [`end_task`] enforces.
pub(crate) fn buffer(window: Window<'_>) -> Buffer {
    if window.is_empty() {
        return Buffer::from_vec(Vec::<u8>::new());
    }
    let (first, len) = (NonNull::from(&*window).cast(), window.len());
    // The owner unmaps it from now on.
    std::mem::forget(window);
    OPEN.set(OPEN.get() + 1);
    // SAFETY: the window is `len` initialised bytes that stay mapped until the owner is dropped or the task ends; if there
    // still is an owner at the end of the task, no code of the guest runs again. The bytes are read-only and do not change:
    // the host fails a task whose file changes while it runs.
    unsafe { Buffer::from_custom_allocation(first, len, Arc::new(Owner { first, lost: LOST.get() })) }
}

/// Ends the task, and its instance, if buffers are kept beyond the task's end, when the host unmaps all windows.
pub(crate) fn end_task() {
    if OPEN.replace(0) != 0 {
        LOST.set(LOST.get() + 1);
        // Natively the memory belongs to the stand-in, which must not free it.
        #[cfg(not(target_family = "wasm"))]
        std::mem::forget(host::install(None));
        panic!(
            "the task kept a record batch, or part of one, beyond its end, when its input is unmapped; copy what should stay"
        );
    }
}
