//! Pools and their runs.
//!
//! ```text
//! Run (run.rs, reduce/)          puts outcomes in item order, or merges results
//!   Feed (feed.rs)               takes tasks from the source, counts, and calls the observer
//!     Dispatcher (dispatcher.rs)   policy: retries, halts, admission, output slices
//!       AttemptExecutor (executor.rs)   mechanics: runs each attempt once
//!         CrewRun (crew/)            worker processes or threads
//!         External (external.rs)     any `backend::Executor`: inline.rs, another pool, another crate's
//! ```
//!
//! The thread that asks a run for its next outcome drives all of it; nothing happens behind its back but the keeper's
//! work, so there are no locks, and a slow consumer slows the source down.

mod builder;
mod completion;
mod crew;
mod dispatcher;
mod executor;
mod external;
mod feed;
mod gate;
mod halt;
mod inline;
mod output_slices;
mod prepared_job;
mod record;
mod reduce;
mod report;
mod retries;
mod run;
mod stop;
mod wait;

pub use builder::{EarlyWorker, PoolBuilder};
#[cfg(test)]
pub(crate) use crew::liar;
pub use run::Run;
pub use stop::StopHandle;

use crate::backend::{Backend, Executor, Waker};
use crate::cache::{JobResults, ResultCache};
use crate::outcome::Outcome;
use crate::result::{Status, TaskError};
use crate::{Error, Job, Result, Source, Task};

use crew::{Crew, CrewRun};
use dispatcher::{Dispatcher, Policy};
use executor::AttemptExecutor;
use external::External;
use prepared_job::{PreparedJob, Stdio};

/// Workers that run the tasks of one job after another.
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
    runner: Runner,
    /// Where results are kept for later runs.
    cache: Option<ResultCache>,
}

/// What runs a pool's tasks.
#[derive(Debug)]
enum Runner {
    /// Workers that are processes or threads.
    Crew(Box<Crew>),
    /// A backend of another kind, and what wakes the thread that drives its runs.
    Backend { backend: Box<dyn Backend>, waker: Waker },
}

impl Pool {
    /// Returns the default settings of a pool, to be changed and built.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The process ids of the workers that are running, for watching them: to measure their memory, for example. Empty if workers are
    /// not processes.
    pub fn worker_pids(&mut self) -> Vec<u32> {
        match &mut self.runner {
            Runner::Crew(crew) => crew.pids(),
            Runner::Backend { .. } => Vec::new(),
        }
    }

    /// Checks the job and starts a run of it over `tasks`: any iterator over items that are [`Into<Task>`], or another
    /// [`Source`]. The run is lazy: when it is asked for outcomes, it takes tasks as it has workers for them.
    ///
    /// # Errors
    ///
    /// Returns an error if the job cannot run: if its module has no such function, for example, or needs what the job does not
    /// provide, or if another run writes its output file.
    pub fn map<S: Source>(&mut self, job: &Job, tasks: S) -> Result<Run<'_, S>> {
        let cache = self.cache.clone();
        let prepared = PreparedJob::new(job, Stdio::Captured)?;
        let results = cache.map(|cache| JobResults::new(&cache, job, prepared.map_entry()));
        Ok(Run::new(self.dispatcher(job, prepared)?, tasks, results, &job.module))
    }

    /// Runs a single task.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Pool::map`], and one if no worker can be started.
    pub fn run(&mut self, job: &Job, task: impl Into<Task>) -> Result<Outcome> {
        let mut run = self.map(job, std::iter::once(task.into()))?;
        let outcome = run.next();
        run.finish()?;
        outcome.ok_or_else(|| Error::request("the run was stopped before its task ran"))
    }

    /// Runs a WASI command as a program, with its name and `argv` as its arguments, and with this process's standard input, output
    /// and error. The result is not cached. Returns the program's exit code, or why it failed.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Pool::run`], and one if the module is not a WASI command.
    pub fn run_attached(&mut self, job: &Job, argv: &[String]) -> Result<Result<u8, TaskError>> {
        let job = Job { argv: Some(argv.to_vec()), ..job.clone() };
        if matches!(self.runner, Runner::Backend { .. }) {
            let message = "a program attached to the terminal needs the backend processes or threads";
            return Err(Error::request(message));
        }
        let prepared = PreparedJob::new(&job, Stdio::Attached)?;
        let dispatcher = self.dispatcher(&job, prepared)?;
        let mut run = Run::new(dispatcher, std::iter::once(Task::default()), None, &job.module);
        let outcome = run.next();
        run.finish()?;
        let result = outcome.map(|outcome| outcome.result);
        Ok(match result {
            Some(Ok(output)) => Ok(output.first().copied().unwrap_or(0)),
            Some(Err(error)) => Err(error),
            None => Err(TaskError::new(Status::Cancelled, "the run was stopped before it")),
        })
    }

    /// Prepares to run the tasks of a job that has been checked.
    fn dispatcher(&mut self, job: &Job, prepared: PreparedJob) -> Result<Dispatcher<'_>> {
        let policy = Policy::new(job)?;
        Ok(match &mut self.runner {
            Runner::Crew(crew) => {
                crew.check(job)?;
                let waker = crew.waker.clone();
                Dispatcher::new(policy, AttemptExecutor::Crew(Box::new(CrewRun::new(crew, prepared))), waker)
            }
            Runner::Backend { backend, waker } => {
                let executor = External::new(backend.start(job, waker)?, waker.clone());
                Dispatcher::new(policy, AttemptExecutor::External(executor), waker.clone())
            }
        })
    }
}

/// A pool as the backend of another one.
impl Backend for Pool {
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + 'a>> {
        match &mut self.runner {
            Runner::Crew(crew) => crew.executor_for(job, waker),
            Runner::Backend { backend, .. } => backend.start(job, waker),
        }
    }

    fn name(&self) -> &str {
        "pool"
    }
}
