//! The keeper: a thread that starts worker processes and kills those whose task runs longer than allowed.
//!
//! Before it kills a worker, it asks for the task's stack trace, and polls for the answer while it goes on enforcing other
//! deadlines. By then the task's fate is decided: the worker can delay its end by a second and change nothing else.
//!
//! Deadlines are kept on each worker's own clock (`guarded.rs`), because a job may be paused at any time: by Ctrl-Z, a batch system, a
//! frozen container. The keeper counts that clock in short ticks. A tick that comes much too late shows that this process was paused.
//!
//! This takes a thread of its own for two reasons. Workers die with the *thread* that started them (prctl(2),
//! `PR_SET_PDEATHSIG`), so that thread must live as long as the pool. And deadlines must be enforced while the pool's caller does
//! something else.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::guarded::{Guarded, Tick, Watched};
use crate::backend::Waker;
use crate::ipc::WORKER_ROLE;
use crate::sys::process::{Process, monotonic_ns};
use crate::sys::running_time::RunningTime;
use crate::sys::self_exe::HIDDEN_ARGUMENT;
use crate::sys::socket::{Socket, SocketWait};

/// The pool's handle to the keeper's thread.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: Option<Sender<Request>>,
    started: Receiver<Started>,
    thread: Option<JoinHandle<()>>,
    idle: Idle,
}

/// Since when a pool's workers have been idle: shared by the keeper, which ends them after a while, and the pool's next run.
#[derive(Clone, Debug, Default)]
struct Idle(Arc<AtomicU64>);

/// The pool has a run.
const IN_USE: u64 = 0;
/// The keeper has ended the workers.
const EXPIRED: u64 = u64::MAX;

impl Idle {
    /// Notes that a run begins; returns whether the keeper has ended the workers.
    fn end(&self) -> bool {
        // From here on the keeper sees a pool that is in use. Pairs with the `compare_exchange` in `expire`.
        self.0.swap(IN_USE, Ordering::AcqRel) == EXPIRED
    }

    /// Ends the workers with `end` if they have been idle for `after_ns` and no run begins. Returns the time at which to check again.
    fn expire(&self, after_ns: u64, now: u64, end: impl FnOnce()) -> u64 {
        let since = self.0.load(Ordering::Relaxed);
        if since == IN_USE || since == EXPIRED {
            return u64::MAX;
        }
        let at = since.saturating_add(after_ns);
        if at > now {
            return at;
        }
        if self.0.compare_exchange(since, EXPIRED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            end();
        }
        u64::MAX
    }
}

/// The outcome of a request to start a worker's process.
#[derive(Debug)]
pub(super) struct Started {
    pub id: u64,
    pub process: io::Result<Process>,
}

/// How long the tasks of the current run may take.
#[derive(Clone, Copy, Default)]
struct Times {
    timeout_ns: Option<u64>,
    /// Whether the time of tasks has to be counted.
    matter: bool,
}

enum Request {
    Start {
        id: u64,
        socket: Socket,
        watched: Watched,
    },
    Forget {
        id: u64,
    },
    Times(Times),
    /// The pool no longer has a run; its workers are killed after this time.
    Rest(Duration),
}

impl Keeper {
    /// Starts the thread; workers will run `exe`. It wakes the pool whenever a worker has been started.
    pub fn start(exe: PathBuf, waker: Waker) -> io::Result<Keeper> {
        let (requests, incoming) = unbounded();
        let (reports, started) = unbounded();
        let idle = Idle::default();
        let of_thread = idle.clone();
        let keep = move || keep(&exe, &incoming, &reports, &waker, &of_thread);
        let thread = std::thread::Builder::new().name("wrun-keeper".into()).spawn(keep);
        let thread = thread.map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread: {error}")))?;
        Ok(Keeper { requests: Some(requests), started, thread: Some(thread), idle })
    }

    /// Notes that a run begins; returns whether all workers have been killed since the last one for being idle.
    pub fn begin_run(&self) -> bool {
        self.idle.end()
    }

    /// Notes that a run has ended: all workers are killed after this time unless another run begins.
    pub fn end_run(&self, expire_after: Duration) {
        self.idle.0.store(monotonic_ns().max(1), Ordering::Release);
        self.request(Request::Rest(expire_after));
    }

    /// Starts a process for the worker `id`, which gets `socket`. The keeper counts its time, enforces its deadlines, and asks for a
    /// stack trace before it kills the worker.
    pub fn start_process(&self, id: u64, socket: Socket, watched: Watched) {
        self.request(Request::Start { id, socket, watched });
    }

    /// Sets how long tasks may run from now on. `matter`: something depends on their time, so that it has to be counted.
    pub fn set_times(&self, timeout: Option<Duration>, matter: bool) {
        self.request(Request::Times(Times { timeout_ns: timeout.map(nanoseconds), matter }));
    }

    /// Forgets a worker that has ended.
    pub fn forget(&self, id: u64) {
        self.request(Request::Forget { id });
    }

    /// The next process that was started, or why it could not be started.
    pub fn next_started(&self, wait: SocketWait) -> Option<Started> {
        match wait {
            SocketWait::Block => self.started.recv().ok(),
            SocketWait::Never => self.started.try_recv().ok(),
        }
    }

    fn request(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // The thread lives until the sender is dropped.
            let _ = requests.send(request);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(exe: &std::path::Path, requests: &Receiver<Request>, started: &Sender<Started>, waker: &Waker, idle: &Idle) {
    let mut guarded: HashMap<u64, Guarded> = HashMap::new();
    let mut time = RunningTime::start();
    let mut times = Times::default();
    // The time until a worker has to be looked at, and the time at which idle workers may have to be ended.
    let (mut look_in_ns, mut expire_at) = (u64::MAX, u64::MAX);
    let mut expire_after_ns = u64::MAX;
    loop {
        let request = if times.matter || look_in_ns != u64::MAX {
            requests.recv_timeout(time.until_tick(look_in_ns))
        } else if expire_at != u64::MAX {
            // Idle workers may be ended after a pause: that harms nobody.
            requests.recv_timeout(Duration::from_nanos(expire_at.saturating_sub(monotonic_ns()).min(MAX_NAP_NS)))
        } else {
            requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let now = monotonic_ns();
        // Before the request is handled: a new worker has had no time yet.
        let tick = Tick { now_ns: now, counted_ns: time.tick(now), timeout_ns: times.timeout_ns };
        look_in_ns = guarded.values_mut().map(|worker| worker.look(tick)).min().unwrap_or(u64::MAX);
        match request {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Request::Times(new)) => (times, look_in_ns) = (new, 0),
            Ok(Request::Rest(time)) => expire_after_ns = nanoseconds(time),
            Ok(Request::Forget { id }) => {
                guarded.remove(&id);
            }
            Ok(Request::Start { id, socket, watched }) => {
                let process =
                    Process::start(exe, &[HIDDEN_ARGUMENT, WORKER_ROLE, &std::process::id().to_string()], socket);
                if let Ok(process) = &process {
                    guarded.insert(id, Guarded::new(process.killer(), watched));
                    look_in_ns = 0;
                }
                // The pool waits for its processes before it drops the keeper.
                let _ = started.send(Started { id, process });
                waker.wake();
            }
        }
        expire_at = idle.expire(expire_after_ns, now, || guarded.values().for_each(Guarded::kill));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The longest wait for idle workers to expire: another run may begin and end in the meantime.
const MAX_NAP_NS: u64 = 1_000_000_000;
