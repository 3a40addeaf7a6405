//! The clock of a task that is not granted the real one. Its time is virtual: it follows from the module and the input alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A clock that a task's sleeps set forward, and each look at it by a microsecond. The wall clock starts at a time that the job sets,
/// the monotonic one at 0; both show the same time passing.
#[derive(Clone)]
pub(in crate::guest) struct TaskClock {
    start_ns: u64,
    passed_ns: Arc<AtomicU64>,
}

const TICK_NS: u64 = 1000;

impl TaskClock {
    /// A clock that starts at this time, in nanoseconds since 1970.
    pub fn new(start_ns: u64) -> TaskClock {
        TaskClock { start_ns, passed_ns: Arc::default() }
    }

    /// Nanoseconds since the start; does not count as a look.
    pub fn passed_ns(&self) -> u64 {
        // Relaxed: one thread uses it.
        self.passed_ns.load(Ordering::Relaxed)
    }

    /// Nanoseconds since 1970; does not count as a look.
    pub fn wall_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.passed_ns())
    }

    /// Lets this many nanoseconds pass.
    pub fn sleep(&self, ns: u64) {
        self.passed_ns.store(self.passed_ns().saturating_add(ns), Ordering::Relaxed);
    }
}

impl HostMonotonicClock for TaskClock {
    fn resolution(&self) -> u64 {
        TICK_NS
    }

    fn now(&self) -> u64 {
        let now = self.passed_ns();
        self.sleep(TICK_NS);
        now
    }
}

impl HostWallClock for TaskClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(TICK_NS)
    }

    fn now(&self) -> Duration {
        let now = self.wall_ns();
        self.sleep(TICK_NS);
        Duration::from_nanos(now)
    }
}
