//! Decodes memory fault signals, and installs handlers around wasmtime's own.
//!
//! Sources: sigaction(2) for `siginfo_t`, the x86-64 and AArch64 definitions of `ucontext_t` in the C library.
#![expect(unsafe_code, reason = "signal handlers read raw kernel structures")]

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A memory fault, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was accessed.
    pub address: usize,
    /// The address of the instruction that accessed it.
    pub instruction: usize,
    /// The kind of fault.
    pub kind: FaultKind,
}

/// Which signal reported a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// SIGSEGV: the mapping does not allow this access.
    Protection,
    /// SIGBUS: the mapped file does not have this page (any more).
    NoPage,
}

/// Decodes the arguments of a signal handler; `None` for signals other than memory faults. Async-signal-safe.
///
/// # Safety
///
/// The arguments are those that the kernel passed to a handler installed with `SA_SIGINFO`.
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

/// Decides whether a fault is ours. Async-signal-safe.
pub type OnFault = fn(&Fault) -> bool;

/// What the handlers ask.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    /// Asked about a SIGSEGV that wasmtime does not treat as a trap. If the answer is yes, the access is retried; otherwise the handler
    /// that was there before ours decides, or the process dies of the signal.
    pub last_resort: OnFault,
    /// Asked about a SIGBUS. If the answer is yes, it is passed to wasmtime as a SIGSEGV.
    pub no_page: OnFault,
}

static QUESTIONS: OnceLock<Questions> = OnceLock::new();

/// Sets what the handlers ask, for the whole process; only the first call has an effect. Until then no fault is ours.
pub fn ask(questions: Questions) {
    QUESTIONS.get_or_init(|| questions);
}

/// wasmtime's handler for SIGSEGV, or ours above it.
static WASMTIME: OnceLock<usize> = OnceLock::new();

/// The handlers of both signals before ours, such as the program's own. They get what is not ours.
static EARLIER: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

/// Whether the program used wasmtime before: then its handler is the one that was there for SIGSEGV before ours.
static WASMTIME_IS_BELOW: AtomicBool = AtomicBool::new(false);

/// Calls `make`, which installs wasmtime's fault handlers unless they are installed already. The first call in a process installs ours
/// around them. A fault then goes, in this order, to
///
/// 1. [`Questions::no_page`], if it is a SIGBUS: on Linux wasmtime does not hook that;
/// 2. wasmtime, which asks the store's own handler first, and then makes it a trap if the instruction is one that may trap;
/// 3. [`Questions::last_resort`]: wasm instructions that wasmtime thinks cannot fault (a small `memory.copy`, after its bounds check);
/// 4. the handler that was there before us.
///
/// A program that used wasmtime before has its handlers below all of ours, where no fault of its own guests may be lost: the order
/// is the same there, because the handler of 3 calls wasmtime first.
pub fn around_wasmtime<T, E: From<io::Error>>(make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        drop(installed);
        return make();
    }
    // Before wasmtime's handler is installed, so that it passes on to ours what is not a trap.
    install(libc::SIGSEGV, last_resort)?;
    let made = make()?;
    // wasmtime installs its handlers once. If ours is on top now, it had done so before.
    let on_top = current(libc::SIGSEGV)?.sa_sigaction;
    // Relaxed: the value does not change any more, and faults of guests come later.
    WASMTIME_IS_BELOW.store(is_last_resort(on_top), Ordering::Relaxed);
    WASMTIME.get_or_init(|| on_top);
    install(libc::SIGBUS, no_page)?;
    *installed = true;
    Ok(made)
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn is_last_resort(handler: usize) -> bool {
    handler == last_resort as Handler as usize
}

/// The current disposition of a signal. Async-signal-safe.
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
    // The same flags as wasmtime's: run on the alternate stack, also for a fault inside the handler.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    // SAFETY: valid signal numbers and live structures, as sigaction(2) asks.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the handler that was there before ours decide. If there was none, the access is tried once more and the process dies of it.
///
/// # Safety
///
/// The arguments are those that the kernel passed to a handler installed with `SA_SIGINFO`.
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
        // It comes first here, too. If it gives up, it removes the handler, which is ours.
        // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
        unsafe { pass_on(signal, info, context) };
        if current(signal).is_ok_and(|now| is_last_resort(now.sa_sigaction)) {
            return;
        }
    }
    // SAFETY: as above.
    let fault = unsafe { decode(signal, info, context) };
    let is_handled = fault.is_some_and(|fault| QUESTIONS.get().is_some_and(|ask| (ask.last_resort)(&fault)));
    match (is_handled, wasmtime_is_below) {
        // If that fails, the process dies of the next fault.
        (true, true) => drop(set(signal, last_resort)),
        (true, false) | (false, true) => {}
        // SAFETY: as above.
        (false, false) => unsafe { pass_on(signal, info, context) },
    }
}

extern "C" fn no_page(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
    let fault = unsafe { decode(signal, info, context) };
    let is_ours = fault.is_some_and(|fault| QUESTIONS.get().is_some_and(|ask| (ask.no_page)(&fault)));
    match WASMTIME.get() {
        Some(wasmtime) if is_ours => {
            // SAFETY: the address is that of wasmtime's handler, or of ours above it, installed with SA_SIGINFO and never removed; it
            // reads the address and the registers, which SIGBUS gives in the same places as SIGSEGV.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(*wasmtime) };
            handler(libc::SIGSEGV, info, context);
        }
        // SAFETY: as above.
        _ => unsafe { pass_on(signal, info, context) },
    }
}
