//! A run as JSON objects, one per line, for programs that watch it.
//!
//! Each object has an `event`: `progress`, `ended`, `retrying`, `failed`, `flaky`, `slow`, `log`, `worker-lost`, `notice` (see [`Screen`]), `finished`,
//! `summary`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use wrun::outcome::Summary;
use wrun::result::LogLine;
use wrun::{Outcome, Task, TaskError};

use super::{Display, Screen, Snapshot, summary};
use crate::report::{Tally, advice, to_json};

/// Writes events to standard error.
#[derive(Debug)]
pub struct JsonDisplay;

fn write(event: &Value) {
    Screen::Json.line(&to_json(event).expect("a value is always JSON"));
}

/// The field with a task's item: `item`, or `item_base64` if it is not UTF-8.
fn item(task: &Task) -> (&'static str, String) {
    match std::str::from_utf8(&task.argument) {
        Ok(text) => ("item", text.to_owned()),
        Err(_) => ("item_base64", BASE64.encode(&task.argument)),
    }
}

fn progress_event(now: &Snapshot) -> Value {
    json!({
        "event": "progress",
        "done": now.done,
        "total": now.total,
        "failed": now.failed,
        "cached": now.cached,
        "elapsed_seconds": now.elapsed.as_secs_f64(),
        "remaining_seconds": now.remaining().map(|remaining| remaining.as_secs_f64()),
    })
}

impl Display for JsonDisplay {
    fn progress(&mut self, now: &Snapshot) {
        write(&progress_event(now));
    }

    fn finished_task(&mut self, outcome: &Outcome) {
        let (key, item) = item(&outcome.task);
        write(&json!({
            "event": "ended",
            "index": outcome.index,
            (key): item,
            "status": outcome.status().as_str(),
            "seconds": outcome.stats.duration.as_secs_f64(),
            "worker": outcome.stats.worker,
            "cached": outcome.stats.cached,
        }));
    }

    fn failed(&mut self, outcome: &Outcome, error: &TaskError, rerun: Option<&str>) {
        let (key, item) = item(&outcome.task);
        write(&json!({
            "event": "failed",
            "index": outcome.index,
            (key): item,
            "status": error.status.as_str(),
            "error": error.message,
            "hint": advice::hint(error),
            "exit_code": outcome.exit_code,
            "attempts": outcome.stats.attempts,
            "backtrace": error.backtrace,
            "rerun": rerun,
        }));
    }

    fn retrying(&mut self, outcome: &Outcome, delay: Duration) {
        let (key, item) = item(&outcome.task);
        write(&json!({
            "event": "retrying",
            "index": outcome.index,
            (key): item,
            "status": outcome.status().as_str(),
            "attempts": outcome.stats.attempts,
            "delay_seconds": delay.as_secs_f64(),
        }));
    }

    fn flaky(&mut self, outcome: &Outcome, most_attempts: u32) {
        let (key, item) = item(&outcome.task);
        write(&json!({
            "event": "flaky",
            "index": outcome.index,
            (key): item,
            "attempts": outcome.stats.attempts,
            "most_attempts": most_attempts,
            "earlier": outcome.earlier.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }));
    }

    fn logged(&mut self, outcome: &Outcome, line: &LogLine) {
        let (key, item) = item(&outcome.task);
        write(&json!({
            "event": "log",
            "index": outcome.index,
            (key): item,
            "level": line.level as i32,
            "message": line.text,
        }));
    }

    fn slow(&mut self, index: u64, task: &Task, worker: u32, elapsed: Duration) {
        let (key, item) = item(task);
        write(&json!({
            "event": "slow",
            "index": index,
            (key): item,
            "worker": worker,
            "elapsed_seconds": elapsed.as_secs_f64(),
        }));
    }

    fn worker_lost(&mut self, worker: u32, reason: &str) {
        write(&json!({ "event": "worker-lost", "worker": worker, "reason": reason }));
    }

    fn finished_run(&mut self, now: &Snapshot, tally: &Tally) {
        write(&json!({
            "event": "finished",
            "tasks": tally.tasks,
            "failed": tally.failed,
            "cancelled": tally.cancelled,
            "flaky": tally.flaky,
            "cached": now.cached,
            "elapsed_seconds": now.elapsed.as_secs_f64(),
        }));
    }

    fn summary(&mut self, summary: &Summary) {
        write(&summary::event(summary));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_progress_is_null() {
        let now = Snapshot { done: 1, total: None, failed: 0, cached: 0, elapsed: Duration::from_secs(2) };
        let event = progress_event(&now);
        assert_eq!(event["total"], Value::Null);
        assert_eq!(event["remaining_seconds"], Value::Null);
        let event = progress_event(&Snapshot { total: Some(3), ..now });
        assert_eq!(event["remaining_seconds"], json!(4.0));
    }
}
