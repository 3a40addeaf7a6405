//! A run: an iterator of outcomes, in item order or as tasks end.

use std::collections::VecDeque;

use super::dispatcher::Dispatcher;
use super::feed::Feed;
use super::record::Ended;
use super::stop::StopHandle;
use crate::cache::JobResults;
use crate::outcome::{Event, Outcome, RunStats};
use crate::result::{LogLine, Output, TaskError};
use crate::{Module, Result, Source};

/// A run of a job over its tasks: a lazy iterator of outcomes, in item order unless [`Run::unordered`] is set. Dropping it cancels
/// the tasks that are left.
///
/// A run takes tasks from its source only as workers have room for them. If outcomes come in item order, it is never more than a
/// bounded number of tasks ahead of the next outcome. So memory does not grow with the number of tasks, and a slow consumer slows
/// the source down. While nobody asks for an outcome, running tasks continue, but no new ones start.
///
/// ```no_run
/// use wrun::{Job, Module, Pool};
///
/// wrun::init();
/// let job = Job::new(&Module::from_file("sqrt.wat")?);
/// let mut pool = Pool::builder().build()?;
/// let mut run = pool.map(&job, 0..)?.unordered();
/// for outcome in run.by_ref().take(100) {
///     println!("{}: {}", outcome.index, String::from_utf8_lossy(&outcome.result?));
/// }
/// println!("{} failed", run.finish()?.failed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A run does nothing until it is asked for outcomes, so the compiler warns if it is not used:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # fn run(pool: &mut wrun::Pool, job: &wrun::Job) -> wrun::Result<()> {
/// pool.map(job, 0..10)?;
/// # Ok(())
/// # }
/// ```
///
/// To run all tasks and ignore their outcomes, drop them one by one:
///
/// ```
/// #![deny(unused_must_use)]
/// # fn run(pool: &mut wrun::Pool, job: &wrun::Job) -> wrun::Result<()> {
/// pool.map(job, 0..10)?.for_each(drop);
/// # Ok(())
/// # }
/// ```
#[must_use = "a run is lazy and does nothing until it is asked for outcomes: iterate over it"]
pub struct Run<'pool, S> {
    pub(super) feed: Feed<'pool, S>,
    pub(super) module: Module,
    /// Whether merging leaves out tasks that failed.
    pub(super) leaves_out_failed: bool,
    delivery: Delivery,
}

/// In which order outcomes are delivered.
enum Delivery {
    AsTheyEnd,
    ByItem {
        /// The outcomes of item `next` and those after it, as far as they are known.
        waiting: VecDeque<Option<Waiting>>,
        /// The item whose outcome is delivered next.
        next: u64,
        /// Bytes of waiting results and of their tasks' arguments.
        bytes: u64,
        /// Descriptors that they hold.
        descriptors: usize,
    },
}

/// An outcome, the bytes that it keeps in memory, and the descriptors that only it holds: of its result, and of files that
/// are inputs of this task alone.
type Waiting = (Ended, u64, usize);

/// Delivering this many outcomes takes long enough for workers to run out of tasks.
const MANY_ENDED: usize = 64;
/// Outcomes that may wait for an earlier one.
const MAX_WAITING: u64 = 16 << 10;
/// Descriptors that outcomes may hold while they wait for an earlier one.
const MAX_WAITING_DESCRIPTORS: usize = 256;
/// Bytes of results and arguments that may wait for an earlier one.
const MAX_WAITING_BYTES: u64 = 32 << 20;

impl<'pool, S: Source> Run<'pool, S> {
    pub(super) fn new(dispatcher: Dispatcher<'pool>, source: S, results: Option<JobResults>, module: &Module) -> Self {
        let feed = Feed::new(dispatcher, source, results);
        let delivery = Delivery::ByItem { waiting: VecDeque::new(), next: 0, bytes: 0, descriptors: 0 };
        Run { feed, module: module.clone(), leaves_out_failed: false, delivery }
    }

    /// Delivers outcomes as tasks end, instead of in item order.
    pub fn unordered(mut self) -> Self {
        self.delivery = Delivery::AsTheyEnd;
        self
    }

    /// Counts tasks from `index` instead of 0, in guests and outcomes: to repeat a task of another run.
    pub fn first_index(mut self, index: u64) -> Self {
        self.feed.first_index = index;
        self
    }

    /// Takes at most `ahead` tasks from the source, besides one per worker, before earlier ones have ended: for sources whose items
    /// are expensive to hold. Unless set, the number depends on how long tasks take, and is at most some thousands.
    pub fn ahead(mut self, ahead: u64) -> Self {
        self.feed.most = ahead.saturating_add(self.feed.dispatcher.parallelism());
        self
    }

    /// Lets [`reduce`](Self::reduce) leave out tasks that failed, instead of merging nothing if one did.
    pub fn leave_out_failed(mut self) -> Self {
        self.leaves_out_failed = true;
        self
    }

    /// Passes every event to `observer`, on the thread that drives the run.
    pub fn observe(mut self, observer: impl FnMut(&Event<'_>, &RunStats) + 'pool) -> Self {
        self.feed.observer = Some(Box::new(observer));
        self
    }

    /// Lets the run sleep until something happens, however long that takes. [`Event::Tick`] then comes only after that.
    pub fn without_ticks(mut self) -> Self {
        self.feed.ticks = false;
        self
    }

    /// Counts so far.
    pub fn stats(&self) -> RunStats {
        self.feed.stats
    }

    /// A handle that stops this run.
    pub fn stop_handle(&self) -> StopHandle {
        self.feed.dispatcher.stop_handle()
    }

    /// The process ids of workers; see [`Pool::worker_pids`](crate::Pool::worker_pids).
    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.feed.dispatcher.worker_pids()
    }

    /// Ends the run, cancels the tasks that are left, and returns its counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the run ended before its last task: if workers cannot be started, for example, or the module cannot be
    /// loaded.
    pub fn finish(mut self) -> Result<RunStats> {
        let error = self.feed.dispatcher.take_error();
        let finished = self.feed.dispatcher.end_run();
        error.map_or(finished, Err).map(|()| self.feed.stats)
    }
}

impl<S: Source> Iterator for Run<'_, S> {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        // The caller has dropped the last outcome's files, or keeps them at its own risk.
        self.feed.scarce = false;
        loop {
            if let Some(ended) = self.delivery.deliverable() {
                return Some(self.feed.spare.outcome(ended));
            }
            if let Some(ended) = self.feed.next_ended() {
                self.feed.count(&ended.outcome);
                if let Some(ended) = self.delivery.put(ended) {
                    return Some(self.feed.spare.outcome(ended));
                }
                continue;
            }
            // Before tasks are taken: none is taken while others are held back.
            self.feed.dispatcher.hold_after(self.delivery.barrier());
            self.feed.take_some(|feed| self.delivery.has_room(feed.stats.taken));
            if self.feed.is_over() {
                return None;
            }
            self.feed.turn();
            if self.feed.dispatcher.ended_len() >= MANY_ENDED {
                self.feed.take_some(|feed| self.delivery.has_room(feed.stats.taken));
                self.feed.dispatcher.publish();
            }
        }
    }
}

impl Delivery {
    /// Takes an outcome. Returns it if its turn is now.
    fn put(&mut self, ended: Ended) -> Option<Ended> {
        let Delivery::ByItem { waiting, next, bytes, descriptors } = self else { return Some(ended) };
        let ahead = usize::try_from(ended.tag - *next).expect("waiting outcomes are bounded");
        if ahead == 0 {
            // Its own entry, if others have been waiting.
            waiting.pop_front();
            *next += 1;
            return Some(ended);
        }
        if waiting.len() <= ahead {
            waiting.resize_with(ahead + 1, || None);
        }
        let (size, held) = (size(&ended.outcome), held_descriptors(&ended.outcome));
        *bytes += size;
        *descriptors += held;
        waiting[ahead] = Some((ended, size, held));
        None
    }

    /// The next outcome, if it is known.
    fn deliverable(&mut self) -> Option<Ended> {
        let Delivery::ByItem { waiting, next, bytes, descriptors } = self else { return None };
        let (ended, size, held) = waiting.front_mut()?.take()?;
        waiting.pop_front();
        *next += 1;
        *bytes -= size;
        *descriptors -= held;
        Some(ended)
    }

    /// Whether another item may be taken after `taken` items.
    fn has_room(&self, taken: u64) -> bool {
        match self {
            Delivery::AsTheyEnd => true,
            Delivery::ByItem { next, .. } => taken - next < MAX_WAITING && self.barrier().is_none(),
        }
    }

    /// The item that must end before any later one starts, because what waits for it takes too much memory or too many descriptors.
    fn barrier(&self) -> Option<u64> {
        match self {
            Delivery::ByItem { next, bytes, descriptors, .. }
                if *bytes >= MAX_WAITING_BYTES || *descriptors >= MAX_WAITING_DESCRIPTORS =>
            {
                Some(*next)
            }
            _ => None,
        }
    }
}

/// Bytes that an outcome keeps in memory.
fn size(outcome: &Outcome) -> u64 {
    let line = |line: &LogLine| size_of::<LogLine>() + line.text.len();
    let error = |error: &TaskError| {
        let texts = [&error.hint, &error.backtrace].map(|text| text.as_ref().map_or(0, String::len));
        error.message.len() + texts[0] + texts[1]
    };
    let log: usize = outcome.log.iter().map(line).sum();
    let errors: usize = outcome.result.as_ref().err().into_iter().chain(&outcome.earlier).map(error).sum();
    let outputs: u64 = outputs(outcome).map(|bytes| bytes.len() as u64).sum();
    outputs + (log + outcome.stderr.len() + errors + outcome.task.argument.len()) as u64
}

/// The result, or the core dump and standard output of a failed task.
fn outputs(outcome: &Outcome) -> impl Iterator<Item = &Output> {
    let outputs = match &outcome.result {
        Ok(output) => [Some(output), None],
        Err(error) => [error.core_dump.as_deref(), error.stdout.as_deref()],
    };
    outputs.into_iter().flatten()
}

fn held_descriptors(outcome: &Outcome) -> usize {
    outputs(outcome).filter(|output| output.as_input().is_some()).count()
        + outcome.task.inputs.iter().filter(|input| input.is_last_of_file()).count()
}
