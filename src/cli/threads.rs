//! Threads of the command.

use std::io;
use std::thread::Builder;

/// Starts a thread that nobody waits for: it may be blocked for as long as the process lives.
///
/// # Errors
///
/// If the system has no room for another thread.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let started = Builder::new().name(name.into()).spawn(work);
    started.map(drop).map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread: {error}")))
}
