//! The clock of a task that is not granted the real one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A clock that starts at 0 for each task and advances by a microsecond each time it is read.
#[derive(Default)]
pub(super) struct TaskClock(AtomicU64);

const TICK_NS: u64 = 1000;

impl HostMonotonicClock for TaskClock {
    fn resolution(&self) -> u64 {
        TICK_NS
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(TICK_NS, Ordering::Relaxed)
    }
}

impl HostWallClock for TaskClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(TICK_NS)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(HostMonotonicClock::now(self))
    }
}
