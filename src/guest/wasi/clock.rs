//! The clock of a task that is not granted the real one. Its time is virtual: it follows from the module and the input alone.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A clock that a task's sleeps set forward, and each look at it by a microsecond. The wall clock starts at a time that the job sets,
/// the monotonic one at 0; both show the same time passing.
#[derive(Clone)]
pub(in crate::guest) struct TaskClock {
    start_ns: u64,
    passed_ns: Arc<AtomicU64>,
    /// The times that are waited for at the same time.
    awaited: Arc<Mutex<Vec<u64>>>,
}

const TICK_NS: u64 = 1000;

impl TaskClock {
    /// A clock that starts at this time, in nanoseconds since 1970.
    pub fn new(start_ns: u64) -> TaskClock {
        TaskClock { start_ns, passed_ns: Arc::default(), awaited: Arc::default() }
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

    /// A time of the monotonic clock to wait for.
    pub fn wakening(&self, at_ns: u64) -> Wakening {
        Wakening { clock: self.clone(), at_ns }
    }

    fn earliest_awaited(&self) -> Option<u64> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().min()
    }

    /// Lets this many nanoseconds pass.
    pub fn sleep(&self, ns: u64) {
        self.passed_ns.store(self.passed_ns().saturating_add(ns), Ordering::Relaxed);
    }
}

/// A time of the monotonic clock that a component can wait for, alone or with other things.
pub(in crate::guest) struct Wakening {
    clock: TaskClock,
    at_ns: u64,
}

impl Wakening {
    /// Waits, without any waiting: whatever else is waited for is looked at once, and if nothing is ready, the clock is set forward to the
    /// earliest time that is waited for.
    pub async fn wait(&self) {
        let mut awaited = None;
        poll_fn(|context| {
            if self.clock.passed_ns() >= self.at_ns {
                return Poll::Ready(());
            }
            match awaited {
                None => {
                    // A program that only looks must see time pass as well.
                    self.clock.sleep(TICK_NS);
                    awaited = Some(Awaited::new(&self.clock, self.at_ns));
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(_) if self.clock.earliest_awaited() == Some(self.at_ns) => {
                    self.clock.sleep(self.at_ns.saturating_sub(self.clock.passed_ns()));
                    Poll::Ready(())
                }
                Some(_) => Poll::Pending,
            }
        })
        .await;
    }
}

/// Removes its time from those that are waited for when it is dropped.
struct Awaited<'a> {
    clock: &'a TaskClock,
    at_ns: u64,
}

impl<'a> Awaited<'a> {
    fn new(clock: &'a TaskClock, at_ns: u64) -> Awaited<'a> {
        clock.awaited.lock().unwrap_or_else(PoisonError::into_inner).push(at_ns);
        Awaited { clock, at_ns }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut awaited = self.clock.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = awaited.iter().position(|at_ns| *at_ns == self.at_ns) {
            awaited.swap_remove(at);
        }
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
