//! A crew that runs one job: an executor whose workers are processes or threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Crew;
use super::task_times::TaskTimes;
use crate::pool::completion::clock_zero;
use crate::pool::prepared_job::PreparedJob;
use crate::pool::record::{Ended, Pending};
use crate::pool::report::{Notice, Report};
use crate::pool::stop::StopLevel;
use crate::{Error, Input, Result};

/// A crew and the job that it runs.
///
/// The files of this folder build on each other, each with methods of its own:
/// `deaths`, `completions`, `health`, `assign`, `slow`, `sleep`, `turn`.
pub(in crate::pool) struct CrewRun<'pool> {
    pub(super) crew: &'pool mut Crew,
    pub(super) job: Arc<PreparedJob>,
    /// The job's description, once a worker has needed it.
    pub(super) spec: Option<Input>,
    /// How many tasks a worker may hold.
    pub(super) depth: usize,
    /// The approximate mean duration of the last tasks; 0 before the first task ends.
    pub(super) mean_ns: u64,
    /// No more workers can be started.
    pub(super) is_full: bool,
    /// All workers have died before they ended a task. From then on, one starts at a time.
    pub(super) is_cautious: bool,
    /// It has been reported that there are fewer workers than there may be.
    pub(super) reported_fewer: bool,
    /// The level at which the run has been stopped.
    pub(super) stopped: StopLevel,
    /// How many workers in a row died by themselves before they began a task.
    pub(super) startup_deaths: u32,
    /// How many were killed before they began a task.
    pub(super) startup_kills: u32,
    /// How many workers in a row died, each while it ran a task, with no task ending otherwise.
    pub(super) lost_in_a_row: u32,
    /// How often in a row workers refused the job, with no task ending in between.
    pub(super) refusals: u32,
    /// How long tasks may run, and when they count as slow.
    pub(super) times: TaskTimes,
    /// The Unix time at the monotonic clock's zero.
    pub(super) clock_zero: Duration,
    /// Scratch space for the payload of a task or completion.
    pub(super) payload: Vec<u8>,
    /// Workers whose socket has something to read, or that are gone.
    pub(super) ready: Vec<usize>,
    /// Workers whose process has ended.
    pub(super) ended_workers: Vec<usize>,
    /// Attempts that have ended and have not been reported.
    ended: VecDeque<Ended>,
    /// Everything else that has not been reported.
    reports: VecDeque<Report>,
}

/// A worker always holds a task in addition to the one that it runs, so that it never waits for the next.
pub(super) const MIN_DEPTH: usize = 2;

impl<'pool> CrewRun<'pool> {
    pub fn new(crew: &'pool mut Crew, job: PreparedJob) -> CrewRun<'pool> {
        crew.begin_run();
        crew.job += 1;
        let times = TaskTimes::new(job.limits.timeout, job.slow);
        crew.set_times(times.timeout(), times.matter());
        CrewRun {
            crew,
            job: Arc::new(job),
            spec: None,
            depth: MIN_DEPTH,
            mean_ns: 0,
            is_full: false,
            is_cautious: false,
            reported_fewer: false,
            stopped: StopLevel::Running,
            startup_deaths: 0,
            startup_kills: 0,
            lost_in_a_row: 0,
            refusals: 0,
            times,
            clock_zero: clock_zero(),
            payload: Vec::new(),
            ready: Vec::new(),
            ended_workers: Vec::new(),
            ended: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    /// Lets tasks call the merge function `function`. Call this before the first task.
    pub fn merge_with(&mut self, function: &str) -> Result<()> {
        Arc::get_mut(&mut self.job).expect("no worker has the job before the first task").add_merge(function)
    }

    /// How many tasks can run at the same time; at least one.
    pub fn parallelism(&self) -> u64 {
        self.crew.workers.len().max(1) as u64
    }

    /// Whether no worker holds a task, and everything has been reported.
    pub fn is_idle(&self) -> bool {
        !self.has_reports() && self.crew.workers.iter().flatten().all(|worker| worker.held.is_empty())
    }

    /// The next report.
    #[inline]
    pub fn next_report(&mut self) -> Option<Report> {
        match self.ended.pop_front() {
            Some(ended) => Some(Report::Ended(ended)),
            None => self.reports.pop_front(),
        }
    }

    /// Whether there is something to report.
    pub(super) fn has_reports(&self) -> bool {
        !self.ended.is_empty() || !self.reports.is_empty()
    }

    pub fn worker_pids(&mut self) -> Vec<u32> {
        self.crew.pids()
    }

    /// The task with this ticket, if this worker is still running it.
    pub fn under_way(&self, worker: usize, ticket: u64) -> Option<&Pending> {
        let held = self.crew.workers[worker].as_ref()?.held.front();
        held.filter(|held| held.ticket == ticket).map(|held| &held.pending)
    }

    /// Reports the end of an attempt.
    pub(super) fn report_end(&mut self, ended: Ended) {
        self.ended.push_back(ended);
    }

    /// Reports something else.
    pub(super) fn report(&mut self, report: Report) {
        self.reports.push_back(report);
    }

    /// Reports something for the observer.
    pub(super) fn notice(&mut self, notice: Notice) {
        self.report(Report::Notice(notice));
    }

    /// Reports, once, that the run goes on with fewer workers than it may have.
    pub(super) fn notice_fewer(&mut self, reason: String) {
        if !std::mem::replace(&mut self.reported_fewer, true) {
            self.notice(Notice::FewerWorkers { reason });
        }
    }

    /// Reports that the crew cannot go on.
    pub(super) fn fail(&mut self, error: Error) {
        self.report(Report::Failed(error));
    }
}

impl Drop for CrewRun<'_> {
    fn drop(&mut self) {
        self.crew.set_times(None, false);
        self.crew.end_run();
    }
}
