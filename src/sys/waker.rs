//! A file descriptor that wakes a thread that waits for several things.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Wakes the thread that drives a run. Clones wake the same thread.
///
/// Source: eventfd(2).
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Waker(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes the thread now, or as soon as it waits.
    pub fn wake(&self) {
        // The only possible error is a full counter (EAGAIN), and then the thread will wake anyway.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Waits until the thread is woken, but no longer than `at_most`. Returns at once if it was woken since the run last checked. This
    /// is for use in [`Executor::wait`](crate::backend::Executor::wait).
    pub fn wait(&self, at_most: Option<Duration>) {
        let at_most = at_most.map(|time| Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }));
        // A signal ends the wait as well.
        let _ = poll(&mut [PollFd::new(&*self.0, PollFlags::IN)], at_most.as_ref());
    }

    /// Discards all wake-ups so far.
    pub(crate) fn clear(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
