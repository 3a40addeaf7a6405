//! What a memory fault signal says, and the hook that lets wasmtime's handler see all of them.
//!
//! Sources: sigaction(2) for `siginfo_t`, the x86-64 and AArch64 definitions of `ucontext_t` in the C library.
#![expect(unsafe_code, reason = "signal handlers read raw kernel structures")]

use std::ffi::{c_int, c_void};
use std::io;

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

/// Lets the handler that is installed for SIGSEGV (wasmtime's) see SIGBUS as well: wasmtime hooks SIGBUS on other
/// systems only, but its handler copes with it on Linux.
pub fn handle_sigbus_like_sigsegv() -> io::Result<()> {
    // SAFETY: `sigaction` is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: valid signal numbers, and pointers to a live structure or null, as sigaction(2) asks.
    let result = unsafe {
        libc::sigaction(libc::SIGSEGV, std::ptr::null(), &raw mut action)
            | libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
