//! The workers of a pool: how they start and end, and how they run a job's tasks.
//!
//! ```text
//! CrewRun (run.rs, turn.rs)      an executor: assign, completions, deaths, health, slow, sleep
//!   Crew (mod.rs)                the workers, across runs
//!     Worker (worker.rs)         one process or thread: its ring, its socket, the tasks that it holds
//!     Keeper (keeper.rs)         a thread that starts processes and enforces deadlines
//!       Guarded (guarded.rs)       a process, and the time that it has had
//! ```

mod as_backend;
mod assign;
mod completions;
mod deaths;
mod failed_start;
mod file_numbers;
mod guarded;
mod health;
mod keeper;
#[cfg(test)]
pub(crate) mod liar;
#[cfg(test)]
mod liar_tests;
mod message;
mod receive;
mod run;
mod sleep;
mod slow;
mod spare;
mod task_times;
mod thread;
mod turn;
mod worker;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use failed_start::is_exhaustion;
use keeper::{Keeper, Started};
pub(super) use run::CrewRun;
use spare::SpareDescriptor;
pub(super) use task_times::timed_out_message;
use worker::{Start, Worker};

use super::prepared_job::refuse_times;
use crate::backend::{BuiltIn, Waker};
use crate::sandbox::Layer;
use crate::sys::poll::PollSet;
use crate::sys::process::Process;
use crate::sys::socket::{SocketWait, no_room};
use crate::{Directory, Job, Result, Sandbox};

/// The workers of a pool, and what is needed to start, wake and end them.
#[derive(Debug)]
pub(super) struct Crew {
    /// By number; `None` if none has been started yet or the last one died.
    workers: Vec<Option<Worker>>,
    /// A worker that was started before there was work for it, and has not been sent its greeting.
    early: Option<Worker>,
    /// Starts processes; `None` if workers are threads.
    keeper: Option<Keeper>,
    poll: PollSet,
    /// For results of workers.
    spare: SpareDescriptor,
    pub waker: Waker,
    sandbox: Sandbox,
    start_timeout: Duration,
    /// How long processes may be idle before they are ended; `None` means forever.
    idle_timeout: Option<Duration>,
    /// Layers of confinement that have been reported as missing.
    reported_missing: Vec<Layer>,
    /// The last job's number.
    job: u64,
    /// The next task's ticket.
    ticket: u64,
}

/// The waker's key in the poll set; a worker's key is its number.
const WAKER: u64 = u64::MAX;

/// The key of an outer run's waker, if this crew's pool is that run's backend.
const OUTER_WAKER: u64 = u64::MAX - 1;

/// Set in addition to a worker's number in the key of its process; the number alone is the key of its socket.
const PROCESS: u64 = 1 << 32;

impl Crew {
    /// A crew of at most this many workers, which run `exe`; without it they are threads.
    pub fn new(
        workers: usize,
        exe: Option<PathBuf>,
        sandbox: Sandbox,
        start_timeout: Duration,
        idle_timeout: Option<Duration>,
    ) -> io::Result<Crew> {
        let waker = Waker::new()?;
        let poll = PollSet::new()?;
        poll.add(&waker, WAKER)?;
        Ok(Crew {
            workers: (0..workers).map(|_| None).collect(),
            early: None,
            keeper: exe.map(|exe| Keeper::start(exe, waker.clone())).transpose()?,
            poll,
            spare: SpareDescriptor::new(),
            waker,
            sandbox,
            start_timeout,
            idle_timeout,
            reported_missing: Vec::new(),
            job: 0,
            ticket: 0,
        })
    }

    /// Sets what was not known when the crew was made. Call this before its first run.
    pub fn set_up(
        &mut self,
        workers: usize,
        sandbox: Sandbox,
        start_timeout: Duration,
        idle_timeout: Option<Duration>,
    ) {
        self.workers = (0..workers).map(|_| None).collect();
        (self.sandbox, self.start_timeout, self.idle_timeout) = (sandbox, start_timeout, idle_timeout);
    }

    /// Starts a worker before there is work for it.
    pub fn start_early(&mut self) -> io::Result<()> {
        self.early = Some(Worker::start(self.next_ticket(), self.keeper.as_ref())?);
        Ok(())
    }

    /// The process id of that worker, once it runs.
    pub fn early_pid(&mut self) -> Option<u32> {
        self.note_all_started();
        self.early.as_ref().and_then(Worker::process).map(Process::pid)
    }

    /// Refuses a job with settings that this kind of worker cannot honour.
    pub fn check(&self, job: &Job) -> Result<()> {
        if self.keeper.is_none() { refuse_times(job, BuiltIn::Threads) } else { Ok(()) }
    }

    /// Gets ready for a run: removes workers that were killed for being idle.
    pub fn begin_run(&mut self) {
        if self.keeper.as_ref().is_some_and(Keeper::begin_run) {
            self.early.take().map(|early| self.end_worker(early, Ending::Killed));
            (0..self.workers.len()).for_each(|index| drop(self.take_worker(index, Ending::Killed)));
        }
    }

    /// Starts the idle timeout of the workers, if there is one.
    pub fn end_run(&self) {
        if let (Some(keeper), Some(time)) = (&self.keeper, self.idle_timeout) {
            keeper.end_run(time);
        }
    }

    /// Sets how long tasks may run from now on. `are_limited`: there is or may be a limit.
    pub fn set_times(&self, timeout: Option<Duration>, are_limited: bool) {
        if let Some(keeper) = &self.keeper {
            keeper.set_times(timeout, are_limited);
        }
    }

    /// The process ids of the running workers.
    pub fn pids(&mut self) -> Vec<u32> {
        self.note_all_started();
        // A worker can be at work before the keeper's report of its start is here.
        while self.workers.iter().flatten().any(Worker::has_started_unnoted)
            && let Some(started) = self.keeper.as_ref().and_then(|keeper| keeper.next_started(SocketWait::Block))
        {
            self.note_started(started);
        }
        self.workers.iter().flatten().filter_map(Worker::process).map(Process::pid).collect()
    }

    pub fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Starts a worker with that number, or takes the one that was started early. It may use the directories.
    pub fn start_worker(&mut self, index: usize, directories: &[Directory]) -> io::Result<()> {
        let mut worker = match self.early.take() {
            Some(worker) => worker,
            // Neither tickets nor workers' ids are ever reused, so one counter serves both.
            None => Worker::start(self.next_ticket(), self.keeper.as_ref())?,
        };
        let added = match worker.leaves_descriptors() || self.workers.iter().all(Option::is_none) {
            true => self.poll.add(&worker, index as u64),
            false => Err(no_room()),
        };
        if let Err(error) = added {
            self.end_worker(worker, Ending::Killed);
            return Err(error);
        }
        worker.greet(self.sandbox, directories, self.start_timeout);
        watch_process(&self.poll, &worker, index);
        self.workers[index] = Some(worker);
        Ok(())
    }

    /// Kills a worker's process unless `end` says that it ends by itself and it does so soon. Waits for its end, and returns how it
    /// ended. A thread that runs a task cannot be ended and is left running.
    fn end_process(&mut self, worker: &mut Worker, end: Ending) -> String {
        while let Start::Ordered = worker.process {
            match self.keeper.as_ref().and_then(|keeper| keeper.next_started(SocketWait::Block)) {
                Some(Started { id, process }) if id == worker.id => worker.note_started(process, self.start_timeout),
                Some(started) => self.note_started(started),
                None => return "could not be started".into(),
            }
        }
        match std::mem::replace(&mut worker.process, Start::Ordered) {
            Start::Ordered => String::new(),
            Start::Failed(reason) => format!("could not be started: {reason}"),
            Start::Thread(thread) => {
                worker.hang_up();
                match end == Ending::ByItself || worker.held.is_empty() {
                    true => thread.wait(),
                    false => "was left running".into(),
                }
            }
            Start::Running(process) => {
                if end == Ending::ByItself {
                    process.wait_a_moment();
                }
                match process.kill() {
                    Ok(()) => process.wait(),
                    // It dies with this process at the latest.
                    Err(error) => format!("cannot be killed: {error}"),
                }
            }
        }
    }

    /// Removes the worker with that number, ends its process, and returns how it ended.
    fn take_worker(&mut self, index: usize, end: Ending) -> Option<(Worker, String)> {
        let worker = self.workers[index].take()?;
        // Closing the socket removes it from the poll set as well; an error means that it is no longer there.
        let _ = self.poll.remove(&worker);
        // The keeper holds a descriptor of the process too, so this one would stay in the set.
        let _ = worker.process().map(|process| self.poll.remove(process));
        Some(self.end_worker(worker, end))
    }

    fn end_worker(&mut self, mut worker: Worker, end: Ending) -> (Worker, String) {
        if let Some(keeper) = &self.keeper {
            keeper.forget(worker.id);
        }
        let end = self.end_process(&mut worker, end);
        (worker, end)
    }

    /// Takes note of the processes that the keeper has started in the meantime.
    pub fn note_all_started(&mut self) {
        while let Some(started) = self.keeper.as_ref().and_then(|keeper| keeper.next_started(SocketWait::Never)) {
            self.note_started(started);
        }
    }

    fn note_started(&mut self, Started { id, process }: Started) {
        if let Some(worker) = self.early.as_mut().filter(|worker| worker.id == id) {
            return worker.note_started(process, self.start_timeout);
        }
        let of_id = |worker: &Option<Worker>| worker.as_ref().is_some_and(|worker| worker.id == id);
        let Some(index) = self.workers.iter().position(of_id) else { return };
        let Some(worker) = &mut self.workers[index] else { return };
        worker.note_started(process, self.start_timeout);
        watch_process(&self.poll, worker, index);
    }
}

/// Makes the poll set report the end of the worker's process, if that is running.
fn watch_process(poll: &PollSet, worker: &Worker, index: usize) {
    // The socket reports the worker's end as well, unless the worker passed its end of the socket on. So a refusal does no harm.
    let _ = worker.process().map(|process| poll.add(process, index as u64 | PROCESS));
}

impl Drop for Crew {
    fn drop(&mut self) {
        // All are killed before the first is waited for.
        let processes = self.workers.iter().flatten().chain(&self.early).filter_map(Worker::process);
        processes.for_each(|process| drop(process.kill()));
        if let Some(worker) = self.early.take() {
            self.end_worker(worker, Ending::Killed);
        }
        for index in 0..self.workers.len() {
            self.take_worker(index, Ending::Killed);
        }
    }
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is killed at once; a thread ends once it is idle.
    Killed,
    /// It has closed its socket, so it has ended or is about to end.
    ByItself,
}
