//! Gives tasks to workers, and starts workers for them.

use super::crew::End;
use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::worker::Worker;
use crate::{Error, Result, Task};

impl Dispatcher<'_> {
    /// Gives waiting tasks to workers, as far as those have room; where the run has been stopped, ends them.
    pub(super) fn place_waiting(&mut self) {
        if self.is_stopped() {
            let waiting = std::mem::take(&mut self.waiting);
            return waiting.into_iter().for_each(|pending| self.cancel(pending));
        }
        while let Some(pending) = self.waiting.pop_front() {
            if let Some(pending) = self.place(pending) {
                return self.waiting.push_front(pending);
            }
        }
    }

    /// Gives a task to a worker, or back where none has room.
    pub(super) fn place(&mut self, pending: Pending) -> Option<Pending> {
        if !self.gate.is_open() {
            return Some(pending);
        }
        if let Some(foreign) = &mut self.foreign {
            return foreign.place(self.pool.next_ticket(), pending);
        }
        let Some(index) = self.worker_for(pending.task()) else { return Some(pending) };
        let ticket = self.pool.next_ticket();
        let worker = self.pool.workers[index].as_mut()?;
        worker.push(ticket, pending, &mut self.payload);
        None
    }

    /// The worker that gets the next task: the one that holds the fewest and has room, or a new one where all have
    /// something to do.
    fn worker_for(&mut self, task: &Task) -> Option<usize> {
        // Where the first one has no room (for a long payload, say), others may have.
        let mut tried = (0, 0);
        loop {
            let held =
                |(index, worker): (usize, &Option<Worker>)| worker.as_ref().map(|worker| (worker.held.len(), index));
            let candidates = self.pool.workers.iter().enumerate().filter_map(held);
            let best = candidates.filter(|candidate| *candidate >= tried).min();
            let index = match best {
                Some((0, index)) => index,
                _ => match (self.start_worker(), best) {
                    (Some(index), _) => index,
                    (None, Some((held, index))) if held < self.depth => index,
                    (None, _) => return None,
                },
            };
            let number = self.pool.job;
            let of_earlier_run = |worker: &&Worker| worker.job != number;
            if let Some(worker) = self.pool.workers[index].as_ref().filter(of_earlier_run) {
                if !worker.can_run(&self.job) {
                    // It runs nothing now.
                    self.pool.take_worker(index, End::Killed);
                    continue;
                }
                if let Err(error) = self.hand_job(index) {
                    return self.give_up(error);
                }
            }
            let worker = self.pool.workers[index].as_mut()?;
            match worker.has_room(task) {
                Ok(true) => return Some(index),
                Ok(false) => tried = (worker.held.len(), index + 1),
                Err(violation) => self.condemn(index, Some(violation), End::Killed),
            }
        }
    }

    /// Gives the worker this run's job.
    fn hand_job(&mut self, index: usize) -> Result<()> {
        let number = self.pool.job;
        let Some(worker) = &mut self.pool.workers[index] else { return Ok(()) };
        let spec = match self.spec.take() {
            Some(spec) => spec,
            None => self.job.spec_file(number)?,
        };
        let handed = worker.begin_job(number, &self.job, self.spec.insert(spec));
        handed.map_err(|error| Error::system("cannot hand a job to a worker", error))
    }

    /// Starts a worker, where there are fewer than there may be.
    fn start_worker(&mut self) -> Option<usize> {
        let index = self.pool.workers.iter().position(Option::is_none).filter(|_| !self.full)?;
        match self.pool.start_worker(index, &self.job.directories) {
            Ok(()) => Some(index),
            Err(error) => {
                // A pool that has workers goes on with those.
                self.full = true;
                if self.pool.workers.iter().all(Option::is_none) {
                    self.give_up::<()>(Error::system("cannot start a worker", error));
                }
                None
            }
        }
    }

    fn give_up<T>(&mut self, error: Error) -> Option<T> {
        self.error.get_or_insert(error);
        None
    }
}
