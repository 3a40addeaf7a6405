//! What a `map` does about tasks that fail.

use std::path::PathBuf;
use std::time::Duration;

use wrun::{Halt, HaltAt, Job, Retries};

use super::resume::{Earlier, Resume};
use super::{parse, usage};
use crate::report::{JobLog, ToContinue};

/// Options about failed tasks.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Failure")]
pub struct FailureArgs {
    /// End the run when tasks have failed: start no more (soon), or kill running ones, too (now); fail=N waits for N
    /// failures [default for soon and now: 1], fail=N% for that share of the tasks that have ended, not before 3 have
    #[arg(long, value_name = "never|soon|now[,fail=N|N%]", default_value = "never", hide_default_value = true, value_parser = halt)]
    halt: Halt,

    /// Try a failed task up to N more times, but not one that was denied something
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,

    /// Wait this long before the first retry of a task (500ms, 2s, 1m), and twice as long before each further one, up to 10 s
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse::duration)]
    retry_delay: Duration,

    /// Write a JSON object a line to FILE for each task as it ends, with its result
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,

    /// Go on from the job log: take the results and failures of finished tasks from there, run the others and those whose
    /// worker was lost
    #[arg(long)]
    resume: bool,

    /// Go on from the job log, but run failed tasks again, too
    #[arg(long)]
    resume_failed: bool,
}

/// A job log, and what an earlier run wrote to it, where that is resumed.
pub type OpenLog = (JobLog, Option<(Resume, Earlier)>);

impl FailureArgs {
    /// Opens the job log, and reads what an earlier run wrote to it.
    ///
    /// # Errors
    ///
    /// Where there is nothing to resume from, or the log cannot be used.
    pub fn open_log(&self) -> anyhow::Result<Option<OpenLog>> {
        let resume = match (self.resume, self.resume_failed) {
            (_, true) => Some(Resume::Passed),
            (true, false) => Some(Resume::AllDone),
            (false, false) => None,
        };
        let Some(path) = &self.joblog else {
            return match resume {
                Some(_) => Err(usage("--resume and --resume-failed go on from a log; name it with --joblog FILE")),
                None => Ok(None),
            };
        };
        let most_attempts = self.retries.saturating_add(1);
        let Some(resume) = resume else { return Ok(Some((JobLog::open(path, ToContinue::No, most_attempts)?, None))) };
        let mut log = JobLog::open(path, ToContinue::Yes, most_attempts)?;
        let earlier = Earlier::read(&mut log)?;
        Ok(Some((log, Some((resume, earlier)))))
    }

    /// Whether a run is to be continued.
    pub fn to_continue(&self) -> ToContinue {
        if self.resume || self.resume_failed { ToContinue::Yes } else { ToContinue::No }
    }

    /// As [`open_log`](Self::open_log), where nothing will run: a log that is not resumed, or is not there, is left alone.
    ///
    /// # Errors
    ///
    /// As [`open_log`](Self::open_log).
    pub fn open_log_to_look(&self) -> anyhow::Result<Option<OpenLog>> {
        let is_there = self.joblog.as_ref().is_none_or(|path| path.exists());
        if (self.resume || self.resume_failed) && is_there { self.open_log() } else { Ok(None) }
    }

    /// Sets what the library does of it.
    pub fn apply(&self, job: &mut Job) {
        job.halt = self.halt;
        job.retries = Retries { count: self.retries, delay: self.retry_delay };
    }
}

/// Reads `never`, or `soon` or `now`, perhaps with `,fail=N` or `,fail=N%`.
fn halt(text: &str) -> Result<Halt, String> {
    const HELP: &str =
        "give never, soon or now, with ,fail=N or ,fail=N% to wait for more failures, such as soon,fail=10%";
    let (when, at) = match text.split_once(",fail=") {
        None => (text, HaltAt::Count(1)),
        Some((when, number)) => {
            let at = match number.strip_suffix('%') {
                Some(percent) => {
                    percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(HaltAt::Percent)
                }
                None => number.parse().ok().filter(|count| *count > 0).map(HaltAt::Count),
            };
            (
                when,
                at.ok_or_else(|| {
                    format!("fail={number} is no number above 0 and no percentage from 1% to 100%; {HELP}")
                })?,
            )
        }
    };
    match when {
        "never" if text == when => Ok(Halt::Never),
        "soon" => Ok(Halt::Soon(at)),
        "now" => Ok(Halt::Now(at)),
        _ => Err(HELP.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        failure: FailureArgs,
    }

    #[test]
    fn the_defaults_shown_are_those_of_the_library() {
        let FailureArgs { halt, retries, retry_delay, .. } = Line::parse_from(["wrun"]).failure;
        assert_eq!(halt, Halt::default());
        assert_eq!(Retries { count: retries, delay: retry_delay }, Retries::default());
    }

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
