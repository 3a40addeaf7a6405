//! What a memory fault signal says, and the handlers around wasmtime's own.
//!
//! Sources: sigaction(2) for `siginfo_t`, the x86-64 and AArch64 definitions of `ucontext_t` in the C library.
#![expect(unsafe_code, reason = "signal handlers read raw kernel structures")]

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::OnceLock;

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

/// Installs a SIGSEGV handler, to be called before wasmtime's is installed: that one then passes faults on that are no
/// traps to it. Where `handled` says yes, the access is tried again; otherwise the process dies of the signal.
pub fn install_last_resort(handled: OnFault) -> io::Result<()> {
    LAST_RESORT.get_or_init(|| handled);
    install(libc::SIGSEGV, last_resort)
}

/// Installs a SIGBUS handler, to be called when wasmtime's handlers are installed. It tells `note` of the fault and then
/// does what wasmtime does for a SIGSEGV at the same place: wasmtime does not hook SIGBUS on Linux.
pub fn install_no_page(note: OnFault) -> io::Result<()> {
    // SAFETY: `sigaction` is plain data, for which zero is a valid value.
    let mut wasmtime: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a valid signal number, null, and a live structure, as sigaction(2) asks.
    if unsafe { libc::sigaction(libc::SIGSEGV, std::ptr::null(), &raw mut wasmtime) } != 0 {
        return Err(io::Error::last_os_error());
    }
    NO_PAGE.get_or_init(|| (note, wasmtime.sa_sigaction));
    install(libc::SIGBUS, no_page)
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn install(signal: c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: as above.
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

extern "C" fn last_resort(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
    let fault = unsafe { decode(signal, info, context) };
    if fault.is_none_or(|fault| !LAST_RESORT.get().is_some_and(|handled| handled(&fault))) {
        // The access is tried once more, and the process dies of it.
        // SAFETY: a valid signal number and a disposition; signal(2) is async-signal-safe.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

extern "C" fn no_page(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are the arguments of a handler installed with SA_SIGINFO.
    let fault = unsafe { decode(signal, info, context) };
    match (fault, NO_PAGE.get()) {
        (Some(fault), Some((note, wasmtime))) if note(&fault) => {
            // SAFETY: the address is that of wasmtime's handler, installed with SA_SIGINFO and never taken out; it reads
            // the address and the registers, which SIGBUS gives in the same places as SIGSEGV.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(*wasmtime) };
            handler(libc::SIGSEGV, info, context);
        }
        _ => {
            // SAFETY: as in `last_resort`.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
