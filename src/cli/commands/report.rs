//! `wrun report`: a job log as a web page.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use wrun::Status;

use crate::cli::errors::usage;
use crate::cli::file_roles::{FileRoles, is_same_file};
use crate::cli::items::earlier_run::{EarlierRun, JobLogLine, bytes, read_lines};
use crate::cli::stdout;
use crate::report::{Details, TaskRecord, TaskTexts, line_to_stderr, page};

/// The length of the list of slowest tasks.
const SLOWEST: usize = 25;

/// The length of the list of failed tasks.
const FAILED: usize = 500;

/// Later times and longer durations are cut to this, in seconds since 1970: the year 5138.
const MAX_SECONDS: f64 = 1e11;

/// Turn a job log into a web page
///
/// The page shows totals, a timeline of the workers, a histogram of durations, and the slowest and the failed tasks.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Read this file, which --joblog wrote
    #[arg(value_name = "JOBLOG")]
    joblog: PathBuf,

    /// Write the page to this file (`-` is standard output)
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: PathBuf,
}

/// The part of each line that the totals and drawings need.
#[derive(Deserialize)]
struct LoggedRecord {
    index: u64,
    status: String,
    start: f64,
    seconds: f64,
    worker: u32,
    attempts: u32,
}

/// The part of a line that a list shows.
#[derive(Deserialize)]
struct LoggedTexts {
    item: Option<String>,
    item_base64: Option<String>,
    error: Option<String>,
    hint: Option<String>,
    backtrace: Option<String>,
    rerun: Option<String>,
}

/// A task, and where its line is in the log.
#[derive(Clone, Copy)]
struct LoggedTask {
    task: TaskRecord,
    offset: u64,
    len: u64,
}

impl ReportArgs {
    /// Reads the log and writes the page.
    ///
    /// # Errors
    ///
    /// If the file is not a job log, or the page cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let name = format!("{:?}", self.joblog);
        // Its lines are read again, and opening a pipe would wait for its writer.
        if self.joblog.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            bail!("joblog {name} is not a regular file; save its contents to a file first");
        }
        let file = File::open(&self.joblog).with_context(|| format!("cannot open joblog {name}"))?;
        let to_stdout = self.output.as_os_str() == "-";
        if !to_stdout && is_same_file(&self.output, &self.joblog) {
            return Err(usage("the page would replace the job log; name another file with -o"));
        }
        if to_stdout {
            let mut roles = FileRoles::default();
            roles.write_stream("standard output", io::stdout())?;
            roles.read("the job log", &self.joblog)?;
        }
        let logged = read_tasks(&file, &name)?;
        let tasks: Vec<TaskRecord> = logged.iter().map(|logged| logged.task).collect();
        let details = details(&logged, &file).with_context(|| format!("cannot read joblog {name}"))?;
        let page = page(self.joblog.as_os_str().as_bytes(), &tasks, &details);
        match to_stdout {
            true => stdout::print(&page)?,
            false => replace(&self.output, page.as_bytes())
                .with_context(|| format!("cannot write page {:?}", self.output))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The tasks of a log, each with its last line.
fn read_tasks(file: &File, name: &str) -> anyhow::Result<Vec<LoggedTask>> {
    let mut earlier = EarlierRun::default();
    let mut logged: Vec<Option<LoggedTask>> = Vec::new();
    // The positions in `logged` of the entries in `earlier`.
    let mut positions: Vec<usize> = Vec::new();
    let end = read_lines(file, name, |line| {
        let task = task_record(line, name)?;
        let added = earlier.add(&line.header, line.offset, line.len);
        if let Some(replaced) = added.replaced {
            logged[positions[replaced]] = None;
        }
        if added.is_entry {
            positions.push(logged.len());
        }
        logged.push(Some(LoggedTask { task, offset: line.offset, len: line.len }));
        Ok(())
    })?;
    if let Some(warning) = end.warning(name, "passed over") {
        line_to_stderr(&format!("wrun: {warning}"));
    }
    Ok(logged.into_iter().flatten().collect())
}

fn task_record(line: &JobLogLine<'_>, name: &str) -> anyhow::Result<TaskRecord> {
    let Ok(record) = serde_json::from_slice::<LoggedRecord>(line.bytes) else {
        bail!("line {} of joblog {name} lacks fields that a task's line has; name the right file", line.number)
    };
    let Ok(status) = record.status.parse::<Status>() else {
        bail!("line {} of joblog {name} has an unknown status: {:?}", line.number, record.status)
    };
    Ok(TaskRecord {
        index: record.index,
        start: record.start.clamp(0.0, MAX_SECONDS),
        seconds: record.seconds.clamp(0.0, MAX_SECONDS),
        worker: record.worker,
        attempts: record.attempts,
        status,
    })
}

/// The tasks that are listed one by one, with their texts.
fn details(logged: &[LoggedTask], file: &File) -> io::Result<Details> {
    let mut failed: Vec<&LoggedTask> =
        logged.iter().filter(|logged| !matches!(logged.task.status, Status::Ok | Status::Cancelled)).collect();
    failed.sort_by_key(|logged| logged.task.index);
    let failed_more = failed.len().saturating_sub(FAILED);
    failed.truncate(FAILED);
    let with_texts = |chosen: Vec<&LoggedTask>| {
        chosen.into_iter().map(|logged| Ok((logged.task, texts(logged, file)?))).collect::<io::Result<Vec<_>>>()
    };
    Ok(Details { slowest: with_texts(slowest(logged))?, failed: with_texts(failed)?, failed_more })
}

/// The slowest tasks, the slowest first.
fn slowest(logged: &[LoggedTask]) -> Vec<&LoggedTask> {
    // The fastest is at the top of the heap, and is dropped first.
    let mut heap = BinaryHeap::new();
    for (at, logged) in logged.iter().enumerate().filter(|(_, logged)| logged.task.attempts > 0) {
        // Floats that are not negative have the order of their bits.
        heap.push(Reverse((logged.task.seconds.to_bits(), Reverse(at))));
        if heap.len() > SLOWEST {
            heap.pop();
        }
    }
    heap.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(at)))| &logged[at]).collect()
}

fn texts(logged: &LoggedTask, file: &File) -> io::Result<TaskTexts> {
    let mut line = vec![0; usize::try_from(logged.len).map_err(io::Error::other)?];
    file.read_exact_at(&mut line, logged.offset)?;
    let texts: LoggedTexts = serde_json::from_slice(&line)?;
    let item = bytes(texts.item, texts.item_base64).map_err(io::Error::other)?;
    let message = [texts.error, texts.hint].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Ok(TaskTexts { item, message, backtrace: texts.backtrace, rerun: texts.rerun })
}

/// Replaces a file in one step, so that a failure leaves the old one. What is not a regular file is written in place.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    // What a link leads to is replaced, and not the link: with `> FILE`, /dev/stdout is one.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let usual = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(usual).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
