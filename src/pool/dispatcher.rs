//! The policy of a run: when each task goes to the executor, what happens when an attempt ends, and when the run ends.
//! The dispatcher is the sole owner of a run's state.
//!
//! It knows nothing of workers: whatever runs the attempts is an [`AttemptExecutor`].

mod admit;
mod barrier;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::executor::{AttemptExecutor, Evicted};
use super::gate::Gate;
use super::halt::HaltRule;
use super::output_slices::OutputSlices;
use super::record::{Ended, Pending};
use super::report::{Notice, Report};
use super::retries::RetryQueue;
use super::stop::{StopHandle, StopLevel};
use super::wait::Wait;
use crate::backend::{Call, Waker};
use crate::ipc::ring::{INLINE_MAX_BYTES, SLOTS};
use crate::job::{Admission, Halt, Halted, KnownArguments, Retries};
use crate::outcome::Outcome;
use crate::result::{Finished, Status};
use crate::{Error, Job, Result, SharedMemory, Task};
use admit::Refusal;

/// The dispatcher of one run.
pub(super) struct Dispatcher<'pool> {
    executor: AttemptExecutor<'pool>,
    /// Tasks that wait for room: merges, tasks whose next attempt is due, and tasks that were returned.
    waiting: VecDeque<Pending>,
    /// Tasks with an outcome, in the order in which they ended.
    ended: VecDeque<Ended>,
    /// Bytes of results from earlier runs among these.
    finished_bytes: u64,
    notices: VecDeque<Notice>,
    retries: RetryQueue,
    halt: HaltRule,
    gate: Gate,
    /// Only tasks up to this one (its tag) may start for now: too many results of later ones wait for it already.
    barrier: Option<u64>,
    /// The file that holds the tasks' output slices.
    slices: Option<OutputSlices>,
    /// Memory that tasks share, until the end of the run.
    shared: Vec<SharedMemory>,
    /// The long arguments of tasks under way.
    arguments: KnownArguments,
    longest_argument: u64,
    /// Why tasks cannot read inputs of their own, if they cannot.
    unseen_inputs: Option<String>,
    /// What ended the run early.
    error: Option<Error>,
    waker: Waker,
    stop: StopHandle,
    /// The level at which the executor has been stopped.
    stopped: StopLevel,
}

/// The job's settings that concern the run rather than its tasks.
pub(super) struct Policy {
    pub retries: Retries,
    pub halt: Halt,
    pub admission: Admission,
    /// The output file, reserved for this run.
    pub slices: Option<OutputSlices>,
    /// Memory that tasks of this job share, with other runs perhaps.
    pub shared: Vec<SharedMemory>,
    /// The longest argument that a task may have, in bytes.
    pub longest_argument: u64,
    /// Why tasks cannot read inputs of their own, if they cannot.
    pub unseen_inputs: Option<String>,
}

impl Policy {
    /// The policy of a run of this job.
    ///
    /// # Errors
    ///
    /// If another run writes the output file.
    pub fn new(job: &Job) -> Result<Policy> {
        Ok(Policy {
            retries: job.retries,
            halt: job.halt,
            admission: job.admission.clone(),
            slices: job.out.as_ref().map(OutputSlices::new).transpose()?,
            shared: job.shared.iter().map(|(_, memory)| memory.clone()).collect(),
            longest_argument: job.limits.argument_bytes,
            unseen_inputs: job.module.unseen_own_inputs(),
        })
    }
}

/// Whether there is room for a long argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentRoom {
    Now,
    /// Only when tasks have ended.
    Later,
}

/// How many outcomes may wait to be collected while more tasks are taken. Two workers together hold fewer tasks; this limit is for
/// tasks that never go to a worker and so take no room there.
const MAX_ENDED: usize = 4 * SLOTS;

/// Bytes of results from earlier runs that may wait to be collected while more tasks are taken.
const MAX_FINISHED_BYTES: u64 = 32 << 20;

impl<'pool> Dispatcher<'pool> {
    /// Runs tasks on `executor`, whose waits `waker` interrupts.
    pub fn new(policy: Policy, executor: AttemptExecutor<'pool>, waker: Waker) -> Self {
        Dispatcher {
            executor,
            barrier: None,
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            finished_bytes: 0,
            notices: VecDeque::new(),
            retries: RetryQueue::new(policy.retries),
            halt: HaltRule::new(policy.halt),
            gate: Gate::new(policy.admission),
            slices: policy.slices,
            shared: policy.shared,
            arguments: KnownArguments::default(),
            longest_argument: policy.longest_argument,
            unseen_inputs: policy.unseen_inputs,
            error: None,
            stop: StopHandle::new(waker.clone()),
            waker,
            stopped: StopLevel::Running,
        }
    }

    /// Lets tasks call the merge function `function`. Call this before the first task.
    pub fn merge_with(&mut self, function: &str) -> Result<()> {
        self.executor.merge_with(function)
    }

    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.executor.worker_pids()
    }

    /// How many tasks can run at the same time, as far as is known; at least one.
    pub fn parallelism(&self) -> u64 {
        self.executor.parallelism()
    }

    /// Whether the run no longer takes tasks.
    pub fn is_stopped(&self) -> bool {
        self.stopped != StopLevel::Running || self.error.is_some() || self.halt.is_halted()
    }

    /// Whether a task that is submitted now goes to the executor at once.
    pub fn has_room(&self) -> bool {
        !self.is_stopped()
            && self.gate.is_open()
            && self.barrier.is_none()
            && self.waiting.is_empty()
            && self.ended.len() < MAX_ENDED
            && (self.finished_bytes < MAX_FINISHED_BYTES || self.ended.is_empty())
            && self.retries.has_room()
            && self.executor.has_room()
    }

    /// Whether no task is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ended.is_empty() && self.retries.is_empty() && self.executor.is_idle()
    }

    /// If the argument of a task that will run is too long to be copied, stores it where workers can map it; tasks with the same
    /// bytes share one file. A task whose argument the system has no room for cannot run, unless tasks that end may make room.
    pub fn store_argument(&mut self, task: &mut Task) -> ArgumentRoom {
        // The condition that most often decides comes first.
        if task.argument.len() <= INLINE_MAX_BYTES
            || task.argument.len() as u64 > self.longest_argument
            || task.finished.is_some()
            || task.unrunnable.is_some()
        {
            return ArgumentRoom::Now;
        }
        if let Err(error) = task.argument.store_once(&mut self.arguments) {
            if error.is_lack_of_descriptors() && !self.is_idle() {
                return ArgumentRoom::Later;
            }
            task.unrunnable =
                Some(format!("its argument of {} bytes cannot be stored: {error:?}", task.argument.len()));
        }
        ArgumentRoom::Now
    }

    /// Takes a task over. It goes to the executor at once, or as soon as there is room.
    pub fn submit(&mut self, mut pending: Pending) {
        if let Some(finished) = pending.take_finished() {
            return self.end_finished(pending, *finished);
        }
        if let Err(Refusal { status, message, setting }) = self.admit(&pending) {
            self.end(pending.fail(status, message, 0).because_of(setting));
        } else if self.is_stopped() {
            self.cancel(pending);
        } else if let Some(pending) = self.place(pending) {
            self.waiting.push_back(pending);
        }
    }

    /// Gives a task to the executor, or returns it if there is no room or nothing may start.
    fn place(&mut self, pending: Pending) -> Option<Pending> {
        let may_start = self.gate.is_open() && self.barrier.is_none_or(|last| pending.tag() <= last);
        if may_start { self.executor.submit(pending) } else { Some(pending) }
    }

    /// Makes the tasks that workers were given visible to them.
    pub fn publish(&mut self) {
        self.executor.publish();
    }

    /// Does everything that can be done without waiting; then waits, unless there is something to deliver.
    pub fn turn(&mut self, wait: Wait) {
        self.executor.turn();
        self.take_reports();
        self.apply_stop();
        self.check_machine();
        self.retry_due();
        let found_no_room = self.place_waiting();
        if self.gate.is_open() && !self.is_stopped() {
            self.executor.rebalance();
        }
        self.executor.publish();
        self.take_reports();
        // Nothing would wake a stopped run with nothing under way.
        let is_over = self.is_stopped() && self.is_idle();
        if self.ended.is_empty() && self.notices.is_empty() && !is_over {
            let due = self.retries.next_due().into_iter().chain(self.gate.next_measurement());
            let wait = due.fold(wait, Wait::shortened);
            let tasks_wait = found_no_room || (!self.waiting.is_empty() && self.barrier.is_none());
            self.executor.wait(wait, tasks_wait);
        }
        self.executor.handle_workers();
        self.take_reports();
    }

    /// Acts on everything that the executor has reported.
    fn take_reports(&mut self) {
        while let Some(report) = self.executor.next_report() {
            match report {
                Report::Ended(ended) => self.end_attempt(ended),
                Report::Returned { pending, began } => {
                    if let (true, Some(slices)) = (began, &mut self.slices) {
                        slices.reset(&pending);
                    }
                    self.waiting.push_back(pending);
                }
                Report::NeverStarted { pending, message } => self.end_unstarted(pending, message),
                Report::Notice(notice) => self.notices.push_back(notice),
                Report::Halted(why) => self.halt_run(StopLevel::Soon, why),
                Report::Failed(error) => {
                    self.error.get_or_insert(error);
                }
            }
        }
    }

    /// Handles the end of an attempt, which is also the task's end unless the task is to be retried.
    fn end_attempt(&mut self, mut ended: Ended) {
        if let Some(slices) = &mut self.slices {
            slices.end_attempt(&mut ended);
        }
        if self.retries.wants(&ended) && !self.is_stopped() {
            self.retries.put(ended, Instant::now());
        } else {
            self.end(ended);
        }
    }

    /// Handles a task's end.
    fn end(&mut self, mut ended: Ended) {
        ended.outcome.task.argument.close_file();
        if let Some(slices) = &mut self.slices {
            slices.count(&ended);
        }
        let status = ended.outcome.status();
        if ended.call == Call::Map
            && status != Status::Cancelled
            && let Some((level, why)) = self.halt.count(status != Status::Ok)
        {
            self.halt_run(level, why);
        }
        self.ended.push_back(ended);
    }

    /// Ends a task as it ended in an earlier run. If it failed there, that does not count as a failure of this run.
    fn end_finished(&mut self, pending: Pending, finished: Finished) {
        if self.ended.is_empty() {
            self.finished_bytes = 0;
        }
        self.finished_bytes += finished.result.as_ref().map_or(0, |output| output.len() as u64);
        let mut ended =
            pending.end(finished.result, finished.log, finished.stats).of_program(finished.stderr, finished.exit_code);
        ended.outcome.ran_earlier = true;
        self.ended.push_back(ended);
    }

    /// Ends a task that cannot start because the run ends: as its last attempt ended, if there was one.
    fn end_unstarted(&mut self, mut pending: Pending, message: String) {
        let ended = match pending.take_last_failure() {
            Some(error) => {
                let mut ended = pending.fail(error.status, String::new(), 0);
                ended.outcome.result = Err(error);
                ended
            }
            None => pending.fail(Status::Cancelled, message, 0),
        };
        self.end(ended);
    }

    fn cancel(&mut self, pending: Pending) {
        let message = match &self.error {
            Some(error) => format!("the run ended before it began: {error:?}"),
            None => "the run was stopped before it began".into(),
        };
        self.end_unstarted(pending, message);
    }

    /// Ends the run early on the run's own account; only the first reason counts.
    fn halt_run(&mut self, level: StopLevel, why: Halted) {
        // A run that was already stopped at this level needs no further reason.
        if self.halt.is_halted() || self.stopped >= level {
            return;
        }
        self.halt.halt(why);
        self.stop.raise(level);
    }

    /// Queues the tasks whose next attempt is due.
    fn retry_due(&mut self) {
        if self.retries.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(ended) = self.retries.take_due(now) {
            self.waiting.push_back(ended.again());
        }
    }

    /// Gives waiting tasks to the executor while it has room; if the run has been stopped, ends them. Returns whether one may start
    /// that found no room.
    fn place_waiting(&mut self) -> bool {
        if self.is_stopped() {
            let waiting = std::mem::take(&mut self.waiting);
            waiting.into_iter().for_each(|pending| self.cancel(pending));
            return false;
        }
        while let Some(pending) = self.next_waiting() {
            if let Some(pending) = self.place(pending) {
                self.waiting.push_front(pending);
                return true;
            }
        }
        false
    }

    /// Checks the machine's load, and makes room if it has too little memory or processor time to spare.
    fn check_machine(&mut self) {
        let was_open = self.gate.is_open();
        if !self.gate.measure() {
            return;
        }
        let Some(shortage) = self.gate.shortage() else { return };
        if was_open {
            self.notices.push_back(Notice::HeldUp(*shortage));
        }
        if self.stopped != StopLevel::Running {
            return;
        }
        self.take_back();
        if self.gate.wants_memory_back() {
            for Evicted { worker, pending } in self.executor.evict_youngest() {
                self.notices.push_back(Notice::Requeued { worker, index: pending.index() });
                if let Some(slices) = &mut self.slices {
                    slices.reset(&pending);
                }
                self.waiting.push_front(pending);
            }
        }
    }

    /// Stops the executor at the level at which the run has been stopped.
    fn apply_stop(&mut self) {
        let level = if self.error.is_some() { StopLevel::Now } else { self.stop.level() };
        if level <= self.stopped {
            return;
        }
        self.stopped = level;
        self.executor.stop(level);
        self.take_reports();
        self.place_waiting();
        while let Some(ended) = self.retries.take() {
            self.end(ended);
        }
    }

    /// The next task that has an outcome.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// How many tasks with an outcome wait to be collected.
    pub fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// The next thing to report to an observer besides outcomes.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The task with this ticket, if this worker is still running it.
    pub fn under_way(&self, worker: u32, ticket: u64) -> Option<&Pending> {
        self.executor.under_way(worker, ticket)
    }

    /// For each task that began to wait for its next attempt, calls `report` with the outcome of the last one and the delay.
    pub fn report_retries(&mut self, report: impl FnMut(&Outcome, Duration)) {
        self.retries.report(report);
    }

    /// Why the run ended itself early; returned only once.
    pub fn take_halted(&mut self) -> Option<&Halted> {
        self.halt.take_unreported()
    }

    /// Takes what ended the run early.
    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Cancels what is under way: takes back tasks that have not begun and kills those that run. Then finishes the output file and
    /// shared memory.
    ///
    /// # Errors
    ///
    /// If somebody else has truncated one of these files or removed the output file, or a system call on one fails.
    pub fn end_run(&mut self) -> Result<()> {
        self.stop.stop_now();
        self.apply_stop();
        self.executor.end();
        self.take_reports();
        self.slices.take().map_or(Ok(()), OutputSlices::finish)?;
        std::mem::take(&mut self.shared).iter().try_for_each(SharedMemory::check_len)
    }
}

impl Drop for Dispatcher<'_> {
    fn drop(&mut self) {
        // `Run::finish` has returned the error, or nobody asked for it.
        let _ = self.end_run();
        self.waker.clear();
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
