//! Where tasks run: in processes, in threads, on the caller's thread, or wherever another crate runs them.
//!
//! A [`Run`](crate::Run) does the same over every backend: it takes tasks from their source as there is room, retries failed ones,
//! delivers outcomes in order, merges results, and reports to its observer. A backend runs what it is given, each task once.
//!
//! | backend | tasks run in | a hostile guest | `Limits::timeout` | after a fault in wrun or wasmtime |
//! |---|---|---|---|---|
//! | [`BuiltIn::Processes`] | confined worker processes | is contained | yes | that worker's task fails |
//! | [`BuiltIn::Threads`] | threads of this process | is isolated by WebAssembly alone | no | this process ends |
//! | [`BuiltIn::Inline`] | the caller's thread | as with threads | no, nor `Job::slow` | this process ends |
//! | a [`Backend`] | depends on the backend | depends on the backend | depends on the backend | depends on the backend |

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use crate::ipc::wire::{MAP, REDUCE};
use crate::job::Halted;
use crate::outcome::Outcome;
use crate::result::{LogLine, Output, TaskError, TaskStats};
use crate::sandbox::MissingLayer;
use crate::{Error, Job, Result, Task};

pub use crate::sys::Waker;

/// The backends of wrun itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuiltIn {
    /// Worker processes, confined by the system.
    #[default]
    Processes,
    /// Threads of this process, for trusted modules. A worker starts in a fraction of the time, and only WebAssembly itself isolates
    /// it. A running task cannot be stopped: if a run ends before the task does, its thread continues until the task ends.
    Threads,
    /// The thread that drives the run, one task at a time: no parallel code at all, for debuggers and profilers.
    Inline,
}

impl BuiltIn {
    /// All built-in backends.
    pub const ALL: [BuiltIn; 3] = [BuiltIn::Processes, BuiltIn::Threads, BuiltIn::Inline];

    /// The backend's name: `processes`, `threads`, `inline`.
    pub fn name(self) -> &'static str {
        match self {
            BuiltIn::Processes => "processes",
            BuiltIn::Threads => "threads",
            BuiltIn::Inline => "inline",
        }
    }
}

impl FromStr for BuiltIn {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        BuiltIn::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| Error::request(format!("there is no backend {name:?}: give processes, threads or inline")))
    }
}

/// What [`PoolBuilder::backend`](crate::PoolBuilder::backend) takes: a [`BuiltIn`] backend, or any [`Backend`].
#[derive(Debug)]
pub struct AnyBackend(pub(crate) Choice);

/// Either kind of backend.
#[derive(Debug)]
pub(crate) enum Choice {
    BuiltIn(BuiltIn),
    Other(Box<dyn Backend>),
}

impl Default for AnyBackend {
    fn default() -> Self {
        BuiltIn::default().into()
    }
}

impl From<BuiltIn> for AnyBackend {
    fn from(backend: BuiltIn) -> Self {
        AnyBackend(Choice::BuiltIn(backend))
    }
}

impl<B: Backend + 'static> From<B> for AnyBackend {
    fn from(backend: B) -> Self {
        AnyBackend(Choice::Other(Box::new(backend)))
    }
}

/// Runs tasks somewhere. A [`Pool`](crate::Pool) is a backend as well, so that a backend can wrap another one: to record what it
/// does, for example.
///
/// ```no_run
/// use std::time::{Duration, SystemTime};
/// use wrun::backend::{Assignment, Backend, Executor, ExecutorEvent, TaskEnd, Waker};
/// use wrun::{Job, Module, Output, Pool, TaskStats};
///
/// /// Runs nothing: every argument is its own result.
/// #[derive(Debug)]
/// struct Echo;
///
/// struct Echoes(Vec<TaskEnd>);
///
/// impl Backend for Echo {
///     fn start<'a>(&'a mut self, _job: &Job, _waker: &Waker) -> wrun::Result<Box<dyn Executor + 'a>> {
///         Ok(Box::new(Echoes(Vec::new())))
///     }
/// }
///
/// impl Executor for Echoes {
///     fn has_room(&self) -> bool {
///         self.0.len() < 8
///     }
///     fn submit(&mut self, given: Assignment<'_>) {
///         let stats = TaskStats::new(SystemTime::now(), Duration::ZERO);
///         let output = Output::from(given.task.argument.to_vec());
///         self.0.push(TaskEnd::new(given.ticket, Ok(output), stats));
///     }
///     fn next(&mut self) -> Option<ExecutorEvent> {
///         self.0.pop().map(ExecutorEvent::Ended)
///     }
///     fn wait(&mut self, _at_most: Option<Duration>) {}
/// }
///
/// let module = Module::from_file("sqrt.wat")?;
/// let mut pool = Pool::builder().backend(Echo).build()?;
/// let results: Vec<_> = pool.map(&Job::new(&module), ["1", "2"].into_iter())?.map(|outcome| outcome.result).collect();
/// assert_eq!(results, [Ok(Output::from(&b"1"[..])), Ok(Output::from(&b"2"[..]))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Backend: Debug + Send {
    /// Prepares to run the tasks of a job, which has been checked. `waker` wakes [`Executor::wait`]; other threads of the backend use
    /// it to announce an event. The run takes care of the job's `retries`, `halt` and `admission`.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend cannot run the job.
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + 'a>>;

    /// The backend's name in messages; the name of its type unless implemented.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + 'a>> {
        (**self).start(job, waker)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// Runs the tasks of one job. The thread that drives the run calls it. Dropping it ends what is under way.
pub trait Executor {
    /// Allows tasks to call the merge function `function`, as [`Call::Merge`]. Called before the first task.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend cannot merge.
    fn merge_with(&mut self, function: &str) -> Result<()> {
        Err(Error::request(format!("this backend does not merge, so it cannot call {function:?}")))
    }

    /// Whether it can take another task now.
    fn has_room(&self) -> bool;

    /// Takes a task. Called only if there is room.
    fn submit(&mut self, given: Assignment<'_>);

    /// Returns the next event, or `None` if there is none for now. Must not wait for other threads.
    fn next(&mut self) -> Option<ExecutorEvent>;

    /// Waits for an event until the waker wakes it ([`Waker::wait`]), for at most `at_most`. It may return sooner.
    fn wait(&mut self, at_most: Option<Duration>);

    /// Called when the run has been stopped. Tasks that have not started should soon end as
    /// [`Status::Cancelled`](crate::Status::Cancelled); if `now`, those that are running as well.
    fn stop(&mut self, now: bool) {
        let _ = now;
    }
}

/// One attempt of a task.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assignment<'a> {
    /// Identifies the attempt. A pool never uses a ticket twice.
    pub ticket: u64,
    /// The task's position in the job, as the guest sees it.
    pub index: u64,
    /// The function to call.
    pub call: Call,
    /// The task.
    pub task: &'a Task,
}

/// Which of a job's functions to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// The task function.
    Map,
    /// The merge function.
    Merge,
}

impl Call {
    /// Its number among the functions of a job.
    pub(crate) fn number(self) -> u32 {
        match self {
            Call::Map => MAP,
            Call::Merge => REDUCE,
        }
    }
}

/// What an [`Executor`] reports to its run.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "most events are ends of attempts")]
pub enum ExecutorEvent {
    /// An attempt ended.
    Ended(TaskEnd),
    /// A worker died and is being replaced. The text is the rest of a sentence that begins with "worker 3": `was killed by SIGKILL`.
    WorkerLost(u32, String),
    /// The run goes on with fewer workers than there may be. The text is the rest of a sentence that begins with "a worker": `could not be
    /// started: ...`.
    FewerWorkers(String),
    /// Workers lack these layers of confinement.
    Unconfined(Vec<MissingLayer>),
    /// An attempt is running longer than [`Job::slow`].
    Slow {
        /// The attempt's ticket.
        ticket: u64,
        /// The worker that runs it.
        worker: u32,
        /// How long it has been running.
        elapsed: Duration,
    },
    /// No more tasks should start, because they would end like the ones so far. Running attempts will end.
    Halted(Halted),
    /// No more tasks can run, and the ones that were submitted will not end.
    Failed(Error),
}

/// How an attempt ended.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use wrun::backend::TaskEnd;
/// use wrun::{Status, TaskError, TaskStats};
///
/// let error = TaskError::new(Status::WorkerLost, "the node rebooted");
/// let end = TaskEnd::new(7, Err(error), TaskStats::new(SystemTime::now(), Duration::from_secs(1)).worker(3));
/// assert!(end.log.is_empty());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct TaskEnd {
    /// The attempt's ticket.
    pub ticket: u64,
    /// The result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// The lines that the task logged.
    pub log: Vec<LogLine>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// The code that a WASI program exited with, unless it is 0.
    pub exit_code: Option<i32>,
    /// When and where the attempt ran. The run itself counts attempts.
    pub stats: TaskStats,
}

impl TaskEnd {
    /// An attempt that ended like this, without log lines.
    pub fn new(ticket: u64, result: Result<Output, TaskError>, stats: TaskStats) -> TaskEnd {
        TaskEnd { ticket, result, log: Vec::new(), stderr: Vec::new(), exit_code: None, stats }
    }

    /// An attempt with this outcome.
    pub fn from_outcome(ticket: u64, outcome: Outcome) -> TaskEnd {
        let Outcome { result, log, stderr, exit_code, stats, .. } = outcome;
        TaskEnd { ticket, result, log, stderr, exit_code, stats }
    }

    /// Sets the lines that the task logged.
    #[must_use]
    pub fn log(mut self, log: Vec<LogLine>) -> Self {
        self.log = log;
        self
    }

    /// Sets the code that the program exited with.
    #[must_use]
    pub fn exit_code(mut self, code: Option<i32>) -> Self {
        self.exit_code = code;
        self
    }

    /// Sets what the task wrote to standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: Vec<u8>) -> Self {
        self.stderr = stderr;
        self
    }
}
