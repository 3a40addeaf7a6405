//! SIGINT and SIGTERM during a run.
//!
//! The first Ctrl-C ends the run once the running tasks have finished; the second stops them. SIGTERM, which service managers and
//! timeout(1) send once, stops them at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use wrun::StopHandle;

use super::{exit_codes, threads};
use crate::report::Screen;

/// Whether the run was interrupted.
#[derive(Clone, Debug, Default)]
pub struct Interrupted(Arc<AtomicBool>);

/// How far the run is being stopped.
#[derive(Clone, Copy)]
enum Stopping {
    No,
    Soon,
    Now,
}

impl Interrupted {
    /// Stops a run on SIGINT and SIGTERM from now on. Nothing can stop `inline` tasks, so this process exits instead.
    ///
    /// # Errors
    ///
    /// If the system refuses the signal handlers or the thread that waits for signals.
    pub fn watch(stop: StopHandle, screen: Screen, inline: bool) -> std::io::Result<Interrupted> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let interrupted = Interrupted::default();
        let seen = interrupted.clone();
        threads::start("wrun-signals", move || {
            let mut stopping = Stopping::No;
            while let Some(signal) = signals.forever().next() {
                // Pairs with the load in `get`; the run's own end orders everything else.
                seen.0.store(true, Ordering::Release);
                stopping = match (stopping, signal) {
                    (Stopping::No, SIGINT) => {
                        let what = "interrupted: finishing the running tasks; interrupt again to stop them";
                        screen.notice(what);
                        stop.stop_soon();
                        Stopping::Soon
                    }
                    (Stopping::No | Stopping::Soon, _) if !inline => {
                        screen.notice("stopping the running tasks");
                        stop.stop_now();
                        Stopping::Now
                    }
                    // The run may be blocked by the reader of its results. Workers die with this process.
                    _ => std::process::exit(exit_codes::INTERRUPTED.into()),
                };
            }
        })?;
        Ok(interrupted)
    }

    /// Makes writing more than `RLIMIT_FSIZE` allows (setrlimit(2)) an error with a message instead of a signal that kills this
    /// process.
    ///
    /// # Errors
    ///
    /// If the system refuses the signal handler.
    pub fn not_by_large_files() -> std::io::Result<()> {
        signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
    }

    /// Whether a signal has arrived.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
