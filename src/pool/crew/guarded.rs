//! A worker process whose deadlines the keeper enforces, on a clock that stands still while the worker cannot run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ipc::ring::TaskClock;
use crate::ipc::stack_trace::StackTraceReader;
use crate::sys::process::Killer;

/// How long a worker may take to report its task's stack trace.
const GRACE_NS: u64 = 1_000_000_000;

/// The time between two checks for that report.
const LOOK_NS: u64 = 1_000_000;

/// A worker alone may be stopped for as long as its task's time limit, or this long if there is none, before that counts. More would
/// let a stopped worker hold up its run for ever.
const LONGEST_STOP_NS: u64 = 10_000_000_000;

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
        // Pairs with the release store in `set`, which comes before the process's end in any case.
        self.0.ticket.load(Ordering::Acquire).checked_sub(1)
    }

    /// That task's time limit.
    pub fn limit(&self) -> Duration {
        // Ordered by the load of the ticket.
        Duration::from_nanos(self.0.limit_ns.load(Ordering::Relaxed))
    }

    fn set(&self, ticket: u64, limit_ns: u64) {
        self.0.limit_ns.store(limit_ns, Ordering::Relaxed);
        self.0.ticket.store(ticket + 1, Ordering::Release);
    }
}

/// The time that a worker has had, in nanoseconds: pauses of the pool do not count, nor do those of the worker alone, up to a limit.
/// The keeper counts it, as long as something depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkerTime(Arc<AtomicU64>);

impl WorkerTime {
    /// The time until the keeper last looked.
    pub fn now_ns(&self) -> u64 {
        // Relaxed: no other data depends on it.
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, ns: u64) {
        // Only the keeper's thread adds.
        self.0.fetch_add(ns, Ordering::Relaxed);
    }
}

/// What a worker's deadlines depend on.
pub(super) struct Watched {
    pub clock: TaskClock,
    pub stack_trace: StackTraceReader,
    pub killed_for: KilledFor,
    pub time: WorkerTime,
}

/// A worker whose deadlines the keeper enforces.
pub(super) struct Guarded {
    killer: Killer,
    watched: Watched,
    /// Whether it has set itself up, by its own account.
    is_ready: bool,
    /// The task that it was last seen to run.
    task: Option<SeenTask>,
    stop: LoneStop,
    deadline: Deadline,
}

/// The task that a worker was last seen to run.
#[derive(Clone, Copy)]
struct SeenTask {
    ticket: u64,
    /// When it began, in the worker's time.
    began_ns: u64,
}

/// How long the worker was stopped while its pool was not, since its last task began.
#[derive(Default)]
struct LoneStop {
    /// Whether it was stopped at the last tick.
    is_stopped: bool,
    excused_ns: u64,
}

/// How close a worker is to being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    /// Its task has time left.
    Far,
    /// The task with this ticket has exceeded its time limit; its worker is killed in this time of the pool.
    Near {
        ticket: u64,
        left_ns: u64,
    },
    Killed,
}

/// A moment at which the keeper looks at its workers.
#[derive(Clone, Copy)]
pub(super) struct Tick {
    /// On the monotonic clock.
    pub now_ns: u64,
    /// How much of the time since the last tick counts.
    pub counted_ns: u64,
    /// How long tasks may run.
    pub timeout_ns: Option<u64>,
}

impl Guarded {
    pub fn new(killer: Killer, watched: Watched) -> Guarded {
        let (stop, deadline) = (LoneStop::default(), Deadline::Far);
        Guarded { killer, watched, is_ready: false, task: None, stop, deadline }
    }

    pub fn kill(&self) {
        // Nobody is there to hear of an error. The pool's own attempt to end the worker reports it.
        let _ = self.killer.kill();
    }

    /// Counts the worker's time up to `tick`, and kills the worker if it is time to. Returns the time in which to look again, in
    /// nanoseconds; `u64::MAX` if nothing depends on it.
    pub fn look(&mut self, tick: Tick) -> u64 {
        let counted_ns = self.count(tick);
        if self.deadline == Deadline::Far {
            let left_ns = self.keep_deadline(tick, counted_ns);
            if self.deadline == Deadline::Far {
                return left_ns;
            }
        }
        match &mut self.deadline {
            Deadline::Far | Deadline::Killed => u64::MAX,
            Deadline::Near { ticket, left_ns } => {
                *left_ns = left_ns.saturating_sub(tick.counted_ns);
                // A task that has ended in the meantime has no stack trace.
                let runs = self.watched.clock.current().is_some_and(|(current, _)| current == *ticket);
                if runs && *left_ns > 0 && !self.watched.stack_trace.is_answered(*ticket) {
                    return LOOK_NS;
                }
                self.kill();
                self.deadline = Deadline::Killed;
                u64::MAX
            }
        }
    }

    /// Adds to the worker's time what counts for it since the last tick, and returns that.
    fn count(&mut self, tick: Tick) -> u64 {
        let mut counted_ns = tick.counted_ns;
        if counted_ns == 0 {
            return 0;
        }
        let is_stopped = self.killer.is_stopped();
        let was_stopped = std::mem::replace(&mut self.stop.is_stopped, is_stopped);
        if (is_stopped || was_stopped) && self.stop.excused_ns < tick.timeout_ns.unwrap_or(LONGEST_STOP_NS) {
            self.stop.excused_ns += std::mem::take(&mut counted_ns);
        }
        self.watched.time.add(counted_ns);
        counted_ns
    }

    /// Decides to kill the worker if its task has exceeded its time limit. Returns the time until that may be the case.
    fn keep_deadline(&mut self, tick: Tick, counted_ns: u64) -> u64 {
        self.is_ready = self.is_ready || self.watched.clock.worker_is_ready();
        let Some((ticket, start_ns)) = self.watched.clock.current() else {
            return if self.is_ready { tick.timeout_ns.unwrap_or(u64::MAX) } else { LOOK_FOR_READY_NS };
        };
        let time_ns = self.watched.time.now_ns();
        let began_ns = match self.task {
            Some(task) if task.ticket == ticket => task.began_ns,
            _ => {
                // It began since the last tick, whatever the worker says about its start.
                let began_ns = time_ns - tick.now_ns.saturating_sub(start_ns).min(counted_ns);
                self.task = Some(SeenTask { ticket, began_ns });
                self.stop.excused_ns = 0;
                began_ns
            }
        };
        let Some(timeout_ns) = tick.timeout_ns else { return u64::MAX };
        let left_ns = timeout_ns.saturating_sub(time_ns - began_ns);
        if left_ns == 0 {
            self.watched.killed_for.set(ticket, timeout_ns);
            self.watched.stack_trace.ask(ticket);
            self.deadline = Deadline::Near { ticket, left_ns: GRACE_NS };
        }
        left_ns
    }
}

/// How often to look at a worker that is not ready: often enough to count its time.
const LOOK_FOR_READY_NS: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::ipc::ring::{PoolRing, WorkerRing};
    use crate::sys::process::{Process, monotonic_ns};
    use crate::sys::socket::Socket;

    const SECOND_NS: u64 = 1_000_000_000;

    /// A process that does nothing, guarded as a worker that runs the task 7, and what its pool sees of it.
    struct Sleeping {
        process: Process,
        guarded: Guarded,
        killed_for: KilledFor,
        time: WorkerTime,
    }

    impl Sleeping {
        fn start() -> Sleeping {
            let (memory, ring) = PoolRing::new().expect("memory");
            WorkerRing::map(&memory).expect("memory").begin(7, monotonic_ns());
            let (_, theirs) = Socket::pair().expect("a pair");
            let process = Process::start(Path::new("/bin/sleep"), &["1000"], theirs).expect("a process");
            let (killed_for, time) = (KilledFor::default(), WorkerTime::default());
            let (clock, stack_trace) = (ring.clock(), ring.stack_trace());
            let watched = Watched { clock, stack_trace, killed_for: killed_for.clone(), time: time.clone() };
            let guarded = Guarded::new(process.killer(), watched);
            Sleeping { process, guarded, killed_for, time }
        }

        /// Lets this many seconds count, with a limit of 3 s. Returns whether the task's time is over.
        fn pass(&mut self, seconds: u64) -> bool {
            let (now_ns, counted_ns) = (monotonic_ns(), seconds * SECOND_NS);
            self.guarded.look(Tick { now_ns, counted_ns, timeout_ns: Some(3 * SECOND_NS) });
            self.killed_for.ticket() == Some(7)
        }

        fn send(&self, signal: &str, stopped: bool) {
            let sent = Command::new("kill").args([signal, &self.process.pid().to_string()]).status().expect("kill");
            assert!(sent.success(), "it runs");
            while self.process.killer().is_stopped() != stopped {
                std::thread::yield_now();
            }
        }

        fn end(self) {
            self.process.kill().expect("it runs");
            self.process.wait();
        }
    }

    #[test]
    fn a_task_has_the_time_that_counts_and_no_more() {
        let mut sleeping = Sleeping::start();
        assert!(!sleeping.pass(0) && !sleeping.pass(2));
        assert_eq!(sleeping.time.now_ns(), 2 * SECOND_NS);
        // However much time has gone by.
        assert!(!sleeping.pass(0) && sleeping.pass(2));
        assert_eq!(sleeping.killed_for.limit(), Duration::from_secs(3));
        sleeping.end();
    }

    #[test]
    fn a_worker_that_alone_is_stopped_gets_its_time_limit_again_and_no_more() {
        let mut sleeping = Sleeping::start();
        assert!(!sleeping.pass(0) && !sleeping.pass(1));
        sleeping.send("-STOP", true);
        assert!(!sleeping.pass(2) && !sleeping.pass(2), "excused");
        assert_eq!(sleeping.time.now_ns(), SECOND_NS);
        assert!(!sleeping.pass(1) && sleeping.pass(1), "not excused any more");
        sleeping.end();
    }

    #[test]
    fn a_worker_that_was_continued_goes_on_with_the_time_that_it_had_left() {
        let mut sleeping = Sleeping::start();
        assert!(!sleeping.pass(0) && !sleeping.pass(1));
        sleeping.send("-STOP", true);
        assert!(!sleeping.pass(2));
        sleeping.send("-CONT", false);
        // It may have been continued at any moment before this.
        assert!(!sleeping.pass(2) && !sleeping.pass(1) && sleeping.pass(1));
        sleeping.end();
    }
}
