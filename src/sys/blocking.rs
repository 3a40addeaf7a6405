//! Waits until a stream can be read or written. A standard stream may have been made non-blocking by whoever shares it, which affects
//! all of them; what then fails with `EAGAIN` can be done later.
//!
//! The command has a copy of this module (`src/main.rs`), because the library has no use for most of it.
//!
//! Source: poll(2), open(2) `O_NONBLOCK`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What a wait is for.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Readable,
    Writable,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The stream is ready, or in a state that the next read or write reports.
    Ready,
    /// `wake` is readable or closed.
    Woken,
    /// The time was over.
    TimeIsOver,
}

/// Waits for `stream`, for `wake`, or for `at_most`.
///
/// # Errors
///
/// If the system cannot wait.
pub fn wait(
    stream: impl AsFd,
    until: Until,
    wake: Option<BorrowedFd<'_>>,
    at_most: Option<Duration>,
) -> io::Result<Waited> {
    let wanted = match until {
        Until::Readable => PollFlags::IN,
        Until::Writable => PollFlags::OUT,
    };
    let at_most = at_most.map(|time| Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }));
    // Without a second stream, the first is listed twice.
    let wake_or_stream = wake.unwrap_or(stream.as_fd());
    let other = if wake.is_some() { PollFlags::IN } else { wanted };
    let mut both = [PollFd::new(&stream, wanted), PollFd::from_borrowed_fd(wake_or_stream, other)];
    loop {
        return match poll(&mut both, at_most.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
            Ok(0) => Ok(Waited::TimeIsOver),
            Ok(_) if both[0].revents().is_empty() => Ok(Waited::Woken),
            Ok(_) => Ok(Waited::Ready),
        };
    }
}

/// Calls `act` again, once `stream` is ready, as long as it fails with `EAGAIN`.
///
/// # Errors
///
/// Any other error of `act`.
pub fn patiently<R>(stream: impl AsFd, until: Until, mut act: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&stream, until, None, None)?;
            }
            done => return done,
        }
    }
}
