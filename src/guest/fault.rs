//! The way of a fault in a window: from the signal to [`Windows`], which notes it.
#![expect(unsafe_code, reason = "a signal handler looks at what the interrupted thread works on")]

use std::cell::Cell;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use wasmtime::unix::StoreExt;
use wasmtime::{Engine, Store};

use super::place;
use super::state::State;
use super::window::Windows;
use crate::sys::fault::{self, Fault};
use crate::sys::interrupt::Registers;

/// What the signal handlers of this thread work on.
pub(super) struct Watched {
    windows: *const Windows,
    /// Where the guest's machine code lies.
    pub code: Range<usize>,
    pub store: *const Store<Box<State>>,
    /// All frames of the guest lie below.
    pub stack_top: usize,
}

thread_local! {
    static WATCHED: Cell<*const Watched> = const { Cell::new(std::ptr::null()) };
}

/// Makes faults in the windows of `store` go to [`Windows::note`] first, whenever it runs under [`watch`].
pub(super) fn install_handler(store: &mut Store<Box<State>>) {
    // SAFETY: the handler is async-signal-safe: `decode` and `of_context` read what the kernel gave, `on_fault` of this file and of
    // `place` say so of themselves. It captures nothing.
    unsafe {
        store.set_signal_handler(|signal, info, context| {
            // SAFETY: wasmtime passes on what the kernel gave to its own handler.
            let (fault, registers) = (fault::decode(signal, info, context), Registers::of_context(context));
            watched(|guest| place::on_fault(guest, &registers));
            fault.is_some_and(|fault| on_fault(&fault))
        });
    }
}

/// Lets faults in the windows of `store` be handled on this thread while `call` runs; `code` is where the guest's machine code lies.
pub(super) fn watch<R>(
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
    // The state is boxed, so its windows stay where they are.
    let mut watched =
        Watched { windows: &raw const store.data().windows, code, store: &raw const *store, stack_top: 0 };
    watched.stack_top = &raw const watched as usize;
    WATCHED.set(&raw const watched);
    let _reset = Reset;
    call(store)
}

/// Makes an engine; the first one of a process, with wasmtime's fault handlers between ours. A fault goes, in this order, to
///
/// 1. [`note_no_page`], if it is a SIGBUS;
/// 2. the store's handler ([`install_handler`]), which gives host code a scratch page;
/// 3. wasmtime, which makes a trap of it where the instruction is one of those that may trap;
/// 4. [`give_scratch`]: some wasm instructions are compiled to code that wasmtime thinks cannot fault (a small
///    `memory.copy`, after its bounds check), and have to finish as host code does;
/// 5. who was there before us.
///
/// A program that used wasmtime before has its handlers below all of ours, where no fault of its own guests may be lost: the order is the
/// same there, because the handler of 4 calls wasmtime first.
pub(super) fn with_handlers(engine: impl FnOnce() -> wasmtime::Result<Engine>) -> wasmtime::Result<Engine> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        drop(installed);
        return engine();
    }
    fault::install_last_resort(give_scratch)?;
    let engine = engine()?;
    fault::install_no_page(note_no_page)?;
    *installed = true;
    Ok(engine)
}

fn on_fault(fault: &Fault) -> bool {
    in_window(|windows, code| {
        windows.allow_write(fault)
            || windows.note(fault) && !code.contains(&fault.instruction) && windows.scratch(fault)
    })
}

/// Notes a page that is not there.
fn note_no_page(fault: &Fault) -> bool {
    in_window(|windows, _| windows.note(fault))
}

/// Lets an access to a window finish on a scratch page.
fn give_scratch(fault: &Fault) -> bool {
    in_window(|windows, _| windows.allow_write(fault) || windows.note(fault) && windows.scratch(fault))
}

/// Asks about the windows of the guest that runs on this thread. Async-signal-safe if `ask` is.
fn in_window(ask: impl FnOnce(&Windows, &Range<usize>) -> bool) -> bool {
    // SAFETY: see `watched`; the windows live as long. Imports do touch the memory of windows (on the guest's behalf), but
    // never while they change the list of areas, so no change is half done now.
    watched(|guest| ask(unsafe { &*guest.windows }, &guest.code)).unwrap_or(false)
}

/// Asks about the guest that runs on this thread; `None` where none does. Async-signal-safe if `ask` is.
pub(super) fn watched<R>(ask: impl FnOnce(&Watched) -> R) -> Option<R> {
    // SAFETY: `watch` set it on this thread and has not returned, so the object lives; nobody changes it.
    let watched = unsafe { WATCHED.get().as_ref() };
    watched.map(ask)
}
