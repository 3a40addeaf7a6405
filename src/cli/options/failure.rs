//! Options about tasks that fail, and about going on with an earlier run.

use std::path::PathBuf;
use std::time::Duration;

use wrun::{Halt, HaltAt, Job, Retries};

use super::values;
use crate::cli::errors::usage;
use crate::cli::file_roles::FileRoles;
use crate::cli::items::earlier_run::{EarlierRun, LogEnd};
use crate::cli::items::resume::{OpenLog, ResumePolicy};
use crate::report::{JobLog, RunStart, line_to_stderr};

/// What happens when tasks fail, and what is logged for a later run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Failure")]
pub struct FailureArgs {
    /// End the run when tasks fail: start no more (soon), or also kill the running ones (now). fail=N waits for N failures instead of
    /// 1; fail=N% waits for that percentage of the finished tasks, once 3 have finished [default: never]
    #[arg(long, value_name = "never|soon|now[,fail=N|N%]", default_value = "never", hide_default_value = true, value_parser = halt)]
    pub halt: Halt,

    /// Retry a failed task up to N times, unless it was denied something
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,

    /// Wait for TIME before the first retry of a task (500ms, 2s, 1m), and twice as long before each further one, up to 10s
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = values::duration)]
    retry_delay: Duration,

    /// Write one JSON object per line to FILE for each task as it finishes, with its result
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,

    /// Continue the run of the job log: keep the results and failures of finished tasks, run the others and those whose worker was
    /// lost
    #[arg(long)]
    resume: bool,

    /// Continue the run of the job log, as --resume does, but run failed tasks again
    #[arg(long)]
    resume_failed: bool,
}

impl FailureArgs {
    /// Notes the job log as written.
    ///
    /// # Errors
    ///
    /// If its file has another role as well.
    pub fn note_roles(&self, roles: &mut FileRoles) -> anyhow::Result<()> {
        self.joblog.as_deref().map_or(Ok(()), |path| roles.write("--joblog", path))
    }

    /// Opens the job log, and reads what an earlier run wrote to it.
    ///
    /// # Errors
    ///
    /// If there is nothing to resume, or the log cannot be used.
    pub fn open_log(&self) -> anyhow::Result<Option<OpenLog>> {
        self.open_log_and("removed", LogEnd::repair)
    }

    /// Opens the job log, and does this to what follows its last line.
    fn open_log_and(
        &self,
        fate_of_garbage: &str,
        repair: impl FnOnce(&LogEnd, &mut JobLog) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<OpenLog>> {
        let policy = self.resume_policy();
        let Some(path) = &self.joblog else {
            return match policy {
                Some(_) => Err(usage("--resume and --resume-failed continue a job log; name it with --joblog FILE")),
                None => Ok(None),
            };
        };
        let mut log = JobLog::open(path, self.run_start(), self.most_attempts())?;
        let resumed = match policy {
            Some(policy) => {
                let (earlier, end) = EarlierRun::read(&log)?;
                if let Some(warning) = end.warning(&log.file().1, fate_of_garbage) {
                    line_to_stderr(&format!("wrun: {warning}"));
                }
                repair(&end, &mut log)?;
                Some((policy, earlier))
            }
            None => None,
        };
        Ok(Some(OpenLog { log, resumed }))
    }

    /// As [`open_log`](Self::open_log), but for a dry run, which leaves a log as it is.
    ///
    /// # Errors
    ///
    /// As [`open_log`](Self::open_log).
    pub fn open_log_for_dry_run(&self) -> anyhow::Result<Option<OpenLog>> {
        let may_exist = self.joblog.as_ref().is_none_or(|path| path.exists());
        if self.run_start() == RunStart::Resumed && may_exist {
            self.open_log_and("passed over", |_, _| Ok(()))
        } else {
            Ok(None)
        }
    }

    /// Whether an earlier run is resumed.
    pub fn run_start(&self) -> RunStart {
        if self.resume || self.resume_failed { RunStart::Resumed } else { RunStart::Fresh }
    }

    fn resume_policy(&self) -> Option<ResumePolicy> {
        match (self.resume, self.resume_failed) {
            (_, true) => Some(ResumePolicy::RetryFailures),
            (true, false) => Some(ResumePolicy::KeepFailures),
            (false, false) => None,
        }
    }

    /// How often a task may be started.
    pub fn most_attempts(&self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// How failed tasks are retried.
    pub fn retry_policy(&self) -> Retries {
        Retries { count: self.retries, delay: self.retry_delay }
    }

    /// Passes the policy to the job.
    pub fn apply(&self, job: &mut Job) {
        job.halt = self.halt;
        job.retries = self.retry_policy();
    }
}

/// Parses `never`, or `soon` or `now`, perhaps with `,fail=N` or `,fail=N%`.
fn halt(text: &str) -> Result<Halt, String> {
    const HELP: &str =
        "give never, soon or now, with ,fail=N or ,fail=N% to wait for more failures, such as soon,fail=10%";
    let (when, at) = match text.split_once(",fail=") {
        None => (text, HaltAt::Count(1)),
        Some((when, number)) => (when, halt_at(number).map_err(|error| format!("{error}; {HELP}"))?),
    };
    match when {
        "never" if text == when => Ok(Halt::Never),
        "soon" => Ok(Halt::Soon(at)),
        "now" => Ok(Halt::Now(at)),
        _ => Err(HELP.to_owned()),
    }
}

/// Parses `N` or `N%`.
fn halt_at(number: &str) -> Result<HaltAt, String> {
    let at = match number.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(HaltAt::Percent),
        None => number.parse().ok().filter(|count| *count > 0).map(HaltAt::Count),
    };
    at.ok_or_else(|| format!("fail={number} is neither a number above 0 nor a percentage from 1% to 100%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halting_reads_as_it_is_shown() {
        for (text, wanted) in [
            ("never", Halt::Never),
            ("soon", Halt::Soon(HaltAt::Count(1))),
            ("now", Halt::Now(HaltAt::Count(1))),
            ("soon,fail=3", Halt::Soon(HaltAt::Count(3))),
            ("now,fail=10%", Halt::Now(HaltAt::Percent(10))),
        ] {
            assert_eq!(halt(text), Ok(wanted), "{text}");
            assert_eq!(wanted.to_string(), text);
        }
        for text in
            ["", "later", "never,fail=1", "soon,fail=0", "soon,fail=0%", "now,fail=101%", "soon,fail=-1", "soon,3"]
        {
            assert!(halt(text).is_err(), "{text}");
        }
    }
}
