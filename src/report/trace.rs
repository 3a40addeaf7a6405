//! A run as a trace for viewers of the Trace Event Format (Perfetto, chrome://tracing): a JSON array with an object per event.
//!
//! Each worker is a thread, which viewers show as a row.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use wrun::{Event, Outcome, RunStats, Status};

use super::progress::Interval;
use super::results::write_json;
use super::trace_file::TraceFile;
use super::{advice, text};

/// Events are written in batches of about this many bytes.
const BATCH_BYTES: usize = 64 << 10;

/// Events are written at least this often, as long as something happens.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// How many characters of an item an event shows.
const ITEM_CHARACTERS: usize = 1000;

const BEGINNING: &[u8] = b"[\n";

/// The one process of the trace.
const PID: u32 = 1;

/// Writes events as they happen.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    file: TraceFile,
    batch: Vec<u8>,
    interval: Interval,
    /// Time 0 of the trace.
    started: SystemTime,
    /// The end of each worker's last bar, in microseconds. Times that workers report are clamped to that.
    ends: Vec<f64>,
}

impl Trace {
    /// Creates the file, or replaces it. Viewers show `title` as the name of the trace.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or written.
    pub fn create(path: &Path, title: &str) -> anyhow::Result<Trace> {
        let file = TraceFile::create(path).with_context(|| format!("cannot write trace {path:?}"))?;
        let mut trace = Trace {
            path: path.to_owned(),
            file,
            batch: BEGINNING.to_vec(),
            interval: Interval::new(WRITE_INTERVAL),
            started: SystemTime::now(),
            ends: Vec::new(),
        };
        trace.name("process_name", 0, &text::one_line(title));
        trace.write().map_err(|error| trace.problem(error))?;
        Ok(trace)
    }

    /// Takes in an event.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; the trace cannot be used after that.
    pub fn observe(&mut self, event: &Event<'_>, stats: &RunStats) -> anyhow::Result<()> {
        match event {
            Event::TaskFinished(outcome) if !outcome.ran_earlier => {
                self.attempt(outcome, text::task_name(outcome.index, &outcome.task.argument));
            }
            Event::MergeFinished(outcome) if !outcome.ran_earlier => {
                self.attempt(outcome, "merge".to_owned());
            }
            Event::Retrying { outcome, delay } => {
                let tid = self.attempt(outcome, text::task_name(outcome.index, &outcome.task.argument));
                let args = json!({ "index": outcome.index, "delay_seconds": delay.as_secs_f64() });
                self.instant("retry", tid, self.micros(SystemTime::now()), &args);
            }
            Event::WorkerLost { worker, reason } => {
                let tid = self.row(*worker);
                let args = json!({ "reason": text::one_line(reason) });
                self.instant("worker lost", Some(tid), self.micros(SystemTime::now()), &args);
            }
            Event::Halted(why) => {
                let args = json!({ "reason": text::one_line(&advice::halted(why)) });
                self.instant("halted", None, self.micros(SystemTime::now()), &args);
            }
            _ => {}
        }
        if self.batch.len() >= BATCH_BYTES || self.interval.is_due() {
            self.count(stats);
            self.write().map_err(|error| self.problem(error))?;
        }
        Ok(())
    }

    /// Writes the rest.
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe).
    pub fn finish(&mut self, stats: &RunStats) -> anyhow::Result<()> {
        self.count(stats);
        self.write().and_then(|()| self.file.finish()).map_err(|error| self.problem(error))
    }

    /// Adds the bar of an attempt, and an instant at its end if it failed; gives its row.
    fn attempt(&mut self, outcome: &Outcome, name: String) -> Option<u32> {
        let stats = &outcome.stats;
        if stats.attempts == 0 {
            return None;
        }
        let tid = self.row(stats.worker);
        let last_end = self.ends[stats.worker as usize];
        let now = self.micros(SystemTime::now()).max(last_end);
        let start = self.micros(stats.start).clamp(last_end, now);
        let end = (start + stats.duration.as_secs_f64() * 1e6).min(now);
        self.ends[stats.worker as usize] = end;
        let (index, status) = (outcome.index, outcome.status());
        let (key, item) = shown_item(&outcome.task.argument);
        let args = json!({ "index": index, (key): item, "status": status.as_str(), "attempt": stats.attempts });
        self.add(
            &json!({ "name": name, "ph": "X", "ts": start, "dur": end - start, "pid": PID, "tid": tid, "args": args }),
        );
        if let Err(error) = &outcome.result
            && status != Status::Cancelled
        {
            let args = json!({ "index": index, "error": text::one_line(&advice::message(error)) });
            self.instant(status.as_str(), Some(tid), end, &args);
        }
        Some(tid)
    }

    /// Adds an instant, of a row or of the whole run.
    fn instant(&mut self, name: &str, tid: Option<u32>, ts: f64, args: &Value) {
        let scope = if tid.is_some() { "t" } else { "p" };
        let tid = tid.unwrap_or_default();
        self.add(&json!({ "name": name, "ph": "i", "ts": ts, "pid": PID, "tid": tid, "s": scope, "args": args }));
    }

    /// The row of a worker; the first event of a worker names its row. Viewers do not show row 0 as a thread.
    fn row(&mut self, worker: u32) -> u32 {
        while self.ends.len() <= worker as usize {
            let number = self.ends.len() as u32;
            self.ends.push(0.0);
            self.name("thread_name", number + 1, &format!("worker {number}"));
        }
        worker + 1
    }

    fn name(&mut self, what: &str, tid: u32, name: &str) {
        self.add(&json!({ "name": what, "ph": "M", "pid": PID, "tid": tid, "args": { "name": name } }));
    }

    /// Adds the number of tasks that have passed and failed by now.
    fn count(&mut self, stats: &RunStats) {
        let ts = self.micros(SystemTime::now());
        let args = json!({ "done": stats.done - stats.failed, "failed": stats.failed });
        self.add(&json!({ "name": "tasks", "ph": "C", "ts": ts, "pid": PID, "tid": 0, "args": args }));
    }

    /// Microseconds since the trace began.
    fn micros(&self, time: SystemTime) -> f64 {
        time.duration_since(self.started).unwrap_or_default().as_nanos() as f64 / 1000.0
    }

    fn add(&mut self, event: &Value) {
        if self.batch != BEGINNING {
            self.batch.extend_from_slice(b",\n");
        }
        write_json(&mut self.batch, event).expect("a value is always JSON, and a vector takes it");
    }

    /// Writes the batch.
    fn write(&mut self) -> io::Result<()> {
        self.file.add(&self.batch)?;
        self.batch.clear();
        Ok(())
    }

    fn problem(&self, error: io::Error) -> anyhow::Error {
        let path = &self.path;
        anyhow::Error::new(error).context(format!("trace {path:?} cannot be written, and is incomplete"))
    }
}

/// An item as text, or in base64 if it is not UTF-8; cut off if it is long.
fn shown_item(item: &[u8]) -> (&'static str, String) {
    let beginning = &item[..item.len().min(4 * ITEM_CHARACTERS)];
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // Only the last character was cut.
        Err(error) if error.error_len().is_none() && beginning.len() < item.len() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).expect("it is valid up to there")
        }
        Err(_) => return ("item_base64", BASE64.encode(&beginning[..beginning.len().min(ITEM_CHARACTERS)])),
    };
    ("item", text.chars().take(ITEM_CHARACTERS).collect())
}
