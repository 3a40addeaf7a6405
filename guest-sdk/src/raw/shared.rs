//! Windows that many values own together: the memory behind Arrow's buffers.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;

use super::{Window, host};

thread_local! {
    /// Windows that a buffer still refers to.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// Counts the tasks that were ended because there were some.
    static LOST: Cell<usize> = const { Cell::new(0) };
}

/// A window that ends when the last buffer that refers to it is dropped.
struct Owner {
    first: NonNull<u8>,
    /// [`LOST`] when it was mapped.
    lost: usize,
}

// SAFETY: the address is only used to give the window back. On WebAssembly there is one thread; elsewhere the stand-in for the host
// panics where another thread than the task's gives it back.
unsafe impl Send for Owner {}
// SAFETY: shared references to it give nothing away.
unsafe impl Sync for Owner {}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.lost != LOST.get() {
            // Its task was ended, and the memory is left as it is.
            return;
        }
        OPEN.set(OPEN.get() - 1);
        // SAFETY: this value owns one map of this address, and the last buffer that referred to it is gone.
        unsafe { host::input_unmap(self.first) }
    }
}

/// The window's memory as a buffer, not copied. All that is made from it has to be gone when the task ends; [`end_task`] sees to it.
pub(crate) fn buffer(window: Window<'_>) -> Buffer {
    if window.is_empty() {
        return Buffer::from_vec(Vec::<u8>::new());
    }
    let (first, len) = (NonNull::from(&*window).cast(), window.len());
    // The owner gives it back now.
    std::mem::forget(window);
    OPEN.set(OPEN.get() + 1);
    // SAFETY: the window is `len` initialised bytes that stay mapped until the owner is dropped, or the task ends, which does
    // not return to any code of the guest while there still is an owner. They are read only, and do not change: a task
    // whose file changes under it is failed by the host.
    unsafe { Buffer::from_custom_allocation(first, len, Arc::new(Owner { first, lost: LOST.get() })) }
}

/// Ends the task, and the instance with it, where buffers are kept beyond its end: the host takes all windows back then.
pub(crate) fn end_task() {
    if OPEN.replace(0) != 0 {
        LOST.set(LOST.get() + 1);
        // Natively the memory belongs to the stand-in, which must not free it.
        #[cfg(not(target_family = "wasm"))]
        std::mem::forget(host::install(None));
        panic!(
            "the task has kept a record batch, or a part of one, beyond its end, when its input is no longer mapped; copy what is to stay"
        );
    }
}
