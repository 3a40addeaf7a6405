//! The keeper: a thread that starts worker processes and kills those whose task runs longer than allowed.
//!
//! Before it kills one it asks where the task is, and looks for the answer while it goes on keeping other deadlines. The task's
//! fate is decided by then: the worker can delay its end by [`GRACE_NS`] and change nothing else.
//!
//! Workers die with the *thread* that started them (prctl(2), `PR_SET_PDEATHSIG`), so it must be one that lives as long as
//! the pool; and deadlines have to be kept while the pool's caller does something else.

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
use crate::sys::socket::{Socket, Wait};

/// The pool's end of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    requests: Option<Sender<Request>>,
    started: Receiver<Started>,
    thread: Option<JoinHandle<()>>,
    idle: Idle,
}

/// Says for which task's time a worker was killed.
#[derive(Clone, Debug, Default)]
pub(super) struct KilledFor(Arc<KilledForWords>);

#[derive(Debug, Default)]
struct KilledForWords {
    /// The task's ticket and 1; 0 if it was not killed.
    ticket: AtomicU64,
    limit_ns: AtomicU64,
}

impl KilledFor {
    /// The ticket of the task for whose time the worker was killed.
    pub fn ticket(&self) -> Option<u64> {
        // Pairs with the release store in `Guarded::keep_deadline`; the process's end is seen after it in any case.
        self.0.ticket.load(Ordering::Acquire).checked_sub(1)
    }

    /// The time that the task might have run.
    pub fn limit(&self) -> Duration {
        // Ordered by the load of the ticket.
        Duration::from_nanos(self.0.limit_ns.load(Ordering::Relaxed))
    }
}

/// Says from when on a pool's workers have nothing to do, between its keeper, which ends them after a while, and its next run.
#[derive(Clone, Debug, Default)]
struct Idle(Arc<AtomicU64>);

/// The pool has a run.
const IN_USE: u64 = 0;
/// The keeper has ended the workers.
const EXPIRED: u64 = u64::MAX;

impl Idle {
    /// A run begins; says whether the workers have been ended.
    fn end(&self) -> bool {
        // Whatever the keeper does after it does to a pool that is in use.
        self.0.swap(IN_USE, Ordering::AcqRel) == EXPIRED
    }

    /// Ends the workers with `end`, if their time (nanoseconds from when they had nothing to do) is over and no run begins. Gives
    /// the moment at which to look again.
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

/// What became of a request to start a worker's process.
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
    /// The pool has no run any more; its workers are killed after this time.
    Rest(Duration),
}

impl Keeper {
    /// Starts the thread; workers will run `exe`. It wakes the pool when one was started.
    pub fn start(exe: PathBuf, waker: Waker) -> io::Result<Keeper> {
        let (requests, incoming) = unbounded();
        let (reports, started) = unbounded();
        let idle = Idle::default();
        let of_thread = idle.clone();
        let keep = move || keep(&exe, &incoming, &reports, &waker, &of_thread);
        let thread = std::thread::Builder::new().name("wrun-keeper".into()).spawn(keep)?;
        Ok(Keeper { requests: Some(requests), started, thread: Some(thread), idle })
    }

    /// Notes that a run begins; says whether all workers have been killed since the last one, because they had nothing to do.
    pub fn begin_run(&self) -> bool {
        self.idle.end()
    }

    /// Notes that a run has ended: after this time all workers are killed, unless another run begins.
    pub fn end_run(&self, expire_after: Duration) {
        self.idle.0.store(monotonic_ns().max(1), Ordering::Release);
        self.request(Request::Rest(expire_after));
    }

    /// Starts a process for the worker `id`, which gets `socket`; its deadlines are kept by `clock`, and `place` is asked before it
    /// is killed.
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

    /// The next process that was started, or why it could not be.
    pub fn next_started(&self, wait: Wait) -> Option<Started> {
        match wait {
            Wait::Block => self.started.recv().ok(),
            Wait::Never => self.started.try_recv().ok(),
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

/// A worker whose deadlines are kept.
struct Guarded {
    killer: Killer,
    clock: TaskClock,
    stack_trace: StackTraceReader,
    killed_for: KilledFor,
    /// The task that it was last seen to run, and when it was first seen to: it may lie about the start.
    seen: Option<(u64, u64)>,
    deadline: Deadline,
}

/// How far the end of a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    /// Its task has time left.
    Far,
    /// The time of the task with this ticket is over; it is killed at this moment at the latest.
    Near {
        ticket: u64,
        at: u64,
    },
    Killed,
}

impl Guarded {
    /// Looks after the worker. Gives the moment at which to look again.
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
                // A task that has ended meanwhile is nowhere.
                let runs = self.clock.current().is_some_and(|(current, _)| current == ticket);
                if runs && now < at && !self.stack_trace.is_answered(ticket) {
                    return now + LOOK_NS;
                }
                self.killer.kill();
                self.deadline = Deadline::Killed;
                u64::MAX
            }
        }
    }

    /// Condemns the worker where its task is over its time. Gives the moment at which that will be.
    fn keep_deadline(&mut self, timeout_ns: u64, now: u64) -> u64 {
        let Some((ticket, start)) = self.clock.current() else { return now.saturating_add(timeout_ns) };
        let first_seen = match self.seen {
            Some((seen, at)) if seen == ticket => at,
            _ => self.seen.insert((ticket, now)).1,
        };
        // It cannot have started its task after it was seen to run it.
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
                let process = process.and_then(|process| Ok((process.killer()?, process))).map(|(killer, process)| {
                    let (seen, deadline) = (None, Deadline::Far);
                    guarded.insert(id, Guarded { killer, clock, stack_trace, killed_for, seen, deadline });
                    process
                });
                // The pool waits for its processes before it lets the keeper go.
                let _ = started.send(Started { id, process });
                waker.wake();
            }
        }
        let now = monotonic_ns();
        look_at = guarded.values_mut().map(|worker| worker.check(timeout_ns, now)).min().unwrap_or(u64::MAX);
        let expire = || guarded.values().for_each(|worker| worker.killer.kill());
        look_at = look_at.min(idle.expire(expire_after_ns, now, expire));
    }
}

/// The longest time between two looks at the clocks.
const MAX_NAP_NS: u64 = 1_000_000_000;

/// How long a worker may take to say where its task is.
const GRACE_NS: u64 = 100_000_000;

/// The time between two looks for what it says.
const LOOK_NS: u64 = 1_000_000;
