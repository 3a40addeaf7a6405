//! Going on from a job log: what is in it is not run again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::task::{Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use wrun::Finished;
use wrun::{Output, OutputFile, Source, Status, Task, TaskError, TaskKey, TaskKeys, TaskStats, TaskUsage, Waker};

use super::items::Items;
use crate::report::{BEGINNING, Begun, JobLog, Kind, Name};

/// Which tasks of a log are not run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Those that passed or failed.
    AllDone,
    /// Those that passed.
    Passed,
}

/// The tasks of an earlier run, by key. Equal items have a line each, and each line stands for one of them.
///
/// Outcomes stay in the file; in memory there are some 60 bytes a line.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The last line of each kind that a key has.
    last: HashMap<(TaskKey, Kind), u32>,
    lines: Vec<Place>,
}

/// Where a line is.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    len: u64,
    kind: Kind,
    /// The line of the same key and kind before it.
    before: Option<u32>,
}

/// A line of a log.
pub struct LogLine<'a> {
    /// From 1.
    pub number: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its bytes, with the newline.
    pub len: u64,
    /// The same as JSON.
    pub bytes: &'a [u8],
    /// What tells the task.
    pub head: Head,
}

/// What is looked at in every line.
#[derive(Deserialize)]
pub struct Head {
    key: Option<String>,
    replaces: Option<Kind>,
    #[serde(default)]
    unfinished: bool,
    status: String,
}

/// An outcome in a line.
#[derive(Deserialize)]
struct Logged {
    status: String,
    output: Option<String>,
    output_base64: Option<String>,
    error: Option<String>,
    backtrace: Option<String>,
    start: f64,
    seconds: f64,
    worker: u32,
    attempts: u32,
    fuel: Option<u64>,
}

impl Earlier {
    /// Reads a log, and makes it ready to be continued on a line of its own.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or has a line that is none of a log. Lines that were cut off are passed over.
    pub fn read(log: &mut JobLog) -> anyhow::Result<Earlier> {
        let (file, name) = log.file();
        let mut earlier = Earlier::default();
        let ended = Earlier::read_lines(file, &name, |line| {
            earlier.add(&line.head, line.offset, line.len);
            Ok(())
        })?;
        if !ended {
            log.end_line()?;
        }
        Ok(earlier)
    }

    /// Gives `each` the lines of a log, and says whether the last one has its end.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and where `each` fails.
    pub fn read_lines(
        file: &File,
        name: &str,
        mut each: impl FnMut(&LogLine<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let (mut line, mut offset, mut ended) = (Vec::new(), 0, true);
        for number in 1u64.. {
            line.clear();
            let len = reader.read_until(b'\n', &mut line).with_context(|| format!("cannot read joblog {name}"))? as u64;
            if len == 0 {
                break;
            }
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) => each(&LogLine { number, offset, len, bytes: &line, head })?,
                Err(_) if line.starts_with(BEGINNING) || BEGINNING.starts_with(line.trim_ascii_end()) => {}
                Err(_) => {
                    bail!("line {number} of joblog {name} is none of a joblog; name the right file, or remove it")
                }
            }
            offset += len;
            ended = line.ends_with(b"\n");
        }
        Ok(ended)
    }

    /// Adds a line, where it can be known again; gives the number of the added line that it replaces, and whether it was added.
    pub fn add(&mut self, head: &Head, offset: u64, len: u64) -> (Option<usize>, bool) {
        let key = head.key.as_deref().and_then(|key| key.parse().ok());
        let (Some(key), Ok(status)) = (key, head.status.parse::<Status>()) else { return (None, false) };
        let replaced = head.replaces.and_then(|kind| self.take_kind(key, kind));
        let kind = match status {
            Status::Ok => Kind::Passed,
            Status::WorkerLost | Status::Cancelled => Kind::Unfinished,
            _ if head.unfinished => Kind::Unfinished,
            _ => Kind::Failed,
        };
        let number = self.lines.len() as u32;
        let before = self.last.insert((key, kind), number);
        self.lines.push(Place { offset, len, kind, before });
        (replaced.map(|number| number as usize), true)
    }

    fn take_kind(&mut self, key: TaskKey, kind: Kind) -> Option<u32> {
        let number = self.last.remove(&(key, kind))?;
        if let Some(before) = self.lines[number as usize].before {
            self.last.insert((key, kind), before);
        }
        Some(number)
    }

    /// Takes one line of this key, the best there is.
    fn take(&mut self, key: TaskKey) -> Option<Place> {
        let number =
            [Kind::Passed, Kind::Failed, Kind::Unfinished].into_iter().find_map(|kind| self.take_kind(key, kind))?;
        Some(self.lines[number as usize])
    }
}

impl Place {
    /// Reads the outcome; `None` where the file is not what it was.
    fn outcome(&self, file: &File) -> Option<Finished> {
        let mut line = vec![0; usize::try_from(self.len).ok()?];
        file.read_exact_at(&mut line, self.offset).ok()?;
        let logged: Logged = serde_json::from_slice(&line).ok()?;
        let status = logged.status.parse().ok()?;
        let output = match (logged.output, logged.output_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(base64)) => BASE64.decode(base64).ok()?,
            (None, None) => Vec::new(),
        };
        let error = |message| TaskError { status, message, backtrace: logged.backtrace, core_dump: None };
        let result = match status {
            Status::Ok => Ok(Output::from(output)),
            _ => Err(error(logged.error.unwrap_or_default())),
        };
        let start = Duration::try_from_secs_f64(logged.start).ok().and_then(|since| UNIX_EPOCH.checked_add(since));
        let stats = TaskStats {
            start: start.unwrap_or(UNIX_EPOCH),
            duration: Duration::try_from_secs_f64(logged.seconds).unwrap_or_default(),
            worker: logged.worker,
            attempts: logged.attempts,
            fuel: logged.fuel,
            cached: false,
            usage: TaskUsage::default(),
        };
        Some(Finished { result, log: Vec::new(), stats })
    }
}

/// The items of a `map`, noted for its job log; those that are in the log of an earlier run have their outcomes from there.
pub struct LoggedItems {
    items: Items,
    log: Option<Log>,
}

struct Log {
    keys: TaskKeys,
    begun: Begun,
    taken: u64,
    /// Bytes of a slice, and of the file with them when the run began.
    slices: Option<(u64, u64)>,
    earlier: Option<(Resume, Earlier, File)>,
}

impl LoggedItems {
    /// Items of a run that has no log.
    pub fn without_log(items: Items) -> LoggedItems {
        LoggedItems { items, log: None }
    }

    /// Items of a run that writes `log`, and where it is resumed, of `earlier` ones. Those whose slice of `out` is not there run again.
    ///
    /// # Errors
    ///
    /// Where the system has no further descriptor.
    pub fn new(
        items: Items,
        keys: TaskKeys,
        log: &JobLog,
        earlier: Option<(Resume, Earlier)>,
        out: Option<&OutputFile>,
    ) -> anyhow::Result<LoggedItems> {
        let (file, name) = log.file();
        let earlier = match earlier {
            Some((resume, earlier)) => {
                let file = file.try_clone().with_context(|| format!("cannot read joblog {name}"))?;
                Some((resume, earlier, file))
            }
            None => None,
        };
        let slices = match out {
            Some(out) => Some((out.slice_bytes(), out.file().metadata().context("--out")?.len())),
            None => None,
        };
        Ok(LoggedItems { items, log: Some(Log { keys, begun: log.begun(), taken: 0, slices, earlier }) })
    }
}

impl LoggedItems {
    /// Waits for the next task; for callers who are no run.
    pub fn wait_for_task(&mut self) -> Option<Task> {
        let task = self.items.wait_for_task()?;
        Some(match &mut self.log {
            Some(log) => log.note(task),
            None => task,
        })
    }
}

impl Log {
    /// Notes a task; gives it its outcome where that is known.
    fn note(&mut self, task: Task) -> Task {
        let index = self.taken;
        self.taken += 1;
        // A task whose input cannot be read says so itself.
        let key = self.keys.at(index, &task).ok();
        let mut replaces = None;
        if let (Some(key), Some((resume, earlier, file))) = (key, &mut self.earlier)
            && let Some(place) = earlier.take(key)
        {
            let is_written = self.slices.is_none_or(|(bytes, len)| (index + 1).saturating_mul(bytes) <= len);
            let stands = match place.kind {
                _ if !is_written => false,
                Kind::Passed => true,
                Kind::Failed => *resume == Resume::AllDone,
                Kind::Unfinished => false,
            };
            if let Some(finished) = stands.then(|| place.outcome(file)).flatten() {
                return Task { inputs: Vec::new(), unrunnable: None, ..task.finished(finished) };
            }
            replaces = Some(place.kind);
        }
        self.begun.borrow_mut().insert(index, Name { key, replaces });
        task
    }
}

impl Source for LoggedItems {
    fn attach(&mut self, waker: Waker) {
        self.items.attach(waker);
    }

    fn poll_task(&mut self) -> Poll<Option<Task>> {
        let task = ready!(self.items.poll_task());
        Poll::Ready(match &mut self.log {
            Some(log) => task.map(|task| log.note(task)),
            None => task,
        })
    }
}
