//! What the command inherits from whoever starts it, and would not work with. A module of the command alone (`src/main.rs`): a library
//! changes none of this in a process that is not its own.
//!
//! Sources: execve(2) for what is inherited, sigprocmask(2), wait(2) for `SIGCHLD`, umask(2).
#![expect(unsafe_code, reason = "signal masks and actions")]

use std::mem::MaybeUninit;

use rustix::fs::Mode;
use rustix::process::umask;

/// Unblocks all signals, makes sure that child processes can be waited for, and lets this user use the files that this process makes.
/// Signals that are ignored stay ignored, because `nohup` and shells want it that way. Call this before there are other threads.
pub fn put_right() {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the live set.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
    // Where SIGCHLD is ignored, the system reaps child processes by itself, and nobody learns how they ended.
    // SAFETY: the default action replaces whatever was inherited, which cannot be a handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let inherited = umask(Mode::RWXG | Mode::RWXO);
    umask(inherited.difference(Mode::RWXU));
}
