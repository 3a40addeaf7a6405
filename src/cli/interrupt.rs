//! Signals to the command: SIGINT and SIGTERM end a run, SIGTSTP and SIGCONT stop and continue it with its workers.
//!
//! The first Ctrl-C ends the run once the running tasks have finished; the second stops them. SIGTERM, which service managers and
//! timeout(1) send, stops them at once. One more signal ends the command itself, whatever holds it up. A signal that was ignored when the command started stays ignored, as `nohup` and shells want it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCONT, SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use wrun::StopHandle;

use super::{exit_codes, threads};
use crate::report::{Screen, outlet};

/// A SIGTERM that follows another within this time repeats it: timeout(1) sends it to the command, and then to its process group.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// How long a message may hold up what it announces: standard error may be blocked.
const LONGEST_MESSAGE: Duration = Duration::from_secs(1);

/// Whether the run was interrupted.
#[derive(Clone, Debug, Default)]
pub struct Interrupted(Arc<AtomicBool>);

/// How far the run is being stopped.
#[derive(Clone, Copy)]
enum Stopping {
    No,
    Soon,
    /// Since this time.
    Now(Instant),
}

/// A run that signals stop.
struct Watched {
    interrupted: Interrupted,
    stop: StopHandle,
    screen: Screen,
    /// Nothing can stop its tasks.
    is_inline: bool,
    stopping: Stopping,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

fn watched() -> MutexGuard<'static, Option<Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that handles signals, which starts when it is first needed. Signals are added by its handle.
fn thread() -> io::Result<&'static Handle> {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle);
    }
    let (started, handle) = sync_channel(1);
    threads::start("wrun-signals", move || match Signals::new([0; 0]) {
        Err(error) => drop(started.send(Err(error))),
        Ok(mut signals) => {
            // The receiver waits.
            let _ = started.send(Ok(signals.handle()));
            signals.forever().for_each(handle_signal);
        }
    })?;
    let handle = handle.recv().map_err(io::Error::other)??;
    Ok(HANDLE.get_or_init(|| handle))
}

fn handle_signal(signal: i32) {
    match signal {
        // If it cannot stop, it goes on.
        SIGTSTP => drop(wrun::signals::suspend()),
        SIGCONT => wrun::signals::resume(),
        _ => {
            if let Some(watched) = watched().as_mut() {
                watched.interrupt(signal);
            }
        }
    }
}

/// Whether the signal was ignored when the command started, if no handler has been installed since (proc(5), `status`).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    ignored >> (signal - 1) & 1 == 1
}

/// Lets SIGTSTP and SIGCONT stop and continue this process together with its workers, also if they are sent to this process alone. If
/// the system refuses the thread for it, they have their default effect.
pub fn follow_job_control() {
    if !is_ignored(SIGTSTP)
        && let Ok(handle) = thread()
    {
        let _ = handle.add_signal(SIGTSTP).and_then(|()| handle.add_signal(SIGCONT));
    }
}

impl Interrupted {
    /// Stops a run on SIGINT and SIGTERM from now on, unless they are ignored. Nothing can stop `inline` tasks, so this process exits
    /// instead.
    ///
    /// # Errors
    ///
    /// If the system refuses the signal handlers.
    pub fn watch(stop: StopHandle, screen: Screen, inline: bool) -> io::Result<Interrupted> {
        outlet::prepare()?;
        let handle = thread()?;
        let interrupted = Interrupted::default();
        let (seen, stopping) = (interrupted.clone(), Stopping::No);
        *watched() = Some(Watched { interrupted: seen, stop, screen, is_inline: inline, stopping });
        for signal in [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal)) {
            handle.add_signal(signal)?;
        }
        Ok(interrupted)
    }

    /// Makes writing more than `RLIMIT_FSIZE` allows (setrlimit(2)) an error with a message instead of a signal that kills this
    /// process.
    ///
    /// # Errors
    ///
    /// If the system refuses the signal handler.
    pub fn not_by_large_files() -> io::Result<()> {
        signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
    }

    /// Whether a signal has arrived. If so, its message has been written, and further ones may follow it.
    pub fn get(&self) -> bool {
        let has_arrived = self.0.load(Ordering::Acquire);
        if has_arrived {
            // Whoever handles the signal holds the lock until then.
            drop(watched());
        }
        has_arrived
    }
}

impl Watched {
    fn interrupt(&mut self, signal: i32) {
        // Pairs with the load in `get`; the run's own end orders everything else.
        self.interrupted.0.store(true, Ordering::Release);
        // Whoever has stopped reading does not hold up the end.
        outlet::be_impatient();
        self.stopping = match (self.stopping, signal) {
            (Stopping::No, SIGINT) => {
                self.stop.stop_soon();
                self.tell("interrupted: finishing the running tasks; interrupt again to stop them");
                Stopping::Soon
            }
            (Stopping::No | Stopping::Soon, _) if !self.is_inline => {
                self.stop.stop_now();
                self.tell("stopping the running tasks");
                Stopping::Now(Instant::now())
            }
            (Stopping::Now(since), SIGTERM) if since.elapsed() < SAME_REQUEST => self.stopping,
            // Whatever holds up the end of the run: workers die with this process.
            _ => std::process::exit(exit_codes::INTERRUPTED.into()),
        };
    }

    /// Writes a message, and does not wait for long if nobody reads it.
    fn tell(&self, message: &'static str) {
        let (told, wait) = channel();
        let screen = self.screen.clone();
        let tell = move || {
            screen.notice(message);
            let _ = told.send(());
        };
        // Without a thread there is no message.
        if threads::start("wrun-message", tell).is_ok() {
            let _ = wait.recv_timeout(LONGEST_MESSAGE);
        }
    }
}
