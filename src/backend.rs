//! Where tasks run: the seam by which a pool's runs reach processes, threads, this thread, or what another crate brings.
//!
//! A [`Run`](crate::Run) does the same over every backend: it takes tasks from their source as there is room, tries failed ones
//! again, puts outcomes in order, merges them, and tells its observer. A backend runs what it is given, each task once.
//!
//! | backend | tasks run in | a hostile guest | `Limits::timeout` | after a fault in wrun or wasmtime |
//! |---|---|---|---|---|
//! | [`BuiltIn::Processes`] | confined worker processes | is contained | yes | that worker's task fails |
//! | [`BuiltIn::Threads`] | threads of this process | has WebAssembly's walls around it alone | no | this process ends |
//! | [`BuiltIn::Inline`] | the caller's thread | as with threads | no, nor `Job::slow` | this process ends |
//! | a [`Backend`] | where it likes | is its affair | its affair | is its affair |

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use crate::ipc::wire::{MAP, REDUCE};
use crate::outcome::Outcome;
use crate::result::{Output, TaskError, TaskStats};
use crate::sandbox::Missing;
use crate::{Error, Halted, Job, Result, Task, Waker};

/// The backends that wrun has itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuiltIn {
    /// Worker processes, confined by the system.
    #[default]
    Processes,
    /// Threads of this process, for modules that are trusted: a worker starts in a fraction of the time, and nothing confines it
    /// but WebAssembly itself. A task that runs cannot be stopped: where a run ends before it does, its thread goes on to its end.
    Threads,
    /// The thread that drives the run, one task at a time: no parallel code at all, for debuggers and profilers.
    Inline,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [BuiltIn; 3] = [BuiltIn::Processes, BuiltIn::Threads, BuiltIn::Inline];

    /// Its name: `processes`, `threads`, `inline`.
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

/// Runs tasks somewhere. A [`Pool`](crate::Pool) is one as well, so that a backend can wrap another: to record what it does, say.
///
/// ```no_run
/// use std::time::{Duration, SystemTime};
/// use wrun::backend::{Assignment, Backend, Executor, News, TaskEnd};
/// use wrun::{Job, Module, Output, Pool, TaskStats, Waker};
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
///         let stats = TaskStats { start: SystemTime::now(), ..TaskStats::default() };
///         let output = Output::from(given.task.argument.to_vec());
///         self.0.push(TaskEnd { ticket: given.ticket, result: Ok(output), log: Vec::new(), stats });
///     }
///     fn next(&mut self) -> Option<News> {
///         self.0.pop().map(News::Ended)
///     }
///     fn wait(&mut self, _at_most: Option<Duration>) {}
/// }
///
/// let module = Module::from_file("sqrt.wat")?;
/// let mut pool = Pool::builder().build_on(Box::new(Echo))?;
/// let results: Vec<_> = pool.map(&Job::new(&module), ["1", "2"].into_iter())?.map(|outcome| outcome.result).collect();
/// assert_eq!(results, [Ok(Output::from(&b"1"[..])), Ok(Output::from(&b"2"[..]))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Backend: Debug + Send {
    /// Gets ready for the tasks of a job, which has been checked. `waker` wakes [`Executor::wait`], and is how other threads of
    /// the backend say that there is news. The job's `retries`, `halt` and `admission` are heeded by the run.
    ///
    /// # Errors
    ///
    /// Where the job cannot run there.
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + 'a>>;
}

/// Runs the tasks of one job, and is called by the thread that drives the run. Dropping it ends what is under way.
pub trait Executor {
    /// Lets tasks call the merge function `function`, as [`Call::Merge`]; before the first task.
    ///
    /// # Errors
    ///
    /// Where it cannot merge.
    fn merge_with(&mut self, function: &str) -> Result<()> {
        Err(Error::request(format!("this backend does not merge, so it cannot call {function:?}")))
    }

    /// Whether it takes another task now.
    fn has_room(&self) -> bool;

    /// Takes a task over, for which there is room.
    fn submit(&mut self, given: Assignment<'_>);

    /// What happened next; `None` where there is no news for now. Never waits for other threads.
    fn next(&mut self) -> Option<News>;

    /// Waits for news, until the waker is woken ([`Waker::wait`]), and not longer than `at_most`; it may return sooner.
    fn wait(&mut self, at_most: Option<Duration>);

    /// The run has been stopped. Tasks that have not begun are to end as [`Status::Cancelled`](crate::Status::Cancelled) soon, with
    /// `now` those that run as well.
    fn stop(&mut self, now: bool) {
        let _ = now;
    }
}

/// One attempt of a task.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assignment<'a> {
    /// Names the attempt: never used twice in a pool.
    pub ticket: u64,
    /// The task's position in the job, as the guest sees it.
    pub index: u64,
    /// The function to call.
    pub call: Call,
    /// The task.
    pub task: &'a Task,
}

/// Which of a job's functions is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What an [`Executor`] tells its run.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// An attempt ended.
    Ended(TaskEnd),
    /// A worker died and is being replaced; to follow "worker 3": `was killed by SIGKILL`.
    WorkerLost(u32, String),
    /// Workers lack these layers of confinement.
    Unconfined(Vec<Missing>),
    /// An attempt runs longer than [`Job::slow`], and has not ended.
    Slow {
        /// The attempt, as it was given.
        ticket: u64,
        /// The worker that runs it.
        worker: u32,
        /// How long it has run.
        elapsed: Duration,
    },
    /// Nothing more is to be started, because it would go as it went so far; attempts that run will end.
    Halted(Halted),
    /// No more tasks can be run, and those that it has will not end.
    Failed(Error),
}

/// How an attempt ended.
#[derive(Debug)]
pub struct TaskEnd {
    /// The attempt, as it was given.
    pub ticket: u64,
    /// Its result, or why there is none.
    pub result: Result<Output, TaskError>,
    /// Lines that it logged: (level 1 error .. 5 trace, text).
    pub log: Vec<(u8, String)>,
    /// When and where it ran; the run counts the attempts itself.
    pub stats: TaskStats,
}

impl TaskEnd {
    /// The end of the attempt that had this outcome.
    pub fn new(ticket: u64, outcome: Outcome) -> TaskEnd {
        let Outcome { result, log, stats, .. } = outcome;
        TaskEnd { ticket, result, log, stats }
    }
}
