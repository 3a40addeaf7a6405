//! The keeper: a thread that starts worker processes and kills those whose task runs longer than allowed.
//!
//! Before it kills a worker, it asks for the task's stack trace, and polls for the answer while it goes on enforcing other
//! deadlines. By then the task's fate is decided: the worker can delay its end by [`GRACE_NS`] and change nothing else.
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

use crate::backend::Waker;
use crate::ipc::WORKER_ROLE;
use crate::ipc::ring::TaskClock;
use crate::ipc::stack_trace::StackTraceReader;
use crate::sys::process::{Killer, Process, monotonic_ns};
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

/// Tells the pool which task's time limit a worker was killed for.
#[derive(Clone, Debug, Default)]
pub(super) struct KilledFor(Arc<KilledForWords>);

#[derive(Debug, Default)]
struct KilledForWords {
    /// The task's ticket plus 1; 0 if the worker was not killed.
    ticket: AtomicU64,
    limit_ns: AtomicU64,
}

impl KilledFor {
    /// The ticket of the task whose time limit the worker was killed for.
    pub fn ticket(&self) -> Option<u64> {
        // Pairs with the release store in `Guarded::keep_deadline`, which comes before the process's end in any case.
        self.0.ticket.load(Ordering::Acquire).checked_sub(1)
    }

    /// That task's time limit.
    pub fn limit(&self) -> Duration {
        // Ordered by the load of the ticket.
        Duration::from_nanos(self.0.limit_ns.load(Ordering::Relaxed))
    }
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

enum Request {
    Start {
        id: u64,
        socket: Socket,
        clock: TaskClock,
        stack_trace: StackTraceReader,
        killed_for: KilledFor,
    },
    Forget {
        id: u64,
    },
    Timeout(Option<Duration>),
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

    /// Starts a process for the worker `id`, which gets `socket`. The keeper enforces its deadlines by `clock`, and asks for a
    /// `stack_trace` before it kills the worker.
    pub fn start_process(&self, id: u64, socket: Socket, clock: TaskClock, stack_trace: StackTraceReader) -> KilledFor {
        let killed_for = KilledFor::default();
        self.request(Request::Start { id, socket, clock, stack_trace, killed_for: killed_for.clone() });
        killed_for
    }

    /// Sets how long tasks may run from now on.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.request(Request::Timeout(timeout));
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

/// A worker whose deadlines the keeper enforces.
struct Guarded {
    killer: Killer,
    clock: TaskClock,
    stack_trace: StackTraceReader,
    killed_for: KilledFor,
    /// The ticket of the task that it was last seen to run, and when that was first seen: the worker may lie about the start.
    seen: Option<(u64, u64)>,
    deadline: Deadline,
}

/// How close a worker is to being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    /// Its task has time left.
    Far,
    /// The task with this ticket has exceeded its time limit; its worker is killed no later than at this time.
    Near {
        ticket: u64,
        at: u64,
    },
    Killed,
}

impl Guarded {
    /// Kills the worker if it is time to. Returns the time at which to check again.
    fn check(&mut self, timeout_ns: Option<u64>, now: u64) -> u64 {
        if self.deadline == Deadline::Far
            && let Some(timeout_ns) = timeout_ns
        {
            let look_at = self.keep_deadline(timeout_ns, now);
            if self.deadline == Deadline::Far {
                return look_at;
            }
        }
        match self.deadline {
            Deadline::Far | Deadline::Killed => u64::MAX,
            Deadline::Near { ticket, at } => {
                // A task that has ended in the meantime has no stack trace.
                let runs = self.clock.current().is_some_and(|(current, _)| current == ticket);
                if runs && now < at && !self.stack_trace.is_answered(ticket) {
                    return now + LOOK_NS;
                }
                // Nobody is there to hear of an error. The pool's own attempt to end the worker reports it.
                let _ = self.killer.kill();
                self.deadline = Deadline::Killed;
                u64::MAX
            }
        }
    }

    /// Decides to kill the worker if its task has exceeded its time limit. Returns the time at which the limit expires.
    fn keep_deadline(&mut self, timeout_ns: u64, now: u64) -> u64 {
        let Some((ticket, start)) = self.clock.current() else { return now.saturating_add(timeout_ns) };
        let first_seen = match self.seen {
            Some((seen, at)) if seen == ticket => at,
            _ => self.seen.insert((ticket, now)).1,
        };
        // It cannot have started the task after it was first seen running it.
        let deadline = start.min(first_seen).saturating_add(timeout_ns);
        if deadline <= now {
            self.killed_for.0.limit_ns.store(timeout_ns, Ordering::Relaxed);
            self.killed_for.0.ticket.store(ticket + 1, Ordering::Release);
            self.stack_trace.ask(ticket);
            self.deadline = Deadline::Near { ticket, at: now + GRACE_NS };
        }
        deadline
    }
}

fn keep(exe: &std::path::Path, requests: &Receiver<Request>, started: &Sender<Started>, waker: &Waker, idle: &Idle) {
    let mut guarded: HashMap<u64, Guarded> = HashMap::new();
    let mut timeout_ns = None;
    let mut look_at = u64::MAX;
    let mut expire_after_ns = u64::MAX;
    loop {
        let request = if timeout_ns.is_none() && look_at == u64::MAX {
            requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            requests.recv_timeout(Duration::from_nanos(look_at.saturating_sub(monotonic_ns()).min(MAX_NAP_NS)))
        };
        match request {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Request::Timeout(timeout)) => {
                timeout_ns = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
            }
            Ok(Request::Rest(time)) => expire_after_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            Ok(Request::Forget { id }) => {
                guarded.remove(&id);
            }
            Ok(Request::Start { id, socket, clock, stack_trace, killed_for }) => {
                let process =
                    Process::start(exe, &[HIDDEN_ARGUMENT, WORKER_ROLE, &std::process::id().to_string()], socket);
                if let Ok(process) = &process {
                    let (killer, seen, deadline) = (process.killer(), None, Deadline::Far);
                    guarded.insert(id, Guarded { killer, clock, stack_trace, killed_for, seen, deadline });
                }
                // The pool waits for its processes before it drops the keeper.
                let _ = started.send(Started { id, process });
                waker.wake();
            }
        }
        let now = monotonic_ns();
        look_at = guarded.values_mut().map(|worker| worker.check(timeout_ns, now)).min().unwrap_or(u64::MAX);
        let expire = || guarded.values().for_each(|worker| drop(worker.killer.kill()));
        look_at = look_at.min(idle.expire(expire_after_ns, now, expire));
    }
}

/// The longest time between two checks of the clocks.
const MAX_NAP_NS: u64 = 1_000_000_000;

/// How long a worker may take to report its task's stack trace.
const GRACE_NS: u64 = 1_000_000_000;

/// The time between two checks for that report.
const LOOK_NS: u64 = 1_000_000;
