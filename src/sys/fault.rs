//! What a memory fault signal says, and the handlers around wasmtime's own.
//!
//! Sources: sigaction(2) for `siginfo_t`, the x86-64 and AArch64 definitions of `ucontext_t` in the C library.
#![expect(unsafe_code, reason = "signal handlers read raw kernel structures")]

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A memory fault, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was accessed.
    pub address: usize,
    /// The address of the instruction that accessed it.
    pub instruction: usize,
    /// What the kernel said.
    pub kind: FaultKind,
}

/// The signal behind a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// SIGSEGV: the mapping does not allow this access.
    Protection,
    /// SIGBUS: the mapped file has no such page (any more).
    NoPage,
}

/// Decodes the arguments of a signal handler; `None` for signals other than memory faults. Async-signal-safe.
///
/// # Safety
///
/// The arguments are those that the kernel gave to a handler installed with `SA_SIGINFO`.
pub unsafe fn decode(signal: c_int, info: *const libc::siginfo_t, context: *const c_void) -> Option<Fault> {
    let kind = match signal {
        libc::SIGSEGV => FaultKind::Protection,
        libc::SIGBUS => FaultKind::NoPage,
        _ => return None,
    };
    // SAFETY: the caller's promise: `info` is valid, and for these two signals `si_addr` is set.
    let address = unsafe { (*info).si_addr() } as usize;
    // SAFETY: the caller's promise: with SA_SIGINFO the third argument is a `ucontext_t`.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let instruction = machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let instruction = machine.pc as usize;
    Some(Fault { address, instruction, kind })
}

/// What is asked about a fault. Async-signal-safe.
pub type OnFault = fn(&Fault) -> bool;

/// The questions of [`install_last_resort`] and [`install_no_page`], and the handler that was there for SIGSEGV.
static LAST_RESORT: OnceLock<OnFault> = OnceLock::new();
static NO_PAGE: OnceLock<(OnFault, usize)> = OnceLock::new();

/// What was there for both signals before our handlers: the program's own, say. It gets what is not ours.
static EARLIER: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

/// The program used wasmtime before: its handler is what was there for SIGSEGV before ours.
static WASMTIME_IS_BELOW: AtomicBool = AtomicBool::new(false);

/// Installs a SIGSEGV handler, to be called before wasmtime's is installed: that one then passes faults on that are no
/// traps to it. Where `handled` says yes, the access is tried again; otherwise the handler that was there before decides, or the
/// process dies of the signal.
pub fn install_last_resort(handled: OnFault) -> io::Result<()> {
    LAST_RESORT.get_or_init(|| handled);
    install(libc::SIGSEGV, last_resort)
}

/// Installs a SIGBUS handler, to be called when wasmtime's handlers are installed. It tells `note` of the fault and then
/// does what wasmtime does for a SIGSEGV at the same place: wasmtime does not hook SIGBUS on Linux.
pub fn install_no_page(note: OnFault) -> io::Result<()> {
    // wasmtime installs its handlers once. Where ours is on top now, it had done so before.
    let on_top = current(libc::SIGSEGV)?.sa_sigaction;
    // Relaxed: what it says is true from here on, and faults of guests come later.
    WASMTIME_IS_BELOW.store(is_last_resort(on_top), Ordering::Relaxed);
    NO_PAGE.get_or_init(|| (note, on_top));
    install(libc::SIGBUS, no_page)
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn is_last_resort(handler: usize) -> bool {
    handler == last_resort as Handler as usize
}

/// What happens on a signal now. Async-signal-safe.
fn current(signal: c_int) -> io::Result<libc::sigaction> {
    // SAFETY: `sigaction` is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a valid signal number, null, and a live structure, as sigaction(2) asks.
    match unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } {
        0 => Ok(action),
        _ => Err(io::Error::last_os_error()),
    }
}

fn earlier(signal: c_int) -> &'static OnceLock<libc::sigaction> {
    &EARLIER[usize::from(signal == libc::SIGBUS)]
}

fn install(signal: c_int, handler: Handler) -> io::Result<()> {
    let before = current(signal)?;
    earlier(signal).get_or_init(|| before);
    set(signal, handler)
}

/// Async-signal-safe.
fn set(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: as in `current`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // The same flags as wasmtime's: on the alternate stack, and again for a fault inside the handler.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    // SAFETY: valid signal numbers and live structures, as sigaction(2) asks.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the handler decide that was there before ours; without one the access is tried once more, and the process dies of it.
///
/// # Safety
///
/// The arguments are those that the kernel gave to a handler installed with `SA_SIGINFO`.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    match earlier(signal).get() {
        Some(action) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) => {
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: installed with this flag, it is such a handler; the arguments are the caller's promise.
                let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: without the flag, it takes the signal alone.
                let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(action.sa_sigaction) };
                handler(signal);
            }
        }
        _ => {
            // SAFETY: a valid signal number and a disposition; signal(2) is async-signal-safe.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

extern "C" fn last_resort(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let wasmtime_is_below = WASMTIME_IS_BELOW.load(Ordering::Relaxed);
    if wasmtime_is_below {
        // It comes first, there as well. Where it gives up, it takes the handler out, which is ours.
        // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
        unsafe { pass_on(signal, info, context) };
        if current(signal).is_ok_and(|now| is_last_resort(now.sa_sigaction)) {
            return;
        }
    }
    // SAFETY: as above.
    let fault = unsafe { decode(signal, info, context) };
    let is_handled = fault.is_some_and(|fault| LAST_RESORT.get().is_some_and(|handled| handled(&fault)));
    match (is_handled, wasmtime_is_below) {
        // Where that fails, the process dies of the next fault.
        (true, true) => drop(set(signal, last_resort)),
        (true, false) | (false, true) => {}
        // SAFETY: as above.
        (false, false) => unsafe { pass_on(signal, info, context) },
    }
}

extern "C" fn no_page(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
    let fault = unsafe { decode(signal, info, context) };
    match (fault, NO_PAGE.get()) {
        (Some(fault), Some((note, wasmtime))) if note(&fault) => {
            // SAFETY: the address is that of wasmtime's handler, or of ours above it, installed with SA_SIGINFO and never taken out; it
            // reads the address and the registers, which SIGBUS gives in the same places as SIGSEGV.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(*wasmtime) };
            handler(libc::SIGSEGV, info, context);
        }
        // SAFETY: as above.
        _ => unsafe { pass_on(signal, info, context) },
    }
}
