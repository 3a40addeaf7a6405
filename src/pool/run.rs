//! A run: an iterator of outcomes, in item order or as tasks end.

use std::collections::VecDeque;

use super::dispatcher::Dispatcher;
use super::feed::Feed;
use super::record::Ended;
use super::stop::StopHandle;
use crate::cache::JobResults;
use crate::outcome::{Event, Outcome, RunStats};
use crate::result::{Output, TaskError};
use crate::{Module, Result, Source};

/// A run: a lazy iterator of outcomes, in item order unless [`Run::unordered`]. Dropping it cancels what is left.
///
/// It takes tasks from its source only as workers have room for them and, where outcomes come in item order, never more
/// than a bounded number ahead of the one that is next to be delivered; so memory does not grow with the number of tasks, and a slow consumer slows
/// the source down. Tasks run on in their workers while nobody asks for an outcome, but no new ones are started.
pub struct Run<'pool, S> {
    pub(super) feed: Feed<'pool, S>,
    pub(super) module: Module,
    delivery: Delivery,
}

/// Outcomes that wait for their turn.
enum Delivery {
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
    pub(super) fn new(dispatcher: Dispatcher<'pool>, source: S, results: Option<JobResults>, module: &Module) -> Self {
        let feed = Feed::new(dispatcher, source, results);
        let delivery = Delivery::ByItem { waiting: VecDeque::new(), next: 0, bytes: 0, descriptors: 0 };
        Run { feed, module: module.clone(), delivery }
    }

    /// Gives outcomes as tasks end instead of in item order.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.delivery = Delivery::AsTheyEnd;
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
        self.feed.most = ahead.saturating_add(self.feed.dispatcher.parallelism());
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
    /// Takes an outcome in; gives it back where its turn is now.
    fn put(&mut self, ended: Ended) -> Option<Ended> {
        let Delivery::ByItem { waiting, next, bytes, descriptors } = self else { return Some(ended) };
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
        let Delivery::ByItem { waiting, next, bytes, descriptors } = self else { return None };
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
            Delivery::AsTheyEnd => true,
            Delivery::ByItem { next, bytes, descriptors, .. } => {
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
