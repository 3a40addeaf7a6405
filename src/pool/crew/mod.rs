//! The workers of a pool: how they come to be and how they end; and a crew at work on a job.
//!
//! ```text
//! CrewRun (run.rs, turn.rs)      an executor: assign, completions, deaths, health, slow, sleep
//!   Crew (mod.rs)                the workers, across runs
//!     Worker (worker.rs)         one process or thread: its ring, its socket, the tasks that it holds
//!     Keeper (keeper.rs)         a thread that starts processes and enforces deadlines
//! ```

mod as_backend;
mod assign;
mod completions;
mod deaths;
mod file_numbers;
mod health;
mod keeper;
#[cfg(test)]
pub(crate) mod liar;
#[cfg(test)]
mod liar_tests;
mod run;
mod sleep;
mod slow;
mod task_times;
mod thread;
mod turn;
mod worker;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use keeper::{Keeper, Started};
pub(super) use run::CrewRun;
pub(super) use task_times::timed_out_message;
use worker::{Start, Worker};

use super::prepared_job::refuse_times;
use crate::backend::{BuiltIn, Waker};
use crate::sandbox::Layer;
use crate::sys::poll::PollSet;
use crate::sys::process::Process;
use crate::sys::socket::Wait;
use crate::{Directory, Job, Result, Sandbox};

/// The workers of a pool, and what is needed to start, wake and end them.
#[derive(Debug)]
pub(super) struct Crew {
    /// By number; `None` where none was started yet or the last one died.
    workers: Vec<Option<Worker>>,
    /// A worker that was started before there was work for it, and has not been greeted.
    early: Option<Worker>,
    /// Starts processes; `None` where workers are threads.
    keeper: Option<Keeper>,
    poll: PollSet,
    pub waker: Waker,
    sandbox: Sandbox,
    start_timeout: Duration,
    /// For how long processes may have nothing to do; `None` is for ever.
    idle_timeout: Option<Duration>,
    /// Layers of confinement that have been reported as missing.
    reported_missing: Vec<Layer>,
    /// The last job's number.
    job: u64,
    /// The next task's ticket.
    ticket: u64,
}

/// The waker's number in the poll set; workers have their own.
const WAKER: u64 = u64::MAX;

/// The number of the waker of a run that this crew's pool is a backend of.
const OUTER_WAKER: u64 = u64::MAX - 1;

/// Beside a worker's number: its process, where the number alone is its socket.
const PROCESS: u64 = 1 << 32;

impl Crew {
    /// At most this many workers, which run `exe`; without it they are threads.
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
            waker,
            sandbox,
            start_timeout,
            idle_timeout,
            reported_missing: Vec::new(),
            job: 0,
            ticket: 0,
        })
    }

    /// Sets what was not known when it was made; before its first run.
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

    /// The process id of that worker, as soon as it runs.
    pub fn early_pid(&mut self) -> Option<u32> {
        self.note_all_started();
        self.early.as_ref().and_then(Worker::process).map(Process::pid)
    }

    /// Checks what it cannot do for any job.
    pub fn check(&self, job: &Job) -> Result<()> {
        if self.keeper.is_none() { refuse_times(job, BuiltIn::Threads) } else { Ok(()) }
    }

    /// Gets ready for a run: workers that have been killed because they had nothing to do leave their places.
    pub fn begin_run(&mut self) {
        if self.keeper.as_ref().is_some_and(Keeper::begin_run) {
            self.early.take().map(|early| self.end_worker(early, Ending::Killed));
            (0..self.workers.len()).for_each(|index| drop(self.take_worker(index, Ending::Killed)));
        }
    }

    /// Lets workers expire, where they are to.
    pub fn end_run(&self) {
        if let (Some(keeper), Some(time)) = (&self.keeper, self.idle_timeout) {
            keeper.end_run(time);
        }
    }

    /// Sets how long tasks may run from now on.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        if let Some(keeper) = &self.keeper {
            keeper.set_timeout(timeout);
        }
    }

    /// The process ids of those that run.
    pub fn pids(&mut self) -> Vec<u32> {
        self.note_all_started();
        self.workers.iter().flatten().filter_map(Worker::process).map(Process::pid).collect()
    }

    pub fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Starts a worker with that number, or takes the one that was started early, which may use the directories.
    pub fn start_worker(&mut self, index: usize, directories: &[Directory]) -> io::Result<()> {
        let mut worker = match self.early.take() {
            Some(worker) => worker,
            // Tickets and workers' numbers are never used again, so one counter serves both.
            None => Worker::start(self.next_ticket(), self.keeper.as_ref())?,
        };
        self.poll.add(&worker, index as u64)?;
        worker.greet(self.sandbox, directories, self.start_timeout);
        watch_process(&self.poll, &worker, index);
        self.workers[index] = Some(worker);
        Ok(())
    }

    /// Kills a worker's process, where it does not end by itself as `end` says, waits for its end and says how it ended. A thread
    /// that runs a task is left to itself.
    fn end_process(&mut self, worker: &mut Worker, end: Ending) -> String {
        while let Start::Ordered = worker.process {
            match self.keeper.as_ref().and_then(|keeper| keeper.next_started(Wait::Block)) {
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
                    false => "was left to itself".into(),
                }
            }
            Start::Running(process) => {
                if end == Ending::ByItself {
                    process.wait_a_moment();
                }
                process.kill();
                process.wait()
            }
        }
    }

    /// Takes the worker with that number out, ends its process, and says how it ended.
    fn take_worker(&mut self, index: usize, end: Ending) -> Option<(Worker, String)> {
        let worker = self.workers[index].take()?;
        // Closing takes it out of the poll set as well; an error means that it is out.
        let _ = self.poll.remove(&worker);
        // The keeper has its process's descriptor too, so that one would stay.
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

    /// Takes note of the processes that the keeper has started meanwhile.
    pub fn note_all_started(&mut self) {
        while let Some(started) = self.keeper.as_ref().and_then(|keeper| keeper.next_started(Wait::Never)) {
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

/// Lets the poll set tell of the end of the worker's process, where that runs.
fn watch_process(poll: &PollSet, worker: &Worker, index: usize) {
    // Its socket tells of its end as well, unless it passed that on. So it is no harm where this is refused.
    let _ = worker.process().map(|process| poll.add(process, index as u64 | PROCESS));
}

impl Drop for Crew {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.workers.iter().flatten().chain(&self.early).filter_map(Worker::process).for_each(Process::kill);
        if let Some(worker) = self.early.take() {
            self.end_worker(worker, Ending::Killed);
        }
        for index in 0..self.workers.len() {
            self.take_worker(index, Ending::Killed);
        }
    }
}

/// How a worker is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// At once; a thread, when it has nothing to do.
    Killed,
    /// It has closed its socket, so it has ended or is about to.
    ByItself,
}
