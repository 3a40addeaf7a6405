//! The guest that runs on a thread, for the signal handlers of that thread.
#![expect(unsafe_code, reason = "a signal handler looks at what the interrupted thread works on")]

use std::cell::Cell;
use std::ops::Range;

use wasmtime::Store;

use crate::guest::state::State;
use crate::guest::window::Windows;

/// The guest that a thread's signal handlers look at.
pub(super) struct Watched {
    pub windows: *const Windows,
    /// Where the guest's machine code lies.
    pub code: Range<usize>,
    pub store: *const Store<Box<State>>,
    /// All frames of the guest lie below this address.
    pub stack_top: usize,
}

thread_local! {
    static WATCHED: Cell<*const Watched> = const { Cell::new(std::ptr::null()) };
}

/// Handles faults in the windows of `store` on this thread while `call` runs. `code` is where the guest's machine code lies.
pub(in crate::guest) fn watch<R>(
    store: &mut Store<Box<State>>,
    code: Range<usize>,
    call: impl FnOnce(&mut Store<Box<State>>) -> R,
) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            WATCHED.set(std::ptr::null());
        }
    }
    // The state is boxed, so its windows do not move.
    let mut watched =
        Watched { windows: &raw const store.data().windows, code, store: &raw const *store, stack_top: 0 };
    watched.stack_top = &raw const watched as usize;
    WATCHED.set(&raw const watched);
    let _reset = Reset;
    call(store)
}

/// Calls `ask` with the guest that runs on this thread; `None` if there is none. Async-signal-safe if `ask` is.
pub(super) fn watched<R>(ask: impl FnOnce(&Watched) -> R) -> Option<R> {
    // SAFETY: `watch` set it on this thread and has not returned, so the object is alive, and nobody changes it.
    let watched = unsafe { WATCHED.get().as_ref() };
    watched.map(ask)
}
