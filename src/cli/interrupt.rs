//! Ctrl-C: the first ends the run when the tasks that are running are done, the second stops them, too. SIGTERM, which
//! service managers and timeout(1) send once, stops them at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use wrun::pool::StopHandle;

use super::exit_codes;
use crate::report::Screen;

/// Says whether the run was interrupted.
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
    /// Stops a run on SIGINT and SIGTERM from now on; with `inline` tasks, which nothing can stop, ends this process where it would
    /// stop them.
    ///
    /// # Errors
    ///
    /// Where the system refuses the signal handlers.
    pub fn watch(stop: StopHandle, screen: Screen, inline: bool) -> std::io::Result<Interrupted> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let interrupted = Interrupted::default();
        let seen = interrupted.clone();
        std::thread::spawn(move || {
            let mut stopping = Stopping::No;
            while let Some(signal) = signals.forever().next() {
                // Pairs with the load in `get`; the run's own end orders everything else.
                seen.0.store(true, Ordering::Release);
                stopping = match (stopping, signal) {
                    (Stopping::No, SIGINT) => {
                        let what = "interrupted: finishing the tasks that are running; interrupt again to stop them";
                        screen.notice(what);
                        stop.stop_soon();
                        Stopping::Soon
                    }
                    (Stopping::No | Stopping::Soon, _) if !inline => {
                        screen.notice("stopping the tasks that are running");
                        stop.stop_now();
                        Stopping::Now
                    }
                    // The run may be waiting for whoever reads its results. Workers die with this process.
                    _ => std::process::exit(exit_codes::INTERRUPTED.into()),
                };
            }
        });
        Ok(interrupted)
    }

    /// Makes a file that is larger than this process may write (setrlimit(2), `RLIMIT_FSIZE`) an error with words, and not
    /// the end of the process.
    ///
    /// # Errors
    ///
    /// Where the system refuses the signal handler.
    pub fn not_by_large_files() -> std::io::Result<()> {
        signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
    }

    /// Whether there was a signal.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
