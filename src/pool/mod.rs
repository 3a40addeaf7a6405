//! Worker processes and the runs that feed them.
//!
//! ```text
//! Run (run.rs, reduce.rs)   pulls tasks from the source, puts outcomes in order
//!   Dispatcher (dispatcher.rs)   gives tasks to workers, takes them back, reads completions, replaces the dead
//!     Worker (worker.rs)   one process: its ring, its socket, the tasks that it holds
//!     Keeper (keeper.rs)   a thread that starts processes and enforces deadlines
//! ```
//!
//! The thread that asks a run for its next outcome drives all of it; nothing happens behind its back but the keeper's
//! work, so there are no locks, and a slow consumer slows the source down.

mod arguments;
mod completion;
mod dispatcher;
mod files;
mod held;
mod keeper;
#[cfg(test)]
pub(crate) mod liar;
#[cfg(test)]
mod liar_tests;
mod lost;
mod policy;
mod prepare;
mod reduce;
mod run;
mod stop;
mod watch;
mod worker;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::event::{Outcome, Status, TaskError};
use crate::sandbox::Layer;
use crate::sys::poll::PollSet;
use crate::sys::process::Process;
use crate::sys::self_exe::self_exe;
use crate::sys::socket::Wait;
use crate::{Error, Job, Result, Sandbox, Source, Task, Waker};

use dispatcher::Dispatcher;
use keeper::Keeper;
use prepare::{Prepared, Stdio};
pub use run::Run;
pub use stop::StopHandle;
use worker::{Start, Worker};

/// Worker processes that live across runs.
///
/// ```no_run
/// use wrun::{Job, Module, Pool};
///
/// wrun::init();
/// let module = Module::from_file("sqrt.wat")?;
/// let mut pool = Pool::builder().build()?;
/// for outcome in pool.map(&Job::new(&module), 0..10)? {
///     println!("{}", String::from_utf8_lossy(&outcome.result?));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    /// By number; `None` where none was started yet or the last one died.
    workers: Vec<Option<Worker>>,
    keeper: Keeper,
    poll: PollSet,
    waker: Waker,
    sandbox: Sandbox,
    start_timeout: Duration,
    /// Layers of confinement of which the caller has been told that they are missing.
    told_missing: Vec<Layer>,
    /// The last job's number.
    job: u64,
    /// The next task's ticket.
    ticket: u64,
}

/// The waker's number in the poll set; workers have their own.
const WAKER: u64 = u64::MAX;

/// Beside a worker's number: its process, where the number alone is its socket.
const PROCESS: u64 = 1 << 32;

/// Settings of a [`Pool`].
#[derive(Clone, Debug, Default)]
pub struct PoolBuilder {
    workers: Option<NonZeroUsize>,
    worker_exe: Option<PathBuf>,
    sandbox: Sandbox,
    start_timeout: Option<Duration>,
}

impl PoolBuilder {
    /// The most workers that a pool may have.
    pub const MAX_WORKERS: usize = 4096;

    /// How long a worker may take to start, unless set; it takes milliseconds where the machine is not overloaded.
    pub const START_TIMEOUT: Duration = Duration::from_secs(30);

    /// Sets the number of worker processes; unless set, the CPUs that this process may use (by its affinity and its
    /// control group's quota).
    #[must_use]
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Names a `wrun` executable that workers run, for programs that do not call [`crate::init`].
    #[must_use]
    pub fn worker_exe(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker_exe = Some(path.into());
        self
    }

    /// Sets how much confinement of workers by the system is insisted on.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Sets how long a worker process may take from its start until it is ready for its first job
    /// ([`PoolBuilder::START_TIMEOUT`] unless set). One that takes longer is killed, and replaced like one that died.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Makes the pool. Workers start when there is work for them.
    ///
    /// # Errors
    ///
    /// Where there is no executable for workers, or the system refuses what a pool needs.
    pub fn build(self) -> Result<Pool> {
        let exe = self.worker_exe.or_else(self_exe).ok_or_else(|| {
            Error::request(
                "no executable for workers: call wrun::init() first in main, or set PoolBuilder::worker_exe to a wrun executable",
            )
        })?;
        let refused = |error| Error::system("cannot make a pool", error);
        let workers = match self.workers {
            Some(workers) => workers,
            None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        if workers.get() > Self::MAX_WORKERS {
            return Err(Error::request(format!("{workers} workers are too many: {} are possible", Self::MAX_WORKERS)));
        }
        let waker = Waker::new().map_err(refused)?;
        let poll = PollSet::new().map_err(refused)?;
        poll.add(&waker, WAKER).map_err(refused)?;
        Ok(Pool {
            workers: (0..workers.get()).map(|_| None).collect(),
            keeper: Keeper::start(exe, waker.clone()).map_err(refused)?,
            poll,
            waker,
            sandbox: self.sandbox,
            start_timeout: self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT),
            told_missing: Vec::new(),
            job: 0,
            ticket: 0,
        })
    }
}

impl Pool {
    /// Settings of a new pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The process ids of the workers that have been started and not been lost, for watching them: to look at their memory, say.
    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.note_all_started();
        self.workers.iter().flatten().filter_map(Worker::process).map(Process::pid).collect()
    }

    /// Checks the job and starts a run of it over `tasks`: any iterator of things that are [`Into<Task>`], or another
    /// [`Source`]. The run is lazy: it takes tasks as it has workers for them, when it is asked for outcomes.
    ///
    /// # Errors
    ///
    /// Where the job cannot run: its module has no such function or needs what is not given.
    pub fn map<S: Source>(&mut self, job: &Job, tasks: S) -> Result<Run<'_, S>> {
        let prepared = Prepared::new(job, Stdio::Captured)?;
        Ok(Run::new(Dispatcher::new(self, prepared), tasks))
    }

    /// Runs a single task.
    ///
    /// # Errors
    ///
    /// As for [`Pool::map`], and where no worker can be started.
    pub fn run(&mut self, job: &Job, task: impl Into<Task>) -> Result<Outcome> {
        let mut run = self.map(job, std::iter::once(task.into()))?;
        let outcome = run.next();
        run.finish()?;
        outcome.ok_or_else(|| Error::request("the run was stopped before its task ran"))
    }

    /// Runs a WASI command as a program, with `argv` behind its name, and with this process's standard input, output and
    /// error. Gives its exit code, or why it failed.
    ///
    /// # Errors
    ///
    /// As for [`Pool::run`], and where the module is no WASI command.
    pub fn run_attached(&mut self, job: &Job, argv: &[String]) -> Result<Result<u8, TaskError>> {
        let job = Job { argv: Some(argv.to_vec()), ..job.clone() };
        let prepared = Prepared::new(&job, Stdio::Attached)?;
        let mut run = Run::new(Dispatcher::new(self, prepared), std::iter::once(Task::default()));
        let outcome = run.next();
        run.finish()?;
        let result = outcome.map(|outcome| outcome.result);
        Ok(match result {
            Some(Ok(output)) => Ok(output.first().copied().unwrap_or(0)),
            Some(Err(error)) => Err(error),
            None => Err(TaskError {
                status: Status::Cancelled,
                message: "the run was stopped before it".into(),
                backtrace: None,
                core_dump: None,
            }),
        })
    }
}

impl Pool {
    fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Kills a worker's process, where it does not end by itself as `end` says, waits for its end and says how it ended.
    fn end_process(&mut self, worker: &mut Worker, end: End) -> String {
        while let Start::Ordered = worker.process {
            match self.keeper.next_started(Wait::Block) {
                Some((id, started)) if id == worker.id => worker.process = started,
                Some((id, started)) => self.note_started(id, started),
                None => return "could not be started".into(),
            }
        }
        match std::mem::replace(&mut worker.process, Start::Ordered) {
            Start::Ordered => String::new(),
            Start::Failed(reason) => format!("could not be started: {reason}"),
            Start::Running(process) => {
                if end == End::ByItself {
                    process.wait_a_moment();
                }
                process.kill();
                process.wait()
            }
        }
    }

    /// Takes the worker with that number out, ends its process, and says how it ended.
    fn take_worker(&mut self, index: usize, end: End) -> Option<(Worker, String)> {
        let mut worker = self.workers[index].take()?;
        // Closing takes it out of the poll set as well; an error means that it is out.
        let _ = self.poll.remove(&worker);
        // The keeper has its process's descriptor too, so that one would stay.
        let _ = worker.process().map(|process| self.poll.remove(process));
        self.keeper.forget(worker.id);
        let end = self.end_process(&mut worker, end);
        Some((worker, end))
    }

    /// Takes note of the processes that the keeper has started meanwhile.
    fn note_all_started(&mut self) {
        while let Some((id, started)) = self.keeper.next_started(Wait::Never) {
            self.note_started(id, started);
        }
    }

    fn note_started(&mut self, id: u64, started: Start) {
        let of_id = |worker: &Option<Worker>| worker.as_ref().is_some_and(|worker| worker.id == id);
        let Some(index) = self.workers.iter().position(of_id) else { return };
        let Some(worker) = &mut self.workers[index] else { return };
        if let Start::Running(process) = &started {
            // Its socket tells of its end as well, unless it passed that on. So it is no harm where this is refused.
            let _ = self.poll.add(process, index as u64 | PROCESS);
            worker.ready_until = Instant::now().checked_add(self.start_timeout);
        }
        worker.process = started;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.workers.iter().flatten().filter_map(Worker::process).for_each(Process::kill);
        for index in 0..self.workers.len() {
            self.take_worker(index, End::Killed);
        }
    }
}

/// How a worker's process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At once.
    Killed,
    /// It has closed its socket, so it has ended or is about to.
    ByItself,
}
