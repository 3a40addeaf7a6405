//! Stopping a run from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::backend::Waker;

/// Stops a run from another thread, such as the one that handles signals.
///
/// ```no_run
/// # use std::time::Duration;
/// # use wrun::{Job, Module, Pool};
/// # wrun::init();
/// # let (mut pool, job) = (Pool::builder().build()?, Job::new(&Module::from_file("sqrt.wat")?));
/// let run = pool.map(&job, 0..1_000_000)?;
/// let stop = run.stop_handle();
/// std::thread::spawn(move || {
///     std::thread::sleep(Duration::from_secs(10));
///     stop.stop_now();
/// });
/// println!("{} tasks passed", run.filter(|outcome| outcome.result.is_ok()).count());
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "the run goes on until a method of its handle is called"]
pub struct StopHandle {
    level: Arc<AtomicU8>,
    waker: Waker,
}

/// To what extent a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopLevel {
    /// Not at all.
    Running,
    /// No more tasks start.
    Soon,
    /// Tasks that are running are killed as well.
    Now,
}

impl StopHandle {
    pub(super) fn new(waker: Waker) -> Self {
        StopHandle { level: Arc::new(AtomicU8::new(StopLevel::Running as u8)), waker }
    }

    /// Starts no more tasks. Tasks that are running finish; the rest of the taken ones end as `cancelled`.
    pub fn stop_soon(&self) {
        self.raise(StopLevel::Soon);
    }

    /// Also kills the tasks that are running; they end as `cancelled`.
    pub fn stop_now(&self) {
        self.raise(StopLevel::Now);
    }

    pub(super) fn raise(&self, level: StopLevel) {
        // Relaxed: no other data depends on the level, and the waker orders this store before the load that follows the wake-up.
        self.level.fetch_max(level as u8, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(super) fn level(&self) -> StopLevel {
        match self.level.load(Ordering::Relaxed) {
            0 => StopLevel::Running,
            1 => StopLevel::Soon,
            _ => StopLevel::Now,
        }
    }
}
