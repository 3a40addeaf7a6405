//! Workers and the runs that feed them.
//!
//! ```text
//! Run (run.rs, reduce.rs)   pulls tasks from the source, puts outcomes in order
//!   Dispatcher (dispatcher.rs)   gives tasks to workers, takes them back, reads completions, replaces the dead
//!     Crew (crew.rs)   the workers
//!       Worker (worker.rs)   one process or thread: its ring, its socket, the tasks that it holds
//!       Keeper (keeper.rs)   a thread that starts processes and enforces deadlines
//!     Executor (foreign.rs)   in the place of a crew: runs tasks elsewhere, or on the caller's thread (inline.rs)
//! ```
//!
//! The thread that asks a run for its next outcome drives all of it; nothing happens behind its back but the keeper's
//! work, so there are no locks, and a slow consumer slows the source down.

mod admission;
mod arguments;
mod completion;
mod crew;
mod dispatcher;
mod files;
mod foreign;
mod held;
mod inline;
mod keeper;
#[cfg(test)]
pub(crate) mod liar;
#[cfg(test)]
mod liar_tests;
mod lost;
mod median;
mod nested;
mod placing;
mod policy;
mod prepare;
mod reduce;
mod run;
mod slices;
mod slow;
mod stop;
mod threads;
mod wait;
mod watch;
mod worker;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{Backend, BuiltIn};
use crate::cache::JobResults;
use crate::outcome::Outcome;
use crate::result::{Status, TaskError};
use crate::sys::process::Process;
use crate::sys::self_exe::self_exe;
use crate::{Error, Job, Jobs, Result, ResultCache, Sandbox, Source, Task};

use crew::Crew;
use dispatcher::Dispatcher;
use inline::Inline;
use prepare::{Prepared, Stdio};
pub use run::Run;
pub use stop::StopHandle;
use worker::Worker;

/// Workers that live across runs.
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
    crew: Crew,
    /// What runs the tasks, where the crew does not.
    backend: Option<Box<dyn Backend>>,
    /// Where results are kept from one run to the next.
    cache: Option<ResultCache>,
}

/// Settings of a [`Pool`].
#[derive(Clone, Debug, Default)]
pub struct PoolBuilder {
    backend: BuiltIn,
    workers: Option<NonZeroUsize>,
    worker_exe: Option<PathBuf>,
    sandbox: Sandbox,
    start_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    cache: Option<ResultCache>,
}

impl PoolBuilder {
    /// The most workers that a pool may have.
    pub const MAX_WORKERS: usize = 4096;

    /// How long a worker may take to start, unless set; it takes milliseconds where the machine is not overloaded.
    pub const START_TIMEOUT: Duration = Duration::from_secs(30);

    /// Settings that the environment gives, as the command has them: `WRUN_JOBS`, `WRUN_BACKEND`, `WRUN_SANDBOX`. What is set
    /// on the builder goes before it.
    ///
    /// # Errors
    ///
    /// Where one of these variables has no possible value.
    pub fn from_env() -> Result<PoolBuilder> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<PoolBuilder> {
        fn value<T>(name: &str, value: Option<OsString>, parse: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
            let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
            let value = value.to_string_lossy();
            parse(&value).map(Some).map_err(|error| Error::request(format!("{name}={value}: {error}")))
        }
        let sandbox =
            |word: &str| Sandbox::from_word(word).ok_or_else(|| Error::request("give default, strict or off"));
        let (backend, jobs, confined) = ("WRUN_BACKEND", "WRUN_JOBS", "WRUN_SANDBOX");
        Ok(PoolBuilder {
            backend: value(backend, variable(backend), str::parse)?.unwrap_or_default(),
            workers: value(jobs, variable(jobs), str::parse)?.map(Jobs::workers),
            sandbox: value(confined, variable(confined), sandbox)?.unwrap_or_default(),
            ..PoolBuilder::default()
        })
    }

    /// Sets where tasks run ([`BuiltIn::Processes`] unless set).
    #[must_use]
    pub fn backend(mut self, backend: BuiltIn) -> Self {
        self.backend = backend;
        self
    }

    /// Sets the number of workers; unless set, the CPUs that this process may use (by its affinity and its
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

    /// Lets worker processes end when there was no run for so long; unless set, they live as long as the pool. The next run starts
    /// new ones.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Keeps results in `cache`, and runs no task again whose result is there. [`ResultCache`] says what that covers.
    #[must_use]
    pub fn cache(mut self, cache: ResultCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Makes the pool. Workers start when there is work for them.
    ///
    /// # Errors
    ///
    /// Where there is no executable for workers, or the system refuses what a pool needs.
    pub fn build(self) -> Result<Pool> {
        let workers = self.worker_count()?;
        let (workers, exe, backend) = match self.backend {
            BuiltIn::Processes => (workers.get(), Some(self.exe()?), None),
            BuiltIn::Threads => (workers.get(), None, None),
            BuiltIn::Inline => (0, None, Some(Box::new(Inline) as Box<dyn Backend>)),
        };
        if self.sandbox == Sandbox::Strict && self.backend != BuiltIn::Processes {
            let backend = self.backend.name();
            return Err(Error::request(format!(
                "the system confines processes only, so a strict sandbox and the backend {backend} exclude each other"
            )));
        }
        self.assemble(workers, exe, backend)
    }

    /// Makes a pool whose tasks run on another backend; of the settings the cache alone counts, for which the backend's results are the
    /// module's.
    ///
    /// # Errors
    ///
    /// Where the system refuses what a pool needs.
    pub fn build_on(self, backend: Box<dyn Backend>) -> Result<Pool> {
        self.assemble(0, None, Some(backend))
    }

    fn assemble(self, workers: usize, exe: Option<PathBuf>, backend: Option<Box<dyn Backend>>) -> Result<Pool> {
        let sandbox = if exe.is_some() { self.sandbox } else { Sandbox::Off };
        let crew = Crew::new(workers, exe, sandbox, self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT));
        let mut crew = crew.map_err(|error| Error::system("cannot make a pool", error))?;
        crew.idle_timeout = self.idle_timeout;
        Ok(Pool { crew, backend, cache: self.cache })
    }

    /// Makes the pool around a worker that has been started already.
    ///
    /// # Errors
    ///
    /// Where there are too many workers, or one is to run another executable.
    pub fn build_with(self, early: EarlyWorker) -> Result<Pool> {
        if self.backend != BuiltIn::Processes {
            return self.build();
        }
        let exe = self.exe()?;
        if exe != early.exe {
            let early = early.exe.display();
            return Err(Error::request(format!(
                "workers are to run {}, and the early one runs {early}",
                exe.display()
            )));
        }
        let mut crew = early.crew;
        crew.workers = (0..self.worker_count()?.get()).map(|_| None).collect();
        crew.sandbox = self.sandbox;
        crew.start_timeout = self.start_timeout.unwrap_or(crew.start_timeout);
        crew.idle_timeout = self.idle_timeout;
        Ok(Pool { crew, backend: None, cache: self.cache })
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
        let Pool { mut crew, .. } = self.workers(NonZeroUsize::MIN).backend(BuiltIn::Processes).build()?;
        let worker = Worker::start(crew.next_ticket(), crew.keeper.as_ref());
        crew.early = Some(worker.map_err(|error| Error::system("cannot start a worker", error))?);
        // A new thread may have to wait for this one's processor, and the keeper's work is what matters now.
        std::thread::yield_now();
        Ok(EarlyWorker { crew, exe })
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
    /// A crew without another worker.
    crew: Crew,
    exe: PathBuf,
}

impl EarlyWorker {
    /// Its process id, as soon as it runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.crew.note_all_started();
        self.crew.early.as_ref().and_then(Worker::process).map(Process::pid)
    }
}

impl Pool {
    /// Settings of a new pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The process ids of the workers that have been started and not been lost, for watching them: to look at their memory, say.
    /// None where they are no processes.
    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.crew.pids()
    }

    /// Checks the job and starts a run of it over `tasks`: any iterator of things that are [`Into<Task>`], or another
    /// [`Source`]. The run is lazy: it takes tasks as it has workers for them, when it is asked for outcomes.
    ///
    /// # Errors
    ///
    /// Where the job cannot run: its module has no such function or needs what is not given.
    pub fn map<S: Source>(&mut self, job: &Job, tasks: S) -> Result<Run<'_, S>> {
        let cache = self.cache.clone();
        let dispatcher = self.dispatcher(job, Stdio::Captured)?;
        let results = cache.map(|cache| JobResults::new(&cache, job, dispatcher.job.map_entry()));
        Ok(Run::new(dispatcher, tasks, results))
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
    /// error, which no cache can give again. Gives its exit code, or why it failed.
    ///
    /// # Errors
    ///
    /// As for [`Pool::run`], and where the module is no WASI command.
    pub fn run_attached(&mut self, job: &Job, argv: &[String]) -> Result<Result<u8, TaskError>> {
        let job = Job { argv: Some(argv.to_vec()), ..job.clone() };
        if self.backend.is_some() {
            let message = "a program that is attached to a terminal takes a pool of processes or of threads";
            return Err(Error::request(message));
        }
        let dispatcher = self.dispatcher(&job, Stdio::Attached)?;
        let mut run = Run::new(dispatcher, std::iter::once(Task::default()), None);
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

    /// Checks the job and gets ready to run its tasks.
    fn dispatcher(&mut self, job: &Job, stdio: Stdio) -> Result<Dispatcher<'_>> {
        let prepared = Prepared::new(job, stdio)?;
        let executor = match &mut self.backend {
            Some(backend) => Some(backend.start(job, &self.crew.waker)?),
            None => self.crew.check(job).map(|()| None)?,
        };
        Ok(Dispatcher::new(&mut self.crew, prepared, executor))
    }
}

/// Only a process can be killed while it runs a task, and who runs one here cannot look at the clock meanwhile.
fn refuse_times(job: &Job, backend: BuiltIn) -> Result<()> {
    let name = backend.name();
    if job.limits.timeout.is_some() {
        return Err(Error::request(format!(
            "a task of the backend {name} cannot be stopped by --timeout: limit its --fuel, or run it in processes"
        )));
    }
    if backend == BuiltIn::Inline && job.slow.is_some() {
        return Err(Error::request(format!(
            "a task of the backend {name} cannot be watched for --slow: run it in processes or threads"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_defaults_and_what_is_set_goes_before_them() {
        let from = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            PoolBuilder::from_variables(find)
        };
        let builder = from(&[("WRUN_JOBS", "3"), ("WRUN_BACKEND", "threads"), ("WRUN_SANDBOX", "off")]).unwrap();
        assert_eq!((builder.workers, builder.backend), (NonZeroUsize::new(3), BuiltIn::Threads));
        assert_eq!(builder.sandbox, Sandbox::Off);
        let builder = builder.workers(NonZeroUsize::MIN).backend(BuiltIn::Inline);
        assert_eq!((builder.workers, builder.backend), (NonZeroUsize::new(1), BuiltIn::Inline));
        let unset = from(&[("WRUN_JOBS", "")]).unwrap();
        assert_eq!((unset.workers, unset.backend, unset.sandbox), (None, BuiltIn::Processes, Sandbox::Default));
        for (name, value) in [("WRUN_JOBS", "0"), ("WRUN_BACKEND", "cluster"), ("WRUN_SANDBOX", "no")] {
            let error = from(&[(name, value)]).unwrap_err();
            assert!(error.is_request() && error.to_string().starts_with(&format!("{name}={value}: ")), "{error}");
        }
    }
}
