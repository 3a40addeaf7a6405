//! A crew as the backend of another pool's runs.

use std::collections::VecDeque;
use std::time::Duration;

use super::run::CrewRun;
use super::{Crew, OUTER_WAKER};
use crate::backend::{Assignment, Executor, ExecutorEvent, TaskEnd, Waker};
use crate::pool::prepared_job::{PreparedJob, Stdio};
use crate::pool::record::Pending;
use crate::pool::report::{Notice, Report};
use crate::pool::stop::StopLevel;
use crate::pool::wait::Wait;
use crate::result::Status;
use crate::{Error, Job, Result};

impl Crew {
    /// Runs the job's tasks for another run, which `waker` wakes.
    pub fn executor_for(&mut self, job: &Job, waker: &Waker) -> Result<Box<dyn Executor + '_>> {
        // Retries, halts and admission are up to the other run.
        let prepared = PreparedJob::new(job, Stdio::Captured)?;
        self.check(job)?;
        self.poll
            .add(waker, OUTER_WAKER)
            .map_err(|error| Error::system("cannot watch the other run's waker", error))?;
        let crew = CrewRun::new(self, prepared);
        Ok(Box::new(CrewExecutor { crew, waiting: VecDeque::new(), waker: waker.clone() }))
    }
}

/// A crew that runs tasks for another run.
struct CrewExecutor<'pool> {
    crew: CrewRun<'pool>,
    /// Tasks that were returned and wait for a worker.
    waiting: VecDeque<Pending>,
    /// The other run's waker.
    waker: Waker,
}

impl Executor for CrewExecutor<'_> {
    fn merge_with(&mut self, function: &str) -> Result<()> {
        self.crew.merge_with(function)
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.crew.has_room()
    }

    fn submit(&mut self, given: Assignment<'_>) {
        self.place(Pending::new(given.ticket, given.index, given.call, given.task.clone()));
        self.crew.publish();
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        loop {
            return Some(match self.crew.next_report()? {
                Report::Ended(ended) => ExecutorEvent::Ended(TaskEnd::from_outcome(ended.tag, ended.into_outcome())),
                Report::Returned { pending, .. } if self.crew.stopped == StopLevel::Running => {
                    self.waiting.push_back(pending);
                    continue;
                }
                Report::Returned { pending, .. } => {
                    never_started(pending, "the run was stopped before it began".into())
                }
                Report::NeverStarted { pending, message } => never_started(pending, message),
                Report::Halted(why) => ExecutorEvent::Halted(why),
                Report::Failed(error) => ExecutorEvent::Failed(error),
                Report::Notice(Notice::WorkerLost { worker, reason }) => ExecutorEvent::WorkerLost(worker, reason),
                Report::Notice(Notice::FewerWorkers { reason }) => ExecutorEvent::FewerWorkers(reason),
                Report::Notice(Notice::Unconfined(missing)) => ExecutorEvent::Unconfined(missing),
                Report::Notice(Notice::Slow { worker, ticket, elapsed }) => {
                    // It may have ended in the meantime.
                    let Some(pending) = self.crew.under_way(worker as usize, ticket) else { continue };
                    ExecutorEvent::Slow { ticket: pending.tag(), worker, elapsed }
                }
                // A crew never reports these.
                Report::Notice(Notice::HeldUp(_) | Notice::Requeued { .. }) => continue,
            });
        }
    }

    fn wait(&mut self, at_most: Option<Duration>) {
        self.crew.turn();
        for pending in std::mem::take(&mut self.waiting) {
            self.place(pending);
        }
        self.crew.rebalance();
        self.crew.publish();
        if !self.crew.has_reports() {
            self.crew.wait(at_most.map_or(Wait::Event, Wait::AtMost), !self.waiting.is_empty());
        }
        self.crew.handle_workers();
    }

    fn stop(&mut self, now: bool) {
        self.crew.stop(if now { StopLevel::Now } else { StopLevel::Soon });
        for pending in std::mem::take(&mut self.waiting) {
            self.crew.report(Report::Returned { pending, began: false });
        }
    }
}

impl CrewExecutor<'_> {
    fn place(&mut self, pending: Pending) {
        if let Some(pending) = self.crew.submit(pending) {
            self.waiting.push_back(pending);
        }
    }
}

/// The end of a task that did not start.
fn never_started(pending: Pending, message: String) -> ExecutorEvent {
    let ended = pending.fail(Status::Cancelled, message, 0);
    ExecutorEvent::Ended(TaskEnd::from_outcome(ended.tag, ended.into_outcome()))
}

impl Drop for CrewExecutor<'_> {
    fn drop(&mut self) {
        self.crew.end();
        // The poll set outlives this run.
        let _ = self.crew.crew.poll.remove(&self.waker);
    }
}
