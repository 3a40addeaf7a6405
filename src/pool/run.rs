//! A run: takes tasks from a source and gives outcomes, in item order or as they come.

use std::collections::VecDeque;
use std::task::Poll;

use super::dispatcher::Dispatcher;
use super::held::{Ended, SpareRecords};
use super::prepare::MAP;
use super::stop::StopHandle;
use super::wait::Wait;
use crate::cache::JobResults;
use crate::outcome::{Event, Outcome, RunStats};
use crate::result::{Output, Status, TaskError};
use crate::sys::process::last_tick_ns;
use crate::sys::rlimit;
use crate::{Result, Source, Task};

/// What a run's observer is called with.
type Observer<'pool> = Box<dyn FnMut(&Event<'_>, &RunStats) + 'pool>;

/// A run: a lazy iterator of outcomes, in item order unless [`Run::unordered`]. Dropping it cancels what is left.
///
/// It takes tasks from its source only as workers have room for them and, where outcomes come in item order, never more
/// than a bounded number ahead of the one that is next to be delivered; so memory does not grow with the number of tasks, and a slow consumer slows
/// the source down. Tasks run on in their workers while nobody asks for an outcome, but no new ones are started.
pub struct Run<'pool, S> {
    pub(super) feed: Feed<'pool, S>,
    order: Order,
}

/// Taking tasks from the source, and counting.
pub(super) struct Feed<'pool, S> {
    pub dispatcher: Dispatcher<'pool>,
    pub spare: SpareRecords,
    /// Results that are kept, where they are.
    pub results: Option<JobResults>,
    source: S,
    /// The source has no more tasks.
    exhausted: bool,
    /// The source has nothing for now.
    pending: bool,
    /// The files of the tasks so far leave few descriptors for more.
    pub scarce: bool,
    /// The source took its time when [`Feed::take_some`] was called last.
    late: bool,
    /// An observer is told of nothing else than that time passes, too.
    ticks: bool,
    pub stats: RunStats,
    first_index: u64,
    /// The most tasks that may be under way.
    most: u64,
    observer: Option<Observer<'pool>>,
}

/// Outcomes that wait for their turn.
enum Order {
    AsTheyEnd,
    ByItem {
        /// The outcome of item `next` and those after it, as far as they are there.
        waiting: VecDeque<Option<Waiting>>,
        /// The item whose outcome is next.
        next: u64,
        /// Bytes of the results that wait, and of their tasks' arguments.
        bytes: u64,
        /// Descriptors that they hold.
        descriptors: usize,
    },
}

/// An outcome, the bytes that it keeps in memory, and the descriptors that only it holds: of its result, and of files that
/// are inputs of this task alone.
type Waiting = (Ended, u64, usize);

/// So many outcomes take long enough to deliver that workers could run out of tasks meanwhile.
const MANY_ENDED: usize = 64;
/// Outcomes that may wait for an earlier one.
const MAX_WAITING: u64 = 16 << 10;
/// Descriptors that outcomes may hold while they wait for an earlier one.
const MAX_WAITING_DESCRIPTORS: usize = 256;
/// Bytes of results and arguments that may wait for an earlier one.
const MAX_WAITING_BYTES: u64 = 32 << 20;

impl<'pool, S: Source> Run<'pool, S> {
    pub(super) fn new(dispatcher: Dispatcher<'pool>, mut source: S, results: Option<JobResults>) -> Self {
        source.attach(dispatcher.waker());
        let feed = Feed {
            dispatcher,
            spare: SpareRecords::default(),
            results,
            source,
            exhausted: false,
            pending: false,
            scarce: false,
            late: false,
            ticks: true,
            stats: RunStats::default(),
            first_index: 0,
            most: u64::MAX,
            observer: None,
        };
        Run { feed, order: Order::ByItem { waiting: VecDeque::new(), next: 0, bytes: 0, descriptors: 0 } }
    }

    /// Gives outcomes as tasks end instead of in item order.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.order = Order::AsTheyEnd;
        self
    }

    /// Numbers tasks from `index` on, as guests and outcomes have it, instead of from 0: to run some task of another run again.
    #[must_use]
    pub fn first_index(mut self, index: u64) -> Self {
        self.feed.first_index = index;
        self
    }

    /// Takes no more than `ahead` tasks from the source beyond one for each worker, before earlier ones have ended: for sources whose
    /// items are costly to have. Unless set, that follows from how long tasks take, and is at most some thousands.
    #[must_use]
    pub fn ahead(mut self, ahead: u64) -> Self {
        self.feed.most = ahead.saturating_add(self.feed.dispatcher.places());
        self
    }

    /// Lets `observer` see every event, on the thread that drives the run.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(&Event<'_>, &RunStats) + 'pool) -> Self {
        self.feed.observer = Some(Box::new(observer));
        self
    }

    /// Lets the run sleep until something happens, observed or not: [`Event::Tick`] then comes only after that, however long it takes.
    #[must_use]
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

    /// As [`Pool::worker_pids`](crate::Pool::worker_pids).
    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.feed.dispatcher.worker_pids()
    }

    /// Ends the run, cancelling what is left, and says how it went.
    ///
    /// # Errors
    ///
    /// What ended it before its last task: workers cannot be started, the module cannot be loaded.
    pub fn finish(mut self) -> Result<RunStats> {
        let error = self.feed.dispatcher.take_error();
        let finished = self.feed.dispatcher.end_run();
        error.map_or(finished, Err).map(|()| self.feed.stats)
    }
}

impl<S: Source> Iterator for Run<'_, S> {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        // The caller has let go of the last outcome's files, or keeps them at its own risk.
        self.feed.scarce = false;
        loop {
            if let Some(ended) = self.order.deliverable() {
                return Some(self.feed.spare.outcome(ended));
            }
            if let Some(ended) = self.feed.next_ended() {
                self.feed.count(&ended.outcome);
                if let Some(ended) = self.order.put(ended) {
                    return Some(self.feed.spare.outcome(ended));
                }
                continue;
            }
            self.feed.take_some(|feed| self.order.has_room(feed.stats.taken));
            if self.feed.is_over() {
                return None;
            }
            self.feed.turn();
            if self.feed.dispatcher.ended.len() >= MANY_ENDED {
                self.feed.take_some(|feed| self.order.has_room(feed.stats.taken));
                self.feed.dispatcher.publish();
            }
        }
    }
}

impl Order {
    /// Takes an outcome in; gives it back where its turn is now.
    fn put(&mut self, ended: Ended) -> Option<Ended> {
        let Order::ByItem { waiting, next, bytes, descriptors } = self else { return Some(ended) };
        let place = usize::try_from(ended.tag - *next).expect("waiting outcomes are bounded");
        if place == 0 {
            // Its own place, where others have been waiting.
            waiting.pop_front();
            *next += 1;
            return Some(ended);
        }
        if waiting.len() <= place {
            waiting.resize_with(place + 1, || None);
        }
        let (size, held) = (size(&ended.outcome), held_descriptors(&ended.outcome));
        *bytes += size;
        *descriptors += held;
        waiting[place] = Some((ended, size, held));
        None
    }

    /// The next outcome, if it is there.
    fn deliverable(&mut self) -> Option<Ended> {
        let Order::ByItem { waiting, next, bytes, descriptors } = self else { return None };
        let (ended, size, held) = waiting.front_mut()?.take()?;
        waiting.pop_front();
        *next += 1;
        *bytes -= size;
        *descriptors -= held;
        Some(ended)
    }

    /// Whether an item may be taken when `taken` were.
    fn has_room(&self, taken: u64) -> bool {
        match self {
            Order::AsTheyEnd => true,
            Order::ByItem { next, bytes, descriptors, .. } => {
                taken - next < MAX_WAITING && *bytes < MAX_WAITING_BYTES && *descriptors < MAX_WAITING_DESCRIPTORS
            }
        }
    }
}

/// The bytes that an outcome keeps in memory.
fn size(outcome: &Outcome) -> u64 {
    let line = |(_, text): &(u8, String)| size_of::<(u8, String)>() + text.len();
    let error = |error: &TaskError| error.message.len() + error.backtrace.as_ref().map_or(0, String::len);
    let log: usize = outcome.log.iter().map(line).sum();
    let errors: usize = outcome.result.as_ref().err().into_iter().chain(&outcome.earlier).map(error).sum();
    bytes(outcome).map_or(0, |bytes| bytes.len() as u64) + (log + errors + outcome.task.argument.len()) as u64
}

/// The result or, of a task that failed, the core dump.
fn bytes(outcome: &Outcome) -> Option<&Output> {
    outcome.result.as_ref().map_or_else(|error| error.core_dump.as_deref(), Some)
}

fn held_descriptors(outcome: &Outcome) -> usize {
    let mapped = bytes(outcome).is_some_and(|bytes| bytes.as_input().is_some());
    usize::from(mapped) + outcome.task.inputs.iter().filter(|input| input.is_last_of_file()).count()
}

impl<S: Source> Feed<'_, S> {
    /// Takes a task from the source where a worker has room for it. Says whether it is worth trying again.
    pub fn take_one(&mut self) -> bool {
        let is_full = self.stats.taken - self.stats.done >= self.most;
        if self.exhausted || self.pending || is_full || !self.dispatcher.has_room() {
            return false;
        }
        // Where nothing is under way, no descriptor will become free by waiting.
        if self.scarce && !self.dispatcher.is_idle() {
            return false;
        }
        match self.source.poll_task() {
            Poll::Pending => self.pending = true,
            Poll::Ready(None) => self.exhausted = true,
            Poll::Ready(Some(mut task)) => {
                self.dispatcher.store_argument(&mut task);
                let tag = self.stats.taken;
                self.stats.taken += 1;
                let index = self.first_index.saturating_add(tag);
                self.scarce = task.files().any(|input| rlimit::is_high(input.file().0));
                self.submit(tag, index, MAP, task);
            }
        }
        true
    }

    /// Lets a task run, unless its result is known.
    pub fn submit(&mut self, tag: u64, index: u64, function: u32, mut task: Task) {
        if let Some(results) = &mut self.results {
            results.look_up(function, tag, index, &mut task);
        }
        let pending = self.spare.pending(tag, index, function, task);
        self.dispatcher.submit(pending);
    }

    /// The next task that has an outcome.
    pub fn next_ended(&mut self) -> Option<Ended> {
        let ended = self.dispatcher.next_ended()?;
        if let Some(results) = &mut self.results {
            results.keep(ended.tag, &ended.outcome);
            self.tell_not_cached();
        }
        Some(ended)
    }

    /// Tells the observer where results are not kept.
    fn tell_not_cached(&mut self) {
        if let Some(why) = self.results.as_mut().and_then(JobResults::take_problem) {
            self.tell(&Event::NotCached { why: &why });
        }
    }

    /// Takes tasks while there is room and `has_room`, unless the source takes its time.
    pub fn take_some(&mut self, has_room: impl Fn(&Self) -> bool) {
        let tick_ns = last_tick_ns();
        while has_room(self) && self.take_one() {
            if last_tick_ns() != tick_ns {
                self.late = true;
                break;
            }
        }
    }

    /// Whether the source has no more tasks.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted || self.dispatcher.is_stopped()
    }

    /// Whether all tasks taken have come to their end, and no more will be taken.
    pub fn is_over(&self) -> bool {
        self.is_exhausted() && self.dispatcher.is_idle()
    }

    /// Lets something happen.
    pub fn turn(&mut self) {
        // A source that had nothing may have something after any wake-up.
        self.pending = false;
        self.tell(&Event::Waiting);
        self.tell_not_cached();
        let wait = match (std::mem::take(&mut self.late), self.ticks && self.observer.is_some()) {
            (true, _) => Wait::No,
            (false, true) => Wait::Tick,
            (false, false) => Wait::Event,
        };
        self.dispatcher.turn(wait);
        let (observer, stats) = (&mut self.observer, &self.stats);
        self.dispatcher.tell_slow(|event| observer.iter_mut().for_each(|observer| observer(event, stats)));
        let missing = self.dispatcher.take_unconfined();
        if !missing.is_empty() {
            self.tell(&Event::Unconfined { missing: &missing });
        }
        while let Some((worker, reason)) = self.dispatcher.next_lost() {
            self.tell(&Event::WorkerLost { worker, reason: &reason });
        }
        if let Some(shortage) = self.dispatcher.gate.news.take() {
            self.tell(&Event::HeldUp(&shortage));
        }
        for (worker, index) in std::mem::take(&mut self.dispatcher.requeued) {
            self.tell(&Event::Requeued { worker, index });
        }
        let (observer, stats) = (&mut self.observer, &self.stats);
        self.dispatcher.policy.tell_retries(|outcome, delay| {
            observer.iter_mut().for_each(|observer| observer(&Event::Retrying { outcome, delay }, stats));
        });
        self.tell_halt();
        self.tell(&Event::Tick);
    }

    /// Tells the observer where the run has ended itself.
    fn tell_halt(&mut self) {
        if let (Some(halted), Some(observer)) = (self.dispatcher.policy.take_news(), &mut self.observer) {
            observer(&Event::Halted(halted), &self.stats);
        }
    }

    /// Counts a map task's outcome and tells the observer.
    pub fn count(&mut self, outcome: &Outcome) {
        self.stats.done += 1;
        self.stats.cached += u64::from(outcome.stats.cached);
        match outcome.status() {
            Status::Ok => self.stats.flaky += u64::from(outcome.is_flaky()),
            Status::Cancelled => self.stats.cancelled += 1,
            _ => self.stats.failed += 1,
        }
        self.tell(&Event::TaskFinished(outcome));
        self.tell_halt();
    }

    /// Counts a merge's outcome and tells the observer.
    pub fn count_merge(&mut self, outcome: &Outcome) {
        self.stats.merged += 1;
        self.stats.merged_cached += u64::from(outcome.stats.cached);
        self.tell(&Event::MergeFinished(outcome));
    }

    fn tell(&mut self, event: &Event<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(event, &self.stats);
        }
    }
}
