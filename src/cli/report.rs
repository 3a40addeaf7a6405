//! `wrun report`: a job log as a page.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use wrun::Status;

use super::resume::Earlier;
use super::{print, usage};
use crate::report::{Details, TaskRecord, TaskTexts, page};

/// Tasks in the list of the slowest.
const SLOWEST: usize = 25;

/// Tasks in the list of those that failed.
const FAILED: usize = 500;

/// The latest time that is believed, in seconds since 1970: the year 5138. No duration is longer.
const MAX_SECONDS: f64 = 1e11;

/// Make a web page of a job log: totals, a timeline of the workers, durations, the slowest and the failed tasks
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Read this file, which --joblog wrote
    #[arg(value_name = "JOBLOG")]
    joblog: PathBuf,

    /// Write the page to this file (`-` is standard output)
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: PathBuf,
}

/// What is read of every line.
#[derive(Deserialize)]
struct Line {
    index: u64,
    status: String,
    start: f64,
    seconds: f64,
    worker: u32,
    attempts: u32,
}

/// What is read of the lines that are shown.
#[derive(Deserialize)]
struct Texts {
    item: Option<String>,
    item_base64: Option<String>,
    error: Option<String>,
    backtrace: Option<String>,
    rerun: Option<String>,
}

/// A task, and where its line is.
#[derive(Clone, Copy)]
struct Logged {
    task: TaskRecord,
    offset: u64,
    len: u64,
}

impl ReportArgs {
    /// Reads the log and writes the page.
    ///
    /// # Errors
    ///
    /// Where the file is no job log, or the page cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let name = format!("{:?}", self.joblog.display().to_string());
        let file = File::open(&self.joblog).with_context(|| format!("cannot open joblog {name}"))?;
        let to_stdout = self.output.as_os_str() == "-";
        if !to_stdout
            && self.output.canonicalize().is_ok_and(|path| self.joblog.canonicalize().is_ok_and(|log| log == path))
        {
            return Err(usage("the page would replace the job log; name another file with -o"));
        }
        let logged = read(&file, &name)?;
        let tasks: Vec<TaskRecord> = logged.iter().map(|logged| logged.task).collect();
        let details = details(&logged, &file).with_context(|| format!("cannot read joblog {name}"))?;
        let page = page(&self.joblog.display().to_string(), &tasks, &details);
        match to_stdout {
            true => print::to_stdout(&page)?,
            false => replace(&self.output, page.as_bytes())
                .with_context(|| format!("cannot write page {:?}", self.output.display().to_string()))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The tasks of a log, each by its last line.
fn read(file: &File, name: &str) -> anyhow::Result<Vec<Logged>> {
    let mut earlier = Earlier::default();
    let mut logged: Vec<Option<Logged>> = Vec::new();
    // Where the lines of `earlier` are in `logged`.
    let mut places: Vec<usize> = Vec::new();
    Earlier::read_lines(file, name, |line| {
        let Ok(said) = serde_json::from_slice::<Line>(line.bytes) else {
            bail!("line {} of joblog {name} lacks what a task's line has; name the right file", line.number)
        };
        let Ok(status) = said.status.parse::<Status>() else {
            bail!("line {} of joblog {name} has a status that is none: {:?}", line.number, said.status)
        };
        let (replaced, added) = earlier.add(&line.head, line.offset, line.len);
        if let Some(replaced) = replaced {
            logged[places[replaced]] = None;
        }
        if added {
            places.push(logged.len());
        }
        let task = TaskRecord {
            index: said.index,
            start: said.start.clamp(0.0, MAX_SECONDS),
            seconds: said.seconds.clamp(0.0, MAX_SECONDS),
            worker: said.worker,
            attempts: said.attempts,
            status,
        };
        logged.push(Some(Logged { task, offset: line.offset, len: line.len }));
        Ok(())
    })?;
    Ok(logged.into_iter().flatten().collect())
}

/// The tasks that are shown one by one, with their texts.
fn details(logged: &[Logged], file: &File) -> io::Result<Details> {
    // The smallest is at the top, and goes first.
    let mut slowest = BinaryHeap::new();
    for (at, logged) in logged.iter().enumerate().filter(|(_, logged)| logged.task.attempts > 0) {
        // Seconds that are not negative are in the order of their bits.
        slowest.push(Reverse((logged.task.seconds.to_bits(), Reverse(at))));
        if slowest.len() > SLOWEST {
            slowest.pop();
        }
    }
    let slowest: Vec<&Logged> =
        slowest.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(at)))| &logged[at]).collect();
    let mut failed: Vec<&Logged> =
        logged.iter().filter(|logged| !matches!(logged.task.status, Status::Ok | Status::Cancelled)).collect();
    failed.sort_by_key(|logged| logged.task.index);
    let failed_more = failed.len().saturating_sub(FAILED);
    failed.truncate(FAILED);
    let with_texts = |chosen: Vec<&Logged>| {
        chosen.into_iter().map(|logged| Ok((logged.task, texts(logged, file)?))).collect::<io::Result<Vec<_>>>()
    };
    Ok(Details { slowest: with_texts(slowest)?, failed: with_texts(failed)?, failed_more })
}

fn texts(logged: &Logged, file: &File) -> io::Result<TaskTexts> {
    let mut line = vec![0; usize::try_from(logged.len).map_err(io::Error::other)?];
    file.read_exact_at(&mut line, logged.offset)?;
    let texts: Texts = serde_json::from_slice(&line)?;
    let item = match (texts.item, texts.item_base64) {
        (Some(item), _) => item.into_bytes(),
        (None, Some(base64)) => BASE64.decode(base64).map_err(io::Error::other)?,
        (None, None) => Vec::new(),
    };
    let message = texts.error.unwrap_or_default();
    Ok(TaskTexts { item, message, backtrace: texts.backtrace, rerun: texts.rerun })
}

/// Writes a file so that a failure leaves what was there before; what is no file is written as it is.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    use std::os::unix::fs::PermissionsExt;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let usual = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(usual).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
