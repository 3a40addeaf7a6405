//! Gives tasks to workers, and starts workers for them.

use std::collections::VecDeque;

use super::Ending;
use super::deaths::Fault;
use super::run::CrewRun;
use super::worker::Worker;
use crate::pool::record::Pending;
use crate::pool::report::Report;
use crate::{Error, Result, Task};

impl CrewRun<'_> {
    /// Whether a task that is submitted now can go to a worker at once.
    pub fn has_room(&self) -> bool {
        let room = |worker: &Option<Worker>| match worker {
            Some(worker) => worker.held.len() < self.depth,
            None => self.may_start_worker(),
        };
        self.crew.workers.iter().any(room)
    }

    /// Gives a task to a worker, or returns it if none has room.
    pub fn submit(&mut self, pending: Pending) -> Option<Pending> {
        let Some(index) = self.worker_for(pending.task()) else { return Some(pending) };
        let ticket = self.crew.next_ticket();
        let worker = self.crew.workers[index].as_mut()?;
        worker.push(ticket, pending, &mut self.payload);
        None
    }

    /// Makes the tasks that workers were given visible to them.
    pub fn publish(&mut self) {
        for worker in self.crew.workers.iter_mut().flatten() {
            worker.send_unsent();
            worker.publish();
        }
    }

    /// Moves tasks that have not begun from the busiest worker to idle ones.
    pub fn rebalance(&mut self) {
        let idle =
            |worker: &Option<Worker>| worker.as_ref().map_or(self.may_start_worker(), |worker| worker.held.is_empty());
        if !self.crew.workers.iter().any(idle) {
            return;
        }
        let Some(busiest) = self.crew.workers.iter_mut().flatten().max_by_key(|worker| worker.held.len()) else {
            return;
        };
        // It keeps the task that it runs, and half of the rest.
        let spare = busiest.held.len().saturating_sub(1).div_ceil(2);
        let mut taken = VecDeque::new();
        while taken.len() < spare
            && let Some(pending) = busiest.take_back()
        {
            taken.push_front(pending);
        }
        while let Some(pending) = taken.pop_front() {
            if let Some(pending) = self.submit(pending) {
                self.report(Report::Returned { pending, began: false });
                let rest = std::mem::take(&mut taken);
                rest.into_iter().for_each(|pending| self.report(Report::Returned { pending, began: false }));
            }
        }
    }

    /// The worker that gets the next task: the one with room that holds the fewest tasks, or a new one if all are busy.
    fn worker_for(&mut self, task: &Task) -> Option<usize> {
        // If the first candidate has no room (for a long payload, say), others may.
        let mut tried = (0, 0);
        loop {
            let held =
                |(index, worker): (usize, &Option<Worker>)| worker.as_ref().map(|worker| (worker.held.len(), index));
            let candidates = self.crew.workers.iter().enumerate().filter_map(held);
            let best = candidates.filter(|candidate| *candidate >= tried).min();
            let index = match best {
                Some((0, index)) => index,
                _ => match (self.start_worker(), best) {
                    (Some(index), _) => index,
                    (None, Some((held, index))) if held < self.depth => index,
                    (None, _) => return None,
                },
            };
            let number = self.crew.job;
            let of_earlier_run = |worker: &&Worker| worker.job != number;
            if let Some(worker) = self.crew.workers[index].as_ref().filter(of_earlier_run) {
                if !worker.can_run(&self.job) {
                    // It runs no task now.
                    self.crew.take_worker(index, Ending::Killed);
                    continue;
                }
                if let Err(error) = self.hand_job(index) {
                    self.fail(error);
                    return None;
                }
            }
            let worker = self.crew.workers[index].as_mut()?;
            match worker.has_room(task) {
                Ok(true) => return Some(index),
                Ok(false) => tried = (worker.held.len(), index + 1),
                Err(violation) => self.condemn(index, Some(Fault::Lie(violation)), Ending::Killed),
            }
        }
    }

    /// Gives the worker this run's job.
    fn hand_job(&mut self, index: usize) -> Result<()> {
        let number = self.crew.job;
        let Some(worker) = &mut self.crew.workers[index] else { return Ok(()) };
        let spec = match self.spec.take() {
            Some(spec) => spec,
            None => self.job.spec_file(number)?,
        };
        let handed = worker.begin_job(number, &self.job, self.spec.insert(spec));
        handed.map_err(|error| Error::system("cannot send a job to a worker", error))
    }

    /// Whether there may be more workers, as far as is known.
    fn may_start_worker(&self) -> bool {
        let starts = || self.crew.workers.iter().flatten().any(|worker| !worker.proven);
        !(self.is_full || self.is_cautious && starts())
    }

    /// Starts a worker if there may be more.
    fn start_worker(&mut self) -> Option<usize> {
        let index = self.crew.workers.iter().position(Option::is_none).filter(|_| self.may_start_worker())?;
        match self.crew.start_worker(index, &self.job.directories) {
            Ok(()) => Some(index),
            Err(error) => {
                // A pool that has workers goes on with them.
                self.is_full = true;
                if self.crew.workers.iter().all(Option::is_none) {
                    self.fail(Error::system("cannot start a worker", error));
                } else {
                    self.notice_fewer(format!("could not be started: {error}"));
                }
                None
            }
        }
    }
}
