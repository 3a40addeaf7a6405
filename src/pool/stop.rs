//! Stopping a run from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Waker;

/// Stops a run from another thread, or from a signal handler's thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    level: Arc<AtomicU8>,
    waker: Waker,
}

/// How far a run is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// Not at all.
    No,
    /// Start no more tasks.
    Soon,
    /// Kill those that run as well.
    Now,
}

impl StopHandle {
    pub(super) fn new(waker: Waker) -> Self {
        StopHandle { level: Arc::new(AtomicU8::new(Stop::No as u8)), waker }
    }

    /// Starts no more tasks; those that are running finish, and the rest of the taken ones end as `cancelled`.
    pub fn stop_soon(&self) {
        self.raise(Stop::Soon);
    }

    /// Also kills the tasks that are running; they end as `cancelled`.
    pub fn stop_now(&self) {
        self.raise(Stop::Now);
    }

    pub(super) fn raise(&self, stop: Stop) {
        // Relaxed: the level is all the news, and the waker orders it before the look that follows.
        self.level.fetch_max(stop as u8, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(super) fn level(&self) -> Stop {
        match self.level.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Soon,
            _ => Stop::Now,
        }
    }
}
