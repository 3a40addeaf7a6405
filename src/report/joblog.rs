//! The job log: a line a task, in a file, as each task ends. Another run can go on from there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use wrun::{Outcome, TaskKey};

use super::json::write_json;
use super::task_object::TaskObject;

/// What is known of tasks that have been taken, by their index, until their lines are written.
pub type Begun = Rc<RefCell<HashMap<u64, Name>>>;

/// What a line says of a task besides its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// `None` where an input could not be read.
    pub key: Option<TaskKey>,
    /// Which kind of an earlier line of the same task this one replaces.
    pub replaces: Option<Kind>,
}

/// What a line is to a later run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The task passed.
    Passed,
    /// It failed, and was not to be tried again.
    Failed,
    /// It was cancelled or lost its worker, which says nothing of the task, or was still to be tried again.
    Unfinished,
}

/// A line: the object of `--json`, and what tells the task.
#[derive(Serialize)]
struct Line<'a> {
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Kind>,
    /// Set where it could have been tried again, but the run ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
    #[serde(flatten)]
    task: TaskObject<'a>,
}

/// What every line begins with; a key or null follows.
pub const BEGINNING: &[u8] = br#"{"key":"#;

/// Bytes that are kept for the next line; a longer one gives its memory back.
const KEPT_BYTES: usize = 1 << 20;

/// Writes lines. Each is one write to the end of the file, so that a crash leaves whole lines and at most one cut off.
#[derive(Debug)]
pub struct JobLog {
    path: PathBuf,
    file: File,
    begun: Begun,
    most_attempts: u32,
    line: Vec<u8>,
}

impl JobLog {
    /// Opens a log to write at its end; an existing one only `to_continue` it. Tasks may be started `most_attempts` times.
    ///
    /// # Errors
    ///
    /// Where it exists and is not to be continued, another run writes to it, or it cannot be opened.
    pub fn open(path: &Path, to_continue: ToContinue, most_attempts: u32) -> anyhow::Result<JobLog> {
        let name = quoted(path);
        let existing = to_continue == ToContinue::Yes;
        let file = OpenOptions::new().read(existing).append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot open joblog {name}"))?;
        let metadata = file.metadata().with_context(|| format!("cannot open joblog {name}"))?;
        if metadata.is_file() {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => bail!("joblog {name} is written by another run; give each its own"),
                // A file system without locks has none to respect.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            // Nothing that has been done is lost by mistake.
            if !existing && file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                bail!("joblog {name} exists; add --resume to continue it, or remove it");
            }
        } else if existing {
            bail!("joblog {name} is no file, so there is nothing to resume; leave --resume out");
        }
        Ok(JobLog { path: path.to_owned(), file, begun: Begun::default(), most_attempts, line: Vec::new() })
    }

    /// The file, and its name for messages.
    pub fn file(&self) -> (&File, String) {
        (&self.file, quoted(&self.path))
    }

    /// Where it is noted what to call tasks that are taken.
    pub fn begun(&self) -> Begun {
        Rc::clone(&self.begun)
    }

    /// Ends a line that was cut off.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn end_line(&mut self) -> anyhow::Result<()> {
        self.file.write_all(b"\n").with_context(|| self.problem())
    }

    /// Writes the line of a task that has ended, unless it ended in an earlier run.
    ///
    /// # Errors
    ///
    /// Where the file takes no more.
    pub fn write(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        let Some(Name { key, replaces }) = self.begun.borrow_mut().remove(&outcome.index) else { return Ok(()) };
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
        self.line.shrink_to(KEPT_BYTES);
        written.with_context(|| self.problem())
    }

    fn problem(&self) -> String {
        format!("the run was stopped, because joblog {} cannot be written", quoted(&self.path))
    }
}

/// Whether a log that exists is to be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToContinue {
    /// It is.
    Yes,
    /// It must not exist.
    No,
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
