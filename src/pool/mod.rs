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
mod slices;
mod stop;
mod watch;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::{Outcome, Status, TaskError};
use crate::sandbox::Layer;
use crate::sys::poll::PollSet;
use crate::sys::process::Process;
use crate::sys::self_exe::self_exe;
use crate::sys::socket::Wait;
use crate::{Directory, Error, Job, Result, Sandbox, Source, Task, Waker};

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
    /// A worker that was started before there was work for it, and has not been greeted.
    early: Option<Worker>,
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
        let workers = self.worker_count()?;
        let exe = self.exe()?;
        let refused = |error| Error::system("cannot make a pool", error);
        let waker = Waker::new().map_err(refused)?;
        let poll = PollSet::new().map_err(refused)?;
        poll.add(&waker, WAKER).map_err(refused)?;
        Ok(Pool {
            workers: (0..workers.get()).map(|_| None).collect(),
            early: None,
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

    /// Makes the pool around a worker that has been started already.
    ///
    /// # Errors
    ///
    /// Where there are too many workers, or one is to run another executable.
    pub fn build_with(self, early: EarlyWorker) -> Result<Pool> {
        let exe = self.exe()?;
        if exe != early.exe {
            let early = early.exe.display();
            return Err(Error::request(format!(
                "workers are to run {}, and the early one runs {early}",
                exe.display()
            )));
        }
        let mut pool = early.pool;
        pool.workers = (0..self.worker_count()?.get()).map(|_| None).collect();
        pool.sandbox = self.sandbox;
        pool.start_timeout = self.start_timeout.unwrap_or(pool.start_timeout);
        Ok(pool)
    }

    /// Starts a worker process before it is known what it will run: while a program reads its arguments, opens its files and
    /// loads its module. The first result then comes sooner. Of the settings, the executable counts. Nothing is waited for:
    /// where the process cannot be started, the pool says so when there is work for it.
    ///
    /// ```no_run
    /// use wrun::{Job, Module, Pool};
    ///
    /// wrun::init();
    /// let early = Pool::builder().early_worker()?;
    /// let module = Module::from_file("sqrt.wat")?;
    /// let mut pool = Pool::builder().build_with(early)?;
    /// println!("{:?}", pool.run(&Job::new(&module), 2)?.result);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn early_worker(self) -> Result<EarlyWorker> {
        let exe = self.exe()?;
        let mut pool = self.workers(NonZeroUsize::MIN).build()?;
        let worker = Worker::start(pool.next_ticket(), &pool.keeper);
        pool.early = Some(worker.map_err(|error| Error::system("cannot start a worker", error))?);
        // A new thread may have to wait for this one's processor, and the keeper's work is what matters now.
        std::thread::yield_now();
        Ok(EarlyWorker { pool, exe })
    }

    fn exe(&self) -> Result<PathBuf> {
        self.worker_exe.clone().or_else(self_exe).ok_or_else(|| {
            Error::request(
                "no executable for workers: call wrun::init() first in main, or set PoolBuilder::worker_exe to a wrun executable",
            )
        })
    }

    fn worker_count(&self) -> Result<NonZeroUsize> {
        let workers = match self.workers {
            Some(workers) => workers,
            None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        if workers.get() > Self::MAX_WORKERS {
            return Err(Error::request(format!("{workers} workers are too many: {} are possible", Self::MAX_WORKERS)));
        }
        Ok(workers)
    }
}

/// A worker process that waits for a pool: see [`PoolBuilder::early_worker`]. It ends when this is dropped.
#[derive(Debug)]
pub struct EarlyWorker {
    /// A pool without another worker.
    pool: Pool,
    exe: PathBuf,
}

impl EarlyWorker {
    /// Its process id, as soon as it runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.pool.note_all_started();
        self.pool.early.as_ref().and_then(Worker::process).map(Process::pid)
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

    /// Starts a worker with that number, or takes the one that was started early, which may use the directories.
    fn start_worker(&mut self, index: usize, directories: &[Directory]) -> io::Result<()> {
        let mut worker = match self.early.take() {
            Some(worker) => worker,
            // Tickets and workers' numbers are never used again, so one counter serves both.
            None => Worker::start(self.next_ticket(), &self.keeper)?,
        };
        self.poll.add(&worker, index as u64)?;
        worker.greet(self.sandbox, directories, self.start_timeout);
        watch_process(&self.poll, &worker, index);
        self.workers[index] = Some(worker);
        Ok(())
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
        let worker = self.workers[index].take()?;
        // Closing takes it out of the poll set as well; an error means that it is out.
        let _ = self.poll.remove(&worker);
        // The keeper has its process's descriptor too, so that one would stay.
        let _ = worker.process().map(|process| self.poll.remove(process));
        Some(self.end_worker(worker, end))
    }

    fn end_worker(&mut self, mut worker: Worker, end: End) -> (Worker, String) {
        self.keeper.forget(worker.id);
        let end = self.end_process(&mut worker, end);
        (worker, end)
    }

    /// Takes note of the processes that the keeper has started meanwhile.
    fn note_all_started(&mut self) {
        while let Some((id, started)) = self.keeper.next_started(Wait::Never) {
            self.note_started(id, started);
        }
    }

    fn note_started(&mut self, id: u64, started: Start) {
        if let Some(worker) = self.early.as_mut().filter(|worker| worker.id == id) {
            return worker.note_started(started, self.start_timeout);
        }
        let of_id = |worker: &Option<Worker>| worker.as_ref().is_some_and(|worker| worker.id == id);
        let Some(index) = self.workers.iter().position(of_id) else { return };
        let Some(worker) = &mut self.workers[index] else { return };
        worker.note_started(started, self.start_timeout);
        watch_process(&self.poll, worker, index);
    }
}

/// Lets the poll set tell of the end of the worker's process, where that runs.
fn watch_process(poll: &PollSet, worker: &Worker, index: usize) {
    // Its socket tells of its end as well, unless it passed that on. So it is no harm where this is refused.
    let _ = worker.process().map(|process| poll.add(process, index as u64 | PROCESS));
}

impl Drop for Pool {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.workers.iter().flatten().chain(&self.early).filter_map(Worker::process).for_each(Process::kill);
        if let Some(worker) = self.early.take() {
            self.end_worker(worker, End::Killed);
        }
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
