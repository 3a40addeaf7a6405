//! The worker and compiler processes of this process, so that all of them can be stopped and continued together; and how they are
//! started.
//!
//! They are in the process group of this process, so that the terminal's Ctrl-Z and a shell's `fg` and `bg` reach them, and a program
//! that is attached to the terminal may read it (setpgid(2), termios(3)). Interrupts are for this process alone: its children block
//! them, and end with it.
//!
//! Sources: signal(7), sigprocmask(2), pidfd_send_signal(2).
#![expect(unsafe_code, reason = "signal masks and actions")]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The child processes that may still run.
struct Children {
    are_stopped: bool,
    running: Vec<Weak<OwnedFd>>,
}

static CHILDREN: Mutex<Children> = Mutex::new(Children { are_stopped: false, running: Vec::new() });

fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Children {
    fn send(&mut self, signal: Signal) {
        for child in self.running.iter().filter_map(Weak::upgrade) {
            // It is not an error if the process is already gone.
            let _ = pidfd_send_signal(&*child, signal);
        }
    }
}

/// Stops all child processes, and those that are started before [`resume`].
pub fn stop() {
    let mut children = children();
    children.are_stopped = true;
    children.send(Signal::STOP);
}

/// Continues all child processes.
pub fn resume() {
    let mut children = children();
    children.are_stopped = false;
    children.send(Signal::CONT);
}

/// The signals that a child gets from its first instruction on: those that report a fault, those of exceeded limits, and the one that
/// continues it. Those that stop it are blocked until [`let_terminal_stop`]: a child that was stopped before it executes its program
/// would leave its parent waiting in `posix_spawn`.
const KEPT: [c_int; 10] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGXFSZ,
    libc::SIGXCPU,
    libc::SIGCONT,
];

/// Starts a child process that blocks all signals but [`KEPT`] from its first instruction on. SIGKILL and SIGSTOP cannot be blocked.
/// Returns the process and its pidfd: [`stop`] and [`resume`] reach the process for as long as somebody holds that.
pub fn spawn(command: &mut Command) -> io::Result<(Child, Arc<OwnedFd>)> {
    // Locked until it can be stopped: this process must not be stopped in between.
    let mut children = children();
    let mut child = spawn_with_signals_blocked(command)?;
    let pidfd = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => Arc::new(pidfd),
        Err(error) => {
            // Without the pidfd nobody could watch it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error.into());
        }
    };
    children.running.retain(|child| child.strong_count() > 0);
    children.running.push(Arc::downgrade(&pidfd));
    if children.are_stopped {
        let _ = pidfd_send_signal(&*pidfd, Signal::STOP);
    }
    Ok((child, pidfd))
}

fn spawn_with_signals_blocked(command: &mut Command) -> io::Result<Child> {
    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initializes the set that `sigdelset` changes and that `pthread_sigmask` reads. All are live, and the numbers
    // are valid signals.
    let masked = unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for signal in KEPT {
            libc::sigdelset(blocked.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr())
    };
    // A child inherits the mask of the thread that starts it (fork(2), posix_spawn(3)); the standard library leaves it as it is.
    let child = command.spawn();
    if masked == 0 {
        // SAFETY: the successful call above initialized the set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    child
}

/// Lets the terminal stop this process, a child of another one that runs this code, from now on.
pub fn let_terminal_stop() -> io::Result<()> {
    [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].into_iter().try_for_each(unblock)
}

/// Unblocks a signal for the calling thread.
pub fn unblock(signal: c_int) -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the live set; the number is a valid signal, or the call fails.
    let changed = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    if changed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(changed)) }
}

/// Does what SIGTSTP does by default: stops this process until it is continued, unless nobody could continue it, because its process
/// group is orphaned (credentials(7)).
pub fn stop_as_by_default() -> io::Result<()> {
    unblock(libc::SIGTSTP)?;
    // SAFETY: `sigaction` is plain data, for which zero is a valid value: the default action, no flags, an empty mask.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a valid signal and live structures, as sigaction(2) asks.
    if unsafe { libc::sigaction(libc::SIGTSTP, &raw const default, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The signal goes to this thread, so it has had its effect when the call returns.
    // SAFETY: the call takes a number; the structure was initialized by the successful call above.
    unsafe {
        libc::raise(libc::SIGTSTP);
        libc::sigaction(libc::SIGTSTP, before.as_ptr(), std::ptr::null_mut());
    }
    Ok(())
}
