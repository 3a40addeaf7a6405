//! Job control: how a program stops and continues together with its workers.
//!
//! Workers and compilers are in the process group of the program that uses them. So a terminal's Ctrl-Z stops all of them, and a shell's
//! `fg` and `bg` continue them. Interrupts (Ctrl-C, SIGTERM) are for the program alone: its workers block them, and end with it.
//!
//! Signals that are sent to the program's process alone (`kill -TSTP PID`) reach no worker. This crate installs no handlers for them,
//! because it cannot know what else the program does with signals. A program that wants its workers to follow handles SIGTSTP by
//! [`suspend`], and SIGCONT by [`resume`], on a thread of its own (with the crate `signal-hook`, for example). The command does that.

use crate::sys::children;
use crate::{Error, Result};

/// Stops all workers and compilers of this process, and then the process itself, as SIGTSTP does by default. Returns once they
/// continue.
///
/// If nobody could continue the process, because its process group is orphaned, the system does not stop it (setpgid(2)), and this
/// returns at once.
///
/// # Errors
///
/// Returns an error if the system refuses to change what SIGTSTP does. Then nothing is stopped.
pub fn suspend() -> Result<()> {
    children::stop();
    let stopped = children::stop_as_by_default();
    children::resume();
    stopped.map_err(|error| Error::system("cannot stop this process", error))
}

/// Continues all workers and compilers of this process that were stopped.
pub fn resume() {
    children::resume();
}
