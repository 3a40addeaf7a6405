//! The job log: a file with one line per task, written as each task finishes. A later run can resume from it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use wrun::Outcome;
use wrun::cache::TaskKey;

use super::RunStart;
use super::outlet::Outlet;
use super::results::task_object::TaskObject;
use super::results::write_json;

/// Tasks that have been taken but have no line yet, by index.
pub type PendingTasks = Rc<RefCell<HashMap<u64, PendingTask>>>;

/// What a line says about a task besides its outcome.
#[derive(Clone, Copy, Debug)]
pub struct PendingTask {
    /// `None` if an input could not be read.
    pub key: Option<TaskKey>,
    /// The status of an earlier line of the same task that this one replaces.
    pub replaces: Option<LoggedStatus>,
}

/// What a line means to a later run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoggedStatus {
    /// The task passed.
    Passed,
    /// It failed, and had no attempts left.
    Failed,
    /// It was cancelled or lost its worker, which says nothing about the task, or it had attempts left.
    Unfinished,
}

/// A line: the object of `--json`, and what identifies the task.
#[derive(Serialize)]
struct Line<'a> {
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<LoggedStatus>,
    /// Set if it had attempts left when the run ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
    #[serde(flatten)]
    task: TaskObject<'a>,
}

/// The start of every line; a key or null follows.
pub const LINE_START: &[u8] = br#"{"key":"#;

/// The capacity that is kept for the next line; longer lines free the rest.
const KEPT_BYTES: usize = 1 << 20;

/// Writes lines. Each is one write to the end of the file, so that a crash leaves complete lines and at most one that is cut off.
#[derive(Debug)]
pub struct JobLog {
    path: PathBuf,
    file: Outlet,
    pending: PendingTasks,
    most_attempts: u32,
    line: Vec<u8>,
    /// The length of a regular file after the last write.
    len: Option<u64>,
}

impl JobLog {
    /// Opens a log to append to it. Only a resumed run accepts an existing one. Tasks may be started `most_attempts` times.
    ///
    /// # Errors
    ///
    /// If it exists and is not resumed, if another run writes to it, or if it cannot be opened.
    pub fn open(path: &Path, start: RunStart, most_attempts: u32) -> anyhow::Result<JobLog> {
        let name = quoted(path);
        let is_resumed = start == RunStart::Resumed;
        let file = OpenOptions::new().read(is_resumed).append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot open joblog {name}"))?;
        let metadata = file.metadata().with_context(|| format!("cannot open joblog {name}"))?;
        if metadata.is_file() {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => bail!("joblog {name} is in use by another run; give each run its own"),
                // The file system has no locks.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            // What an earlier run has done must not be lost by mistake.
            if !is_resumed && file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                bail!("joblog {name} exists; add --resume to continue it, or remove it");
            }
        } else if is_resumed {
            bail!("joblog {name} is not a regular file, so there is nothing to resume; omit --resume");
        }
        let len = metadata.is_file().then_some(metadata.len());
        let (path, pending, line) = (path.to_owned(), PendingTasks::default(), Vec::new());
        Ok(JobLog { path, file: Outlet::new(file), pending, most_attempts, line, len })
    }

    /// The file, and its name for messages.
    pub fn file(&self) -> (&File, String) {
        (self.file.file(), quoted(&self.path))
    }

    /// The tasks that have no line yet, to be added to by whoever takes them.
    pub fn pending(&self) -> PendingTasks {
        Rc::clone(&self.pending)
    }

    /// Removes what follows the first `len` bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn truncate(&mut self, len: u64) -> anyhow::Result<()> {
        self.file.file().set_len(len).with_context(|| self.problem())?;
        self.len = Some(len);
        Ok(())
    }

    /// Ends a line that lacks its newline.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn end_line(&mut self) -> anyhow::Result<()> {
        self.file.write_all(b"\n").with_context(|| self.problem())?;
        self.len = self.len.map(|len| len + 1);
        Ok(())
    }

    /// Writes the line of a finished task, unless it finished in an earlier run.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        let pending = self.pending.borrow_mut().remove(&outcome.index);
        let Some(PendingTask { key, replaces }) = pending else { return Ok(()) };
        let line = Line {
            key: key.map(|key| key.to_string()),
            replaces,
            unfinished: (1..self.most_attempts).contains(&outcome.stats.attempts) && outcome.status().may_be_retried(),
            task: TaskObject::of_task(outcome),
        };
        self.line.clear();
        let written = write_json(&mut self.line, &line).map_err(io::Error::from).and_then(|()| {
            self.line.push(b'\n');
            self.file.write_all(&self.line)
        });
        self.len = self.len.map(|len| len + self.line.len() as u64);
        self.line.shrink_to(KEPT_BYTES);
        written.with_context(|| self.problem())
    }

    /// Checks, after the run, that its lines are still there.
    ///
    /// # Errors
    ///
    /// If somebody has truncated or removed the file.
    pub fn finish(&self) -> anyhow::Result<()> {
        let Some(len) = self.len else { return Ok(()) };
        let metadata = self.file.file().metadata().with_context(|| self.problem())?;
        let how = match metadata.nlink() {
            0 => "removed",
            _ if metadata.len() < len => "truncated",
            _ => return Ok(()),
        };
        bail!("joblog {} was {how} during the run, and lines of it are lost", quoted(&self.path))
    }

    fn problem(&self) -> String {
        format!("the run was stopped, because joblog {} cannot be written", quoted(&self.path))
    }
}

fn quoted(path: &Path) -> String {
    format!("{path:?}")
}
