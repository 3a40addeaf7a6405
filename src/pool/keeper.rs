//! The keeper: a thread that starts worker processes and kills those whose task runs longer than allowed.
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

use super::worker::Start;
use crate::ipc::WORKER_ROLE;
use crate::ipc::ring::TaskClock;
use crate::sys::process::{Killer, Process, monotonic_ns};
use crate::sys::self_exe::HIDDEN_ARGUMENT;
use crate::sys::socket::{Socket, Wait};

/// The pool's end of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Option<Sender<Order>>,
    started: Receiver<(u64, Start)>,
    thread: Option<JoinHandle<()>>,
}

/// Says which task of a worker was killed for its time: the ticket and 1, or 0.
#[derive(Clone, Debug, Default)]
pub(super) struct KilledFor(Arc<AtomicU64>);

impl KilledFor {
    /// The ticket of the task for whose time the worker was killed.
    pub fn ticket(&self) -> Option<u64> {
        // Pairs with the release store in `Guarded::check`; the process's end is seen after it in any case.
        self.0.load(Ordering::Acquire).checked_sub(1)
    }
}

enum Order {
    Start { id: u64, socket: Socket, clock: TaskClock, killed_for: KilledFor },
    Forget { id: u64 },
    Timeout(Option<Duration>),
}

impl Keeper {
    /// Starts the thread; workers will run `exe`.
    pub fn start(exe: PathBuf) -> io::Result<Keeper> {
        let (orders, incoming) = unbounded();
        let (reports, started) = unbounded();
        let keep = move || keep(&exe, &incoming, &reports);
        let thread = std::thread::Builder::new().name("wrun-keeper".into()).spawn(keep)?;
        Ok(Keeper { orders: Some(orders), started, thread: Some(thread) })
    }

    /// Starts a process for the worker `id`, which gets `socket`; its deadlines are kept by `clock`.
    pub fn start_process(&self, id: u64, socket: Socket, clock: TaskClock) -> KilledFor {
        let killed_for = KilledFor::default();
        self.order(Order::Start { id, socket, clock, killed_for: killed_for.clone() });
        killed_for
    }

    /// Sets how long tasks may run from now on.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.order(Order::Timeout(timeout));
    }

    /// Forgets a worker that has ended.
    pub fn forget(&self, id: u64) {
        self.order(Order::Forget { id });
    }

    /// The next process that was started, or why it could not be.
    pub fn next_started(&self, wait: Wait) -> Option<(u64, Start)> {
        match wait {
            Wait::Block => self.started.recv().ok(),
            Wait::Never => self.started.try_recv().ok(),
        }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread lives until the sender is dropped.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A worker whose deadlines are kept.
struct Guarded {
    killer: Killer,
    clock: TaskClock,
    killed_for: KilledFor,
    /// The task that it was last seen to run, and when it was first seen to: it may lie about the start.
    seen: Option<(u64, u64)>,
}

impl Guarded {
    /// Kills the worker where its task is over its time. Gives the moment at which to look again.
    fn check(&mut self, timeout_ns: u64, now: u64) -> u64 {
        let Some((ticket, start)) = self.clock.current() else { return now.saturating_add(timeout_ns) };
        let first_seen = match self.seen {
            Some((seen, at)) if seen == ticket => at,
            _ => self.seen.insert((ticket, now)).1,
        };
        // It cannot have started its task after it was seen to run it.
        let deadline = start.min(first_seen).saturating_add(timeout_ns);
        if deadline > now {
            return deadline;
        }
        self.killed_for.0.store(ticket + 1, Ordering::Release);
        self.killer.kill();
        u64::MAX
    }
}

fn keep(exe: &std::path::Path, orders: &Receiver<Order>, started: &Sender<(u64, Start)>) {
    let mut guarded: HashMap<u64, Guarded> = HashMap::new();
    let mut timeout_ns = None;
    let mut look_at = u64::MAX;
    loop {
        let order = match timeout_ns {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => {
                orders.recv_timeout(Duration::from_nanos(look_at.saturating_sub(monotonic_ns()).min(MAX_NAP_NS)))
            }
        };
        match order {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Timeout(timeout)) => {
                timeout_ns = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
            }
            Ok(Order::Forget { id }) => {
                guarded.remove(&id);
            }
            Ok(Order::Start { id, socket, clock, killed_for }) => {
                let process =
                    Process::start(exe, &[HIDDEN_ARGUMENT, WORKER_ROLE, &std::process::id().to_string()], socket);
                let start = match process.and_then(|process| Ok((process.killer()?, process))) {
                    Ok((killer, process)) => {
                        guarded.insert(id, Guarded { killer, clock, killed_for, seen: None });
                        Start::Running(process)
                    }
                    Err(error) => Start::Failed(error.to_string()),
                };
                // The pool waits for its processes before it lets the keeper go.
                let _ = started.send((id, start));
            }
        }
        if let Some(timeout_ns) = timeout_ns {
            let now = monotonic_ns();
            look_at = guarded.values_mut().map(|worker| worker.check(timeout_ns, now)).min().unwrap_or(u64::MAX);
        }
    }
}

/// The longest time between two looks at the clocks.
const MAX_NAP_NS: u64 = 1_000_000_000;
