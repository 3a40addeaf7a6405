//! A pool as the backend of another one's runs.

use std::time::Duration;

use super::Pool;
use super::crew::OUTER_WAKER;
use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::prepare::{Prepared, Stdio};
use super::wait::Wait;
use crate::backend::{Assignment, Backend, Executor, News, TaskEnd};
use crate::{Admission, Error, Halt, Job, Result, Retries, Waker};

impl Backend for Pool {
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + 'a>> {
        let Pool { crew, backend, cache: _ } = self;
        if let Some(backend) = backend {
            return backend.start(job, waker);
        }
        // The other run's affair.
        let (retries, halt, admission) = (Retries::default(), Halt::Never, Admission::default());
        let job = Job { retries, halt, admission, ..job.clone() };
        let prepared = Prepared::new(&job, Stdio::Captured)?;
        crew.check(&job)?;
        crew.poll.add(waker, OUTER_WAKER).map_err(|error| Error::system("cannot watch a run", error))?;
        let mut dispatcher = Dispatcher::new(crew, prepared, None);
        // The other run makes room for slices, and decides over those of tasks that fail.
        dispatcher.slices = None;
        Ok(Box::new(Nested { dispatcher, waker: waker.clone() }))
    }
}

/// A dispatcher of this crate that runs tasks for another run.
struct Nested<'pool> {
    dispatcher: Dispatcher<'pool>,
    /// The other run's.
    waker: Waker,
}

impl Executor for Nested<'_> {
    fn merge_with(&mut self, function: &str) -> Result<()> {
        self.dispatcher.add_reduce(function).map(drop)
    }

    fn has_room(&self) -> bool {
        self.dispatcher.has_room()
    }

    fn submit(&mut self, given: Assignment<'_>) {
        self.dispatcher.submit(Pending::new(given.ticket, given.index, given.call.function(), given.task.clone()));
        self.dispatcher.publish();
    }

    fn next(&mut self) -> Option<News> {
        if let Some(ended) = self.dispatcher.next_ended() {
            return Some(News::Ended(TaskEnd::new(ended.tag, ended.into_outcome())));
        }
        if let Some((worker, reason)) = self.dispatcher.next_lost() {
            return Some(News::WorkerLost(worker, reason));
        }
        let missing = self.dispatcher.take_unconfined();
        if !missing.is_empty() {
            return Some(News::Unconfined(missing));
        }
        while let Some((worker, ticket, elapsed)) = self.dispatcher.slow.pop() {
            if let Some(pending) = self.dispatcher.under_way(worker, ticket) {
                return Some(News::Slow { ticket: pending.tag(), worker: worker as u32, elapsed });
            }
        }
        if let Some(halted) = self.dispatcher.policy.take_news() {
            return Some(News::Halted(halted.clone()));
        }
        self.dispatcher.take_error().map(News::Failed)
    }

    fn wait(&mut self, at_most: Option<Duration>) {
        self.dispatcher.turn(at_most.map_or(Wait::Event, Wait::Until));
    }

    fn stop(&mut self, now: bool) {
        let stop = self.dispatcher.stop_handle();
        if now { stop.stop_now() } else { stop.stop_soon() }
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        // It outlives this run.
        let _ = self.dispatcher.pool.poll.remove(&self.waker);
    }
}
