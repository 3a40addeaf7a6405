//! Passes faults in windows from the signal handlers to [`Windows`], which records them.
#![expect(unsafe_code, reason = "a signal handler looks at what the interrupted thread works on")]

use std::ops::Range;

use wasmtime::Store;
use wasmtime::unix::StoreExt;

use super::interrupted;
use super::watched::watched;
use crate::guest::state::State;
use crate::guest::window::Windows;
use crate::sys::fault::{self, Fault, Questions};
use crate::sys::interrupt::Registers;

/// Makes the process's fault handlers ask this module. Call it before a guest runs.
pub(in crate::guest) fn ask_about_faults() {
    fault::ask(Questions { last_resort: give_scratch, no_page: note_no_page });
}

/// Makes faults in the windows of `store` go to [`Windows::note`] before wasmtime sees them, while it runs under
/// [`watch`](super::watch).
pub(in crate::guest) fn install_handler(store: &mut Store<Box<State>>) {
    // SAFETY: the handler is async-signal-safe: `decode` and `of_context` read what the kernel gave, `on_fault` of this file and of
    // `interrupted` are documented to be. It captures nothing.
    unsafe {
        store.set_signal_handler(|signal, info, context| {
            // SAFETY: wasmtime passes on what the kernel gave its own handler.
            let (fault, registers) = (fault::decode(signal, info, context), Registers::of_context(context));
            watched(|guest| interrupted::on_fault(guest, &registers));
            fault.is_some_and(|fault| on_fault(&fault))
        });
    }
}

fn on_fault(fault: &Fault) -> bool {
    in_window(|windows, code| {
        windows.allow_write(fault)
            || windows.note(fault) && !code.contains(&fault.instruction) && windows.scratch(fault)
    })
}

/// Records a missing page.
fn note_no_page(fault: &Fault) -> bool {
    in_window(|windows, _| windows.note(fault))
}

/// Lets an access to a window finish on a scratch page.
fn give_scratch(fault: &Fault) -> bool {
    in_window(|windows, _| windows.allow_write(fault) || windows.note(fault) && windows.scratch(fault))
}

/// Calls `ask` with the windows and the code of the guest that runs on this thread. Async-signal-safe if `ask` is.
fn in_window(ask: impl FnOnce(&Windows, &Range<usize>) -> bool) -> bool {
    // SAFETY: see `watched`; the windows live as long. Imports do access the memory of windows, but never while they change the list
    // of areas, so the list is consistent now.
    watched(|guest| ask(unsafe { &*guest.windows }, &guest.code)).unwrap_or(false)
}
