//! Takes tasks from a run's source, counts them, and calls the observer.

use std::task::Poll;

use super::dispatcher::{ArgumentRoom, Dispatcher};
use super::record::{Ended, SpareRecords};
use super::report::Notice;
use super::wait::Wait;
use crate::backend::Call;
use crate::cache::JobResults;
use crate::outcome::{Event, Outcome, RunStats};
use crate::result::Status;
use crate::sys::process::last_tick_ns;
use crate::sys::rlimit;
use crate::{Source, Task};

/// What a run's observer is called with.
type Observer<'pool> = Box<dyn FnMut(&Event<'_>, &RunStats) + 'pool>;

/// Takes tasks from the source, and counts.
pub(super) struct Feed<'pool, S> {
    pub dispatcher: Dispatcher<'pool>,
    pub spare: SpareRecords,
    /// Results that are cached, if the pool has a cache.
    pub results: Option<JobResults>,
    source: S,
    /// A task whose argument has to wait for a descriptor.
    held_back: Option<Task>,
    /// The source has no more tasks.
    exhausted: bool,
    /// The source has no task yet.
    pending: bool,
    /// The files of the tasks taken so far leave few descriptors for more.
    pub scarce: bool,
    /// The source was slow in the last call of [`Feed::take_some`].
    late: bool,
    /// Whether the observer is also called when nothing has happened for a while.
    pub ticks: bool,
    pub stats: RunStats,
    /// The index of the first task.
    pub first_index: u64,
    /// The most tasks that may be under way at the same time.
    pub most: u64,
    pub observer: Option<Observer<'pool>>,
}

impl<'pool, S: Source> Feed<'pool, S> {
    pub fn new(dispatcher: Dispatcher<'pool>, mut source: S, results: Option<JobResults>) -> Self {
        source.attach(dispatcher.waker());
        Feed {
            dispatcher,
            spare: SpareRecords::default(),
            results,
            source,
            held_back: None,
            exhausted: false,
            pending: false,
            scarce: false,
            late: false,
            ticks: true,
            stats: RunStats::default(),
            first_index: 0,
            most: u64::MAX,
            observer: None,
        }
    }
}

impl<S: Source> Feed<'_, S> {
    /// Takes a task from the source if a worker has room for it. Returns whether it is worth trying again.
    pub fn take_one(&mut self) -> bool {
        let is_full = self.stats.taken - self.stats.done >= self.most;
        if self.exhausted || self.pending || is_full || !self.dispatcher.has_room() {
            return false;
        }
        // If nothing is under way, waiting frees no descriptor.
        if self.scarce && !self.dispatcher.is_idle() {
            return false;
        }
        let held_back = self.held_back.take().map(|task| Poll::Ready(Some(task)));
        match held_back.unwrap_or_else(|| self.source.poll_task()) {
            Poll::Pending => self.pending = true,
            Poll::Ready(None) => self.exhausted = true,
            Poll::Ready(Some(mut task)) => {
                if let ArgumentRoom::Later = self.dispatcher.store_argument(&mut task) {
                    self.held_back = Some(task);
                    return false;
                }
                let tag = self.stats.taken;
                self.stats.taken += 1;
                let index = self.first_index.saturating_add(tag);
                self.scarce = task.files().any(|input| rlimit::is_high(input.file().0));
                self.submit(tag, index, Call::Map, task);
            }
        }
        true
    }

    /// Submits a task, with its result if that is cached.
    pub fn submit(&mut self, tag: u64, index: u64, call: Call, mut task: Task) {
        if let Some(results) = &mut self.results {
            results.look_up(call, tag, index, &mut task);
        }
        let pending = self.spare.pending(tag, index, call, task);
        self.dispatcher.submit(pending);
    }

    /// The next task that has an outcome.
    pub fn next_ended(&mut self) -> Option<Ended> {
        let ended = self.dispatcher.next_ended()?;
        if let Some(results) = &mut self.results {
            results.keep(ended.tag, &ended.outcome);
            self.report_not_cached();
        }
        Some(ended)
    }

    /// Reports that results are not cached, and why.
    fn report_not_cached(&mut self) {
        if let Some(why) = self.results.as_mut().and_then(JobResults::take_problem) {
            self.report(&Event::NotCached { why: &why });
        }
    }

    /// Takes tasks while there is room and `has_room` agrees, until the source proves slow.
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

    /// Whether all tasks that were taken have ended, and no more will be taken.
    pub fn is_over(&self) -> bool {
        self.is_exhausted() && self.dispatcher.is_idle()
    }

    /// Drives the run one step further, and reports what happened.
    pub fn turn(&mut self) {
        // A source that had nothing may have something after any wake-up.
        self.pending = false;
        self.report(&Event::Waiting);
        self.report_not_cached();
        let wait = match (std::mem::take(&mut self.late), self.ticks && self.observer.is_some()) {
            (true, _) => Wait::NO,
            (false, true) => Wait::TICK,
            (false, false) => Wait::Event,
        };
        self.dispatcher.turn(wait);
        self.report_notices();
        let (observer, stats) = (&mut self.observer, &self.stats);
        self.dispatcher.report_retries(|outcome, delay| {
            if let Some(observer) = observer {
                observer(&Event::Retrying { outcome, delay }, stats);
            }
        });
        self.report_halt();
        self.report(&Event::Tick);
    }

    /// Passes the dispatcher's notices on to the observer.
    fn report_notices(&mut self) {
        while let Some(notice) = self.dispatcher.next_notice() {
            let Some(observer) = &mut self.observer else { continue };
            let event = match &notice {
                Notice::WorkerLost { worker, reason } => Event::WorkerLost { worker: *worker, reason },
                Notice::FewerWorkers { reason } => Event::FewerWorkers { reason },
                Notice::Unconfined(missing) => Event::Unconfined { missing },
                Notice::HeldUp(shortage) => Event::HeldUp(shortage),
                Notice::Requeued { worker, index } => Event::Requeued { worker: *worker, index: *index },
                Notice::Slow { worker, ticket, elapsed } => {
                    // It may have ended in the meantime.
                    let Some(pending) = self.dispatcher.under_way(*worker, *ticket) else { continue };
                    Event::Slow { index: pending.index(), task: pending.task(), worker: *worker, elapsed: *elapsed }
                }
            };
            observer(&event, &self.stats);
        }
    }

    /// Reports that the run ended itself early.
    fn report_halt(&mut self) {
        if let (Some(halted), Some(observer)) = (self.dispatcher.take_halted(), &mut self.observer) {
            observer(&Event::Halted(halted), &self.stats);
        }
    }

    /// Counts a map task's outcome and reports it.
    pub fn count(&mut self, outcome: &Outcome) {
        self.stats.done += 1;
        self.stats.cached += u64::from(outcome.stats.cached);
        match outcome.status() {
            Status::Ok => self.stats.flaky += u64::from(outcome.is_flaky()),
            Status::Cancelled => self.stats.cancelled += 1,
            _ => self.stats.failed += 1,
        }
        self.report(&Event::TaskFinished(outcome));
        self.report_halt();
    }

    /// Counts a merge's outcome and reports it.
    pub fn count_merge(&mut self, outcome: &Outcome) {
        self.stats.merged += 1;
        self.stats.merged_cached += u64::from(outcome.stats.cached);
        self.report(&Event::MergeFinished(outcome));
    }

    fn report(&mut self, event: &Event<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(event, &self.stats);
        }
    }
}
