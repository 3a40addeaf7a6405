//! The job log of an earlier run: which tasks it has, and how they ended.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::{DecodeError, Engine as _};
use serde::Deserialize;
use wrun::cache::TaskKey;
use wrun::result::Finished;
use wrun::{Output, Status, TaskError, TaskStats};

use crate::report::{JobLog, LINE_START, LoggedStatus};

/// The tasks of an earlier run by key. Equal items have one entry each.
///
/// Outcomes stay in the file; an entry takes about 60 bytes of memory.
#[derive(Debug, Default)]
pub struct EarlierRun {
    /// The last entry of each key and status.
    last: HashMap<(TaskKey, LoggedStatus), u32>,
    entries: Vec<LogEntry>,
}

/// Where a task's line is in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry {
    offset: u64,
    len: u64,
    /// How the task ended.
    pub status: LoggedStatus,
    /// The entry before it of the same key and status.
    before: Option<u32>,
}

/// A line of a log.
pub struct JobLogLine<'a> {
    /// From 1.
    pub number: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its length in bytes, with the newline.
    pub len: u64,
    /// Its text, which is JSON.
    pub bytes: &'a [u8],
    /// What every line has.
    pub header: LineHeader,
}

/// The part of a line that says which task it is about.
#[derive(Deserialize)]
pub struct LineHeader {
    key: Option<String>,
    replaces: Option<LoggedStatus>,
    #[serde(default)]
    unfinished: bool,
    status: String,
}

/// The part of a line that says how the task ended.
#[derive(Deserialize)]
struct LoggedOutcome {
    status: String,
    output: Option<String>,
    output_base64: Option<String>,
    stdout: Option<String>,
    stdout_base64: Option<String>,
    stderr: Option<String>,
    stderr_base64: Option<String>,
    exit_code: Option<i32>,
    error: Option<String>,
    hint: Option<String>,
    backtrace: Option<String>,
    start: f64,
    seconds: f64,
    worker: u32,
    attempts: u32,
    fuel: Option<u64>,
}

/// What adding a line changed.
pub struct Added {
    /// The number of the entry that the line replaces.
    pub replaced: Option<usize>,
    /// Whether the line has become an entry.
    pub is_entry: bool,
}

impl EarlierRun {
    /// Reads a log; gives also how it ends.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has a line that is not from a job log, unless only such lines follow.
    pub fn read(log: &JobLog) -> anyhow::Result<(EarlierRun, LogEnd)> {
        let (file, name) = log.file();
        let mut earlier = EarlierRun::default();
        let end = read_lines(file, &name, |line| {
            earlier.add(&line.header, line.offset, line.len);
            Ok(())
        })?;
        Ok((earlier, end))
    }

    /// Adds a line, if its task has a key.
    pub fn add(&mut self, header: &LineHeader, offset: u64, len: u64) -> Added {
        let key = header.key.as_deref().and_then(|key| key.parse().ok());
        let (Some(key), Ok(status)) = (key, header.status.parse::<Status>()) else {
            return Added { replaced: None, is_entry: false };
        };
        let replaced = header.replaces.and_then(|status| self.take_last(key, status));
        let status = match status {
            Status::Ok => LoggedStatus::Passed,
            Status::WorkerLost | Status::Cancelled => LoggedStatus::Unfinished,
            _ if header.unfinished => LoggedStatus::Unfinished,
            _ => LoggedStatus::Failed,
        };
        let number = self.entries.len() as u32;
        let before = self.last.insert((key, status), number);
        self.entries.push(LogEntry { offset, len, status, before });
        Added { replaced: replaced.map(|number| number as usize), is_entry: true }
    }

    /// Takes one entry of this key: one that passed if there is any, otherwise one that failed.
    pub fn take(&mut self, key: TaskKey) -> Option<LogEntry> {
        let best_first = [LoggedStatus::Passed, LoggedStatus::Failed, LoggedStatus::Unfinished];
        let number = best_first.into_iter().find_map(|status| self.take_last(key, status))?;
        Some(self.entries[number as usize])
    }

    fn take_last(&mut self, key: TaskKey, status: LoggedStatus) -> Option<u32> {
        let number = self.last.remove(&(key, status))?;
        if let Some(before) = self.entries[number as usize].before {
            self.last.insert((key, status), before);
        }
        Some(number)
    }
}

/// How a log ends.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// The end of the last line that is from a job log.
    len: u64,
    /// Whether the log ends in a newline.
    is_complete: bool,
    /// What follows it.
    rest: Option<LogRest>,
}

/// The end of a log that cannot be read.
#[derive(Clone, Copy, Debug)]
struct LogRest {
    /// The number of its first line.
    line: u64,
    /// Its length in bytes.
    bytes: u64,
    /// The number of the first line that is not just cut off.
    garbage: Option<u64>,
}

impl LogEnd {
    /// Prepares the log for more lines: removes what is not from a job log, and ends a line that was cut off.
    ///
    /// # Errors
    ///
    /// If the log cannot be written.
    pub fn repair(&self, log: &mut JobLog) -> anyhow::Result<()> {
        if self.rest.is_some_and(|rest| rest.garbage.is_some()) {
            // What is left ends in a newline, because another line followed.
            log.truncate(self.len)
        } else if self.is_complete {
            Ok(())
        } else {
            log.end_line()
        }
    }

    /// A warning about an end that is not from a job log, and what becomes of it. One line that was cut off is what every crash leaves.
    pub fn warning(&self, name: &str, fate: &str) -> Option<String> {
        let LogRest { line, bytes, garbage } = self.rest?;
        garbage?;
        Some(format!(
            "warning: joblog {name} ends in {bytes} bytes that are not from a joblog, from line {line} on; they are {fate}"
        ))
    }
}

/// Passes each line of a log to `each`; gives how it ends.
///
/// # Errors
///
/// As [`EarlierRun::read`], and if `each` fails.
pub fn read_lines(
    file: &File,
    name: &str,
    mut each: impl FnMut(&JobLogLine<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<LogEnd> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let not_ours =
        |line: u64| anyhow!("line {line} of joblog {name} is not from a joblog; name the right file, or remove it");
    let (mut bytes, mut offset) = (Vec::new(), 0);
    let mut end = LogEnd { len: 0, is_complete: true, rest: None };
    for number in 1u64.. {
        let len = next_line(&mut reader, &mut bytes).with_context(|| format!("cannot read joblog {name}"))?;
        if len == 0 {
            break;
        }
        match serde_json::from_slice::<LineHeader>(&bytes) {
            Ok(header) => {
                // Only an end can have been lost in a crash.
                if let Some(line) = end.rest.and_then(|rest| rest.garbage) {
                    return Err(not_ours(line));
                }
                each(&JobLogLine { number, offset, len, bytes: &bytes, header })?;
                end = LogEnd { len: offset + len, is_complete: true, rest: None };
            }
            Err(_) => {
                let was_cut = bytes.starts_with(LINE_START)
                    || !bytes.is_empty() && LINE_START.starts_with(bytes.trim_ascii_end());
                // If no line is from a job log, it is some other file.
                if !was_cut && end.len == 0 {
                    return Err(not_ours(number));
                }
                let rest = end.rest.get_or_insert(LogRest { line: number, bytes: 0, garbage: None });
                rest.bytes += len;
                rest.garbage = rest.garbage.or((!was_cut).then_some(number));
            }
        }
        offset += len;
        end.is_complete = bytes.ends_with(b"\n");
    }
    Ok(end)
}

/// Reads a line; gives its length, which is 0 at the end. A line that cannot be from a job log may be very long, and is not kept.
fn next_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<u64> {
    bytes.clear();
    let is_possible =
        reader.fill_buf()?.first().is_none_or(|first| LINE_START.starts_with(&[*first]) || *first == b'\n');
    let len = if is_possible { reader.read_until(b'\n', bytes)? } else { reader.skip_until(b'\n')? };
    Ok(len as u64)
}

impl LogEntry {
    /// Reads the outcome; `None` if the file has changed.
    pub fn outcome(&self, file: &File) -> Option<Finished> {
        let mut line = vec![0; usize::try_from(self.len).ok()?];
        file.read_exact_at(&mut line, self.offset).ok()?;
        let logged: LoggedOutcome = serde_json::from_slice(&line).ok()?;
        let status = logged.status.parse().ok()?;
        let result = match status {
            Status::Ok => Ok(Output::from(bytes(logged.output, logged.output_base64).ok()?)),
            _ => {
                let stdout = Output::from(bytes(logged.stdout, logged.stdout_base64).ok()?);
                Err(TaskError::new(status, logged.error.unwrap_or_default())
                    .hint(logged.hint)
                    .stdout(Some(stdout).filter(|stdout| !stdout.is_empty()))
                    .backtrace(logged.backtrace))
            }
        };
        let stderr = bytes(logged.stderr, logged.stderr_base64).ok()?;
        let start = Duration::try_from_secs_f64(logged.start).ok().and_then(|since| UNIX_EPOCH.checked_add(since));
        let duration = Duration::try_from_secs_f64(logged.seconds).unwrap_or_default();
        let stats = TaskStats::new(start.unwrap_or(UNIX_EPOCH), duration);
        let mut stats = stats.worker(logged.worker).attempts(logged.attempts);
        stats.fuel = logged.fuel;
        Some(Finished::new(result, stats).stderr(stderr).exit_code(logged.exit_code))
    }
}

/// What a line has as text, or in base64 if it is not UTF-8; empty if it has neither.
///
/// # Errors
///
/// If it is not base64.
pub fn bytes(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, DecodeError> {
    match (text, base64) {
        (Some(text), _) => Ok(text.into_bytes()),
        (None, Some(base64)) => BASE64.decode(base64),
        (None, None) => Ok(Vec::new()),
    }
}
