//! Interrupts a thread of this process to find out what it executes, and stops it there.
//!
//! Sources: sigaction(2), tgkill(2), the x86-64 and AArch64 definitions of `ucontext_t` in the C library, and the procedure call
//! standards of both for frame pointers: the word at the frame pointer is the caller's frame pointer, and the one
//! above it the return address.
#![expect(unsafe_code, reason = "a signal handler reads raw kernel structures and the interrupted stack")]

use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::futex;

use super::children;
use super::window::page_size;

/// The registers that show what a thread executes.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// The address of the next instruction.
    pub pc: usize,
    /// The frame pointer.
    pub fp: usize,
    /// The stack pointer.
    pub sp: usize,
    /// The link register of AArch64, with the return address of a leaf function; 0 on other CPUs.
    link: usize,
}

impl Registers {
    /// Reads the registers that the kernel passed to a signal handler. Async-signal-safe.
    ///
    /// # Safety
    ///
    /// `context` is the third argument of a handler installed with `SA_SIGINFO`.
    pub unsafe fn of_context(context: *const c_void) -> Registers {
        // SAFETY: the caller's promise: it is a `ucontext_t`.
        let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        let registers = {
            let of = |register: c_int| machine.gregs[register as usize] as usize;
            Registers { pc: of(libc::REG_RIP), fp: of(libc::REG_RBP), sp: of(libc::REG_RSP), link: 0 }
        };
        #[cfg(target_arch = "aarch64")]
        let registers = Registers {
            pc: machine.pc as usize,
            fp: machine.regs[29] as usize,
            sp: machine.sp as usize,
            link: machine.regs[30] as usize,
        };
        registers
    }

    /// Calls `found` with the return addresses of the active functions, the innermost first, as long as they lie in `code`, whose
    /// functions all keep frame pointers; `pc` must lie there too. `found` returns whether to continue. Async-signal-safe if `found` is.
    ///
    /// # Safety
    ///
    /// The registers are those of a stopped thread, or of the calling one in a handler. Its stack is mapped from `sp` up to `stack_top`,
    /// and `code` is mapped readable.
    pub unsafe fn walk(&self, code: &Range<usize>, stack_top: usize, mut found: impl FnMut(usize) -> bool) {
        let word = |at: usize| {
            let inside = at.is_multiple_of(8) && at >= self.sp && at.checked_add(8).is_some_and(|end| end <= stack_top);
            // SAFETY: aligned, and between `sp` and `stack_top`, which the caller promises is mapped.
            inside.then(|| unsafe { (at as *const usize).read() })
        };
        // Before a function links its frame, and after it unlinks it, the frame pointer is still the caller's.
        // SAFETY: the caller's promise: `code` is mapped, and `pc` lies there.
        let unlinked = match unsafe { link_state(self.pc, code.end) } {
            Link::Linked => None,
            Link::InRegister => Some(self.link),
            Link::AtStack(offset) => word(self.sp.saturating_add(offset)),
        };
        if let Some(address) = unlinked
            && !(code.contains(&address) && found(address))
        {
            return;
        }
        let (mut fp, mut lowest) = (self.fp, self.sp);
        // A valid chain goes up.
        while fp >= lowest
            && let (Some(next), Some(address)) = (word(fp), word(fp.saturating_add(8)))
            && code.contains(&address)
            && found(address)
        {
            (fp, lowest) = (next, fp + 16);
        }
    }
}

/// Where the return address of the executing function is.
enum Link {
    /// Above its frame pointer.
    Linked,
    /// In the link register.
    #[cfg_attr(target_arch = "x86_64", expect(dead_code, reason = "x86-64 has no such register"))]
    InRegister,
    /// This many bytes above the stack pointer.
    AtStack(usize),
}

/// Infers the state of the function's frame from the instruction at `pc`, which is before `end`.
///
/// # Safety
///
/// The memory from `pc` to `end` is mapped readable.
unsafe fn link_state(pc: usize, end: usize) -> Link {
    let mut bytes = [0u8; 4];
    let len = bytes.len().min(end - pc);
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(pc as *const u8, bytes.as_mut_ptr(), len) };
    #[cfg(target_arch = "x86_64")]
    return match bytes {
        // `push rbp`, the first instruction of all functions, and `ret`, the last one.
        [0x55, ..] | [0xc3, ..] => Link::AtStack(0),
        // `mov rbp, rsp`, the second instruction.
        [0x48, 0x89, 0xe5, _] => Link::AtStack(8),
        _ => Link::Linked,
    };
    #[cfg(target_arch = "aarch64")]
    return match u32::from_le_bytes(bytes) {
        // `stp x29, x30, [sp, #-16]!`, and `ret`.
        0xa9bf_7bfd | 0xd65f_03c0 => Link::InRegister,
        // `mov x29, sp`.
        0x9100_03fd => Link::AtStack(8),
        _ => Link::Linked,
    };
}

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    process: libc::pid_t,
    thread: libc::pid_t,
}

impl Thread {
    /// The calling thread.
    pub fn current() -> Thread {
        Thread {
            process: rustix::process::getpid().as_raw_nonzero().get(),
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
        }
    }

    /// Makes the thread run the handler of [`on_interrupt`]. Interrupts that are still pending are merged.
    pub fn interrupt(&self) -> io::Result<()> {
        // SAFETY: tgkill(2) takes three numbers.
        match unsafe { libc::syscall(libc::SYS_tgkill, self.process, self.thread, SIGNAL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The signal of [`Thread::interrupt`].
const SIGNAL: c_int = libc::SIGUSR1;

/// The handler of interrupts.
pub type OnInterrupt = fn(&Registers);

static ON_INTERRUPT: OnceLock<OnInterrupt> = OnceLock::new();

/// Installs `handle` for the whole process, and lets interrupts through to the calling thread; only the first call has an effect. `handle` must be async-signal-safe, or it must not matter if
/// the process hangs or dies of the call.
pub fn on_interrupt(handle: OnInterrupt) -> io::Result<()> {
    ON_INTERRUPT.get_or_init(|| handle);
    // SAFETY: `sigaction` is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = interrupted as *const () as usize;
    // On the interrupted stack, which has room. Alternate stacks are small.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: a valid signal number and a live structure, as sigaction(2) asks.
    match unsafe { libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) } {
        // A worker starts with this signal blocked.
        0 => children::unblock(SIGNAL),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn interrupted(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    if let Some(handle) = ON_INTERRUPT.get() {
        // SAFETY: this is a handler installed with SA_SIGINFO, and its third argument.
        handle(&unsafe { Registers::of_context(context) });
    }
}

/// Makes the pages of `code` non-executable: returning there faults. Async-signal-safe.
///
/// # Safety
///
/// These are whole pages of a mapping of code, none of whose instructions may be executed from now on without a fault.
pub unsafe fn forbid(code: &Range<usize>) -> io::Result<()> {
    let start = code.start & !(page_size() - 1);
    // SAFETY: the caller's promise. The pages stay readable, and none of them holds data that Rust code writes.
    match unsafe { libc::mprotect(start as *mut c_void, code.end - start, libc::PROT_READ) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Stops the calling thread until the process ends. Async-signal-safe.
pub fn freeze() -> ! {
    loop {
        let hour = libc::timespec { tv_sec: 3600, tv_nsec: 0 };
        // SAFETY: a live structure, and null for the remaining time.
        unsafe { libc::nanosleep(&raw const hour, std::ptr::null_mut()) };
    }
}

/// A one-time event that another thread can wait for.
#[derive(Debug, Default)]
pub struct Happened(AtomicU32);

impl Happened {
    /// An event that has not happened.
    pub const fn new() -> Self {
        Happened(AtomicU32::new(0))
    }

    /// Sets the event. A thread that has waited for it sees everything written before. Async-signal-safe.
    pub fn set(&self) {
        // Pairs with the acquire load in `wait`.
        self.0.store(1, Ordering::Release);
        // At most one thread waits. An error would mean that the address is invalid.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
    }

    /// Waits for the event, at most this long. Returns whether it has happened.
    pub fn wait(&self, longest: Duration) -> bool {
        // A second is longer than anyone waits here.
        let nanoseconds = i64::from(longest.subsec_nanos());
        let longest = futex::Timespec { tv_sec: longest.as_secs().min(1) as i64, tv_nsec: nanoseconds };
        if self.0.load(Ordering::Acquire) == 0 {
            // Whatever ends the wait, the word decides.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, 0, Some(&longest));
        }
        self.0.load(Ordering::Acquire) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks a stack of words. Each frame links to the next, with the return address above the link.
    fn walked(stack: &[usize], code: &[u8], at: usize, fp: usize) -> Vec<usize> {
        let sp = stack.as_ptr() as usize;
        let start = code.as_ptr() as usize;
        let registers = Registers { pc: start + at, fp: sp + fp * 8, sp, link: 0 };
        let mut found = Vec::new();
        // SAFETY: both are live slices of this test.
        unsafe {
            registers.walk(&(start..start + code.len()), sp + stack.len() * 8, |address| {
                found.push(address - start);
                found.len() < 8
            });
        }
        found
    }

    #[test]
    fn frames_are_followed_upwards_and_within_the_stack_alone() {
        let code = [0x90u8; 64];
        let start = code.as_ptr() as usize;
        let mut stack = [0usize; 12];
        let base = stack.as_ptr() as usize;
        let at = |word: usize| base + word * 8;
        (stack[2], stack[3]) = (at(6), start + 10);
        (stack[6], stack[7]) = (at(10), start + 20);
        (stack[10], stack[11]) = (at(2), start + 30);
        assert_eq!(walked(&stack, &code, 0, 2), [10, 20, 30], "a chain that goes down ends");
        stack[7] = start + 64;
        assert_eq!(walked(&stack, &code, 0, 2), [10], "the caller is other code");
        (stack[7], stack[6]) = (start + 20, at(12));
        assert_eq!(walked(&stack, &code, 0, 2), [10, 20], "a frame outside of the stack");
        stack[6] = at(7) + 1;
        assert_eq!(walked(&stack, &code, 0, 2), [10, 20], "a frame that is not aligned");
        assert_eq!(walked(&stack, &code, 0, 100), [0usize; 0]);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_function_without_its_own_frame_yet_has_a_caller() {
        let mut code = [0x90u8; 64];
        code[..4].copy_from_slice(&[0x55, 0x48, 0x89, 0xe5]);
        code[63] = 0xc3;
        let start = code.as_ptr() as usize;
        let mut stack = [0usize; 8];
        (stack[4], stack[5]) = (0, start + 20);
        stack[0] = start + 10;
        assert_eq!(walked(&stack, &code, 0, 4), [10, 20], "before the frame pointer is saved");
        assert_eq!(walked(&stack, &code, 63, 4), [10, 20], "when it is the caller's again");
        (stack[0], stack[1]) = (0, start + 10);
        assert_eq!(walked(&stack, &code, 1, 4), [10, 20], "when it is saved and not set");
    }

    #[test]
    fn what_has_happened_is_seen() {
        let happened = Happened::new();
        assert!(!happened.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            scope.spawn(|| happened.set());
            while !happened.wait(Duration::from_millis(900)) {}
        });
        assert!(happened.wait(Duration::ZERO));
    }
}
