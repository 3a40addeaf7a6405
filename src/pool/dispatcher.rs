//! Gives tasks to workers, takes them back, reads what became of them, and replaces workers that die: the only owner of
//! a run's state.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Gate;
use super::completion::{clock_zero, complete};
use super::crew::{Crew, End};
use super::foreign::Foreign;
use super::held::{Ended, Pending};
use super::median::Times;
use super::policy::Policy;
use super::prepare::{MAP, Prepared};
use super::slices::SliceFile;
use super::stop::{Stop, StopHandle};
use super::wait::Wait;
use super::worker::{News, Worker};
use crate::backend::Executor;
use crate::ipc::ring::SLOTS;
use crate::job::KnownArguments;
use crate::module::Entry;
use crate::result::Status;
use crate::sandbox::Missing;
use crate::{Error, Input, Result, Task};

/// The dispatcher of one run.
pub(super) struct Dispatcher<'pool> {
    pub(super) pool: &'pool mut Crew,
    /// In the place of the crew's workers.
    pub(super) foreign: Option<Foreign<'pool>>,
    pub(super) job: Arc<Prepared>,
    pub(super) spec: Option<Input>,
    /// Tasks that wait for a worker: merges, and those whose worker was lost before it began them.
    pub(super) waiting: VecDeque<Pending>,
    /// Tasks with an outcome, in the order of their ends.
    pub(super) ended: VecDeque<Ended>,
    /// How long tasks may run, and after how long they are slow.
    pub(super) times: Times,
    /// Workers whose task has become slow, its ticket, and how long it has run.
    pub(super) slow: Vec<(usize, u64, Duration)>,
    /// How many tasks a worker may hold.
    pub(super) depth: usize,
    /// The mean duration of the last tasks, roughly; 0 before the first end.
    mean_ns: u64,
    /// No more workers could be started.
    pub(super) full: bool,
    /// Workers that died in a row before they ended a task.
    pub(super) still_births: u32,
    pub(super) policy: Policy,
    /// The file in which tasks have slices.
    pub(super) slices: Option<SliceFile>,
    /// What ended the run early.
    pub(super) error: Option<Error>,
    pub(super) stop: StopHandle,
    /// How far the run has been stopped already.
    pub(super) stopped: Stop,
    /// The Unix time of the monotonic clock's zero.
    clock_zero: Duration,
    pub(super) payload: Vec<u8>,
    /// Workers with something at their socket, or gone.
    pub(super) ready: Vec<usize>,
    /// Workers whose process has ended.
    pub(super) ended_workers: Vec<usize>,
    /// How often in a row workers refused the job before a task ended.
    pub(super) refusals: u32,
    pub(super) lost: Vec<(u32, String)>,
    pub(super) unconfined: Vec<Missing>,
    pub(super) gate: Gate,
    /// The long arguments of tasks under way.
    pub(super) arguments: KnownArguments,
    /// Tasks that gave their memory back and will run again: their worker and position.
    pub(super) requeued: Vec<(u32, u64)>,
}

/// As much work as this is given to a worker ahead of time.
const AHEAD_NS: u64 = 2_000_000;
/// A worker always holds a task beside the one it runs, so that it does not wait for the next.
pub(super) const MIN_DEPTH: usize = 2;
/// Tasks whose outcomes may wait to be looked at while more are taken. Those of two workers are fewer; but some tasks never go to
/// a worker, and take no room there.
const MAX_ENDED: usize = 4 * SLOTS;
impl<'pool> Dispatcher<'pool> {
    pub fn new(pool: &'pool mut Crew, job: Prepared, executor: Option<Box<dyn Executor + 'pool>>) -> Self {
        pool.begin_run();
        pool.job += 1;
        let times = Times::new(job.limits.timeout, job.slow);
        pool.keeper.iter().for_each(|keeper| keeper.set_timeout(times.timeout()));
        Dispatcher {
            stop: StopHandle::new(pool.waker.clone()),
            pool,
            foreign: executor.map(Foreign::new),
            policy: Policy::new(job.retries, job.halt),
            gate: Gate::new(job.admission.clone()),
            slices: job.out.as_ref().map(SliceFile::new),
            job: Arc::new(job),
            spec: None,
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            times,
            slow: Vec::new(),
            depth: MIN_DEPTH,
            mean_ns: 0,
            full: false,
            still_births: 0,
            error: None,
            stopped: Stop::No,
            clock_zero: clock_zero(),
            payload: Vec::new(),
            ready: Vec::new(),
            ended_workers: Vec::new(),
            refusals: 0,
            lost: Vec::new(),
            unconfined: Vec::new(),
            arguments: KnownArguments::default(),
            requeued: Vec::new(),
        }
    }

    /// Lets tasks call the merge function `name`, which it gives; before the first task.
    pub fn add_reduce(&mut self, name: &str) -> Result<Entry> {
        let job = Arc::get_mut(&mut self.job).expect("no worker has the job before the first task");
        let entry = job.add_reduce(name)?;
        self.foreign.iter_mut().try_for_each(|foreign| foreign.executor.merge_with(name))?;
        Ok(entry)
    }

    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    pub fn waker(&self) -> crate::Waker {
        self.pool.waker.clone()
    }

    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.pool.pids()
    }

    /// Takes what ended the run early.
    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// How many tasks can run at a time, as far as that is known; at least one.
    pub fn places(&self) -> u64 {
        self.pool.workers.len().max(1) as u64
    }

    /// Whether the run takes no more tasks.
    pub fn is_stopped(&self) -> bool {
        self.stopped != Stop::No || self.error.is_some() || self.policy.is_halted()
    }

    /// Whether a task that is submitted now goes to a worker at once.
    pub fn has_room(&self) -> bool {
        let room = |worker: &Option<Worker>| match worker {
            Some(worker) => worker.held.len() < self.depth,
            None => !self.full,
        };
        let can_take =
            !self.is_stopped() && self.gate.is_open() && self.waiting.is_empty() && self.ended.len() < MAX_ENDED;
        let has_room = || match &self.foreign {
            Some(foreign) => foreign.executor.has_room(),
            None => self.pool.workers.iter().any(room),
        };
        can_take && self.policy.has_room(&self.ended) && has_room()
    }

    /// Whether no task is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.ended.is_empty()
            && self.policy.is_idle()
            && self.pool.workers.iter().flatten().all(|worker| worker.held.is_empty())
            && self.foreign.as_ref().is_none_or(|foreign| foreign.held.is_empty())
    }

    /// Takes a task over. It goes to a worker now, or as soon as one has room.
    pub fn submit(&mut self, mut pending: Pending) {
        if let Some(finished) = pending.take_finished() {
            return self.end_finished(pending, *finished);
        }
        let Some(pending) = self.make_slice(pending) else { return };
        let longest = self.job.limits.argument_bytes;
        let too_long = pending.task().argument.len() as u64 > longest;
        if let Some(message) = pending.task().unrunnable.clone() {
            self.end(pending.fail(Status::Error, message, 0));
        } else if too_long {
            let message = format!(
                "its argument has {} bytes, and the limit is {longest}; raise it with --max-argument, or pass it as an input",
                pending.task().argument.len(),
            );
            self.end(pending.fail(Status::Limit, message, 0));
        } else if pending.task().inputs.len() > Task::MAX_INPUTS {
            let (count, most) = (pending.task().inputs.len(), Task::MAX_INPUTS);
            let message =
                format!("it has {count} inputs of its own, and {most} are possible; join them in fewer files");
            self.end(pending.fail(Status::Limit, message, 0));
        } else if self.is_stopped() {
            self.cancel(pending);
        } else if let Some(pending) = self.place(pending) {
            self.waiting.push_back(pending);
        }
    }

    /// The next task that has an outcome.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Layers of confinement that workers of this machine do not have, each once for a pool.
    pub fn take_unconfined(&mut self) -> Vec<Missing> {
        std::mem::take(&mut self.unconfined)
    }

    /// The next worker that was lost: its number and how it ended.
    pub fn next_lost(&mut self) -> Option<(u32, String)> {
        self.lost.pop()
    }

    pub(super) fn cancel(&mut self, pending: Pending) {
        let message = match &self.error {
            Some(error) => format!("the run ended before it began: {error:?}"),
            None => "the run was stopped before it began".into(),
        };
        self.end_unstarted(pending, message);
    }

    /// Does all that can be done without waiting; then, unless there is something to deliver, waits.
    pub fn turn(&mut self, wait: Wait) {
        if self.foreign.is_some() {
            return self.turn_foreign(wait);
        }
        self.pool.note_all_started();
        self.read_completions();
        self.heed_stop();
        self.end_silent();
        self.end_unready();
        self.heed_machine();
        self.retry_due();
        self.find_slow();
        self.place_waiting();
        self.take_back_for_idle();
        self.publish();
        if self.ended.is_empty() && self.lost.is_empty() && self.slow.is_empty() && self.error.is_none() {
            self.sleep(wait);
        }
        for index in std::mem::take(&mut self.ready) {
            self.read_socket(index);
        }
        for index in std::mem::take(&mut self.ended_workers) {
            self.bury(index);
        }
        self.heed_news();
    }

    /// Lets workers see the tasks that they were given.
    pub fn publish(&mut self) {
        for worker in self.pool.workers.iter_mut().flatten() {
            worker.send_unsent();
            worker.publish();
        }
    }

    pub(super) fn read_completions(&mut self) {
        for index in 0..self.pool.workers.len() {
            let mut payload = std::mem::take(&mut self.payload);
            let mut read = 0u32;
            let mut lied_about = None;
            let violation = loop {
                let Some(worker) = &mut self.pool.workers[index] else { break None };
                match worker.next_done(&mut payload) {
                    Ok(None) => break None,
                    Err(violation) => break Some(violation),
                    Ok(Some((done, pending, file))) => {
                        read += 1;
                        if worker.killed_for.ticket() == Some(done.ticket) {
                            // Its time was over before it ended.
                            let ended = self.job.timed_out(
                                pending,
                                worker.killed_for.limit(),
                                worker.stack_trace(done.ticket),
                                index as u32,
                            );
                            self.end_attempt(ended);
                            continue;
                        }
                        let ended = complete(&self.job, index as u32, &done, pending, &payload, file, self.clock_zero);
                        self.mean_ns = match self.mean_ns {
                            0 => done.duration_ns.max(1),
                            mean => (mean / 8 * 7).saturating_add(done.duration_ns / 8).max(1),
                        };
                        match ended {
                            Ok(ended) => {
                                let passed = ended.function == MAP && ended.outcome.result.is_ok();
                                if passed && self.times.passed(ended.outcome.stats.duration) {
                                    self.pool.keeper.iter().for_each(|keeper| keeper.set_timeout(self.times.timeout()));
                                }
                                self.end_attempt(ended);
                            }
                            Err(lie) => {
                                let (violation, pending) = *lie;
                                lied_about = Some((violation.0, pending));
                                break Some(violation);
                            }
                        }
                    }
                }
            };
            self.payload = payload;
            if read > 0 {
                self.still_births = 0;
                self.refusals = 0;
                if violation.is_none() {
                    self.policy.worker_did_well();
                }
                if let Some(worker) = &mut self.pool.workers[index] {
                    if !std::mem::replace(&mut worker.proven, true) {
                        // What it says of its confinement comes before its first completion.
                        self.ready.push(index);
                    }
                    worker.front_since = Instant::now();
                    worker.free_done();
                }
                let ahead = usize::try_from(AHEAD_NS / self.mean_ns).unwrap_or(SLOTS);
                self.depth = (1 + ahead).clamp(MIN_DEPTH, SLOTS - 1);
            }
            if violation.is_some() {
                self.condemn(index, violation, End::Killed);
            }
            // Ended when its worker is dead and writes nowhere any more.
            if let Some((lie, pending)) = lied_about {
                let message = format!("its worker did what no worker does: {lie}");
                self.end_attempt(pending.fail(Status::WorkerLost, message, index as u32));
            }
        }
    }

    pub(super) fn heed_stop(&mut self) {
        let level = if self.error.is_some() { Stop::Now } else { self.stop.level() };
        if level <= self.stopped {
            return;
        }
        self.stopped = level;
        self.stop_foreign(level);
        let mut begun_none: Vec<Pending> = self.waiting.drain(..).collect();
        for worker in self.pool.workers.iter_mut().flatten() {
            while let Some(pending) = worker.take_back() {
                begun_none.push(pending);
            }
        }
        begun_none.into_iter().for_each(|pending| self.cancel(pending));
        self.give_retries_up();
        if level == Stop::Now {
            self.condemn_busy();
        }
    }

    pub(super) fn read_socket(&mut self, index: usize) {
        let Some(worker) = &mut self.pool.workers[index] else { return };
        match worker.read_socket() {
            News::None => {}
            News::Gone(violation) => {
                // What it finished before its end counts.
                self.read_completions();
                let end = if violation.is_some() { End::Killed } else { End::ByItself };
                self.condemn(index, violation, end);
            }
        }
    }
}

impl Dispatcher<'_> {
    /// Cancels what is under way: tasks not begun are taken back, workers that run one are killed. Then it finishes the output file.
    ///
    /// # Errors
    ///
    /// Where somebody else has cut that file, or the system refuses.
    pub fn end_run(&mut self) -> Result<()> {
        self.stop.stop_now();
        self.heed_stop();
        self.condemn_busy();
        self.end_foreign();
        self.finish_slices()
    }
}

impl Drop for Dispatcher<'_> {
    fn drop(&mut self) {
        self.pool.keeper.iter().for_each(|keeper| keeper.set_timeout(None));
        // An error has been said by `Run::finish`, or nobody asked.
        let _ = self.end_run();
        self.pool.waker.clear();
        self.pool.end_run();
    }
}
