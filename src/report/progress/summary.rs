//! The summary of a run, as text and as JSON.

use std::fmt::Write as _;

use indicatif::{BinaryBytes, HumanCount};
use serde_json::{Value, json};
use wrun::Status;
use wrun::outcome::Summary;

use crate::report::text;

/// The most workers that get a line each.
const MAX_WORKERS: usize = 32;

/// The summary as lines of text.
pub fn lines(summary: &Summary) -> Vec<String> {
    let mut lines = vec![tasks(summary)];
    let mut time = text::duration(summary.wall());
    if let (Some(rate), Some(speed_up)) = (summary.tasks_per_second(), summary.speed_up()) {
        let busy = text::duration(summary.busy());
        // Writing to a string cannot fail.
        let _ = write!(time, ", {} tasks/s; tasks ran for {busy}: speed-up {speed_up:.2}", rate_text(rate));
    }
    lines.push(time);
    let usage = summary.usage();
    lines.push(format!("{} mapped, {} copied", BinaryBytes(usage.mapped_bytes), BinaryBytes(usage.copied_bytes)));
    for (number, worker) in summary.workers().iter().enumerate().take(MAX_WORKERS) {
        let (attempts, busy) = (HumanCount(worker.attempts), text::duration(worker.busy));
        let peak = BinaryBytes(worker.peak_memory_bytes);
        lines.push(format!("worker {number}: {attempts} tasks in {busy}, at most {peak} of memory each"));
    }
    if let Some(more) = summary.workers().len().checked_sub(MAX_WORKERS).filter(|more| *more > 0) {
        let peak = BinaryBytes(usage.peak_memory_bytes);
        lines.push(format!("and {more} more workers; at most {peak} of memory a task on any"));
    }
    lines
}

fn rate_text(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { HumanCount(rate as u64).to_string() }
}

/// `12 tasks: 10 ok, 2 trap (1 flaky, 4 from earlier runs); merges: 3, retries: 1`.
fn tasks(summary: &Summary) -> String {
    let by_status: Vec<String> = Status::ALL
        .into_iter()
        .filter(|status| summary.with_status(*status) > 0)
        .map(|status| format!("{} {status}", HumanCount(summary.with_status(status))))
        .collect();
    let mut line = format!("{} tasks", HumanCount(summary.tasks()));
    let some_of_them = [(summary.flaky(), "flaky"), (summary.ran_earlier(), "from earlier runs")];
    let some_of_them = counted(&some_of_them, |count, what| format!("{count} {what}"));
    let other =
        [(summary.merges(), "merges"), (summary.retries(), "retries"), (summary.lost_workers(), "lost workers")];
    let other = counted(&other, |count, what| format!("{what}: {count}"));
    if !by_status.is_empty() {
        line = format!("{line}: {}", by_status.join(", "));
    }
    if !some_of_them.is_empty() {
        line = format!("{line} ({some_of_them})");
    }
    if !other.is_empty() {
        line = format!("{line}; {other}");
    }
    line
}

/// The counts that are not 0.
fn counted(pairs: &[(u64, &str)], show: impl Fn(HumanCount, &str) -> String) -> String {
    let some = pairs.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| show(HumanCount(*count), what)).collect::<Vec<_>>().join(", ")
}

/// The summary as a JSON object.
pub fn event(summary: &Summary) -> Value {
    let by_status: serde_json::Map<String, Value> =
        Status::ALL.into_iter().map(|status| (status.to_string(), summary.with_status(status).into())).collect();
    let workers: Vec<Value> = summary
        .workers()
        .iter()
        .map(|worker| {
            json!({
                "attempts": worker.attempts,
                "busy_seconds": worker.busy.as_secs_f64(),
                "peak_memory_bytes": worker.peak_memory_bytes,
            })
        })
        .collect();
    json!({
        "event": "summary",
        "tasks": summary.tasks(),
        "by_status": by_status,
        "flaky": summary.flaky(),
        "ran_earlier": summary.ran_earlier(),
        "merges": summary.merges(),
        "retries": summary.retries(),
        "lost_workers": summary.lost_workers(),
        "wall_seconds": summary.wall().as_secs_f64(),
        "busy_seconds": summary.busy().as_secs_f64(),
        "tasks_per_second": summary.tasks_per_second(),
        "speed_up": summary.speed_up(),
        "mapped_bytes": summary.usage().mapped_bytes,
        "copied_bytes": summary.usage().copied_bytes,
        "peak_memory_bytes": summary.usage().peak_memory_bytes,
        "workers": workers,
    })
}
