//! The JSON object of a task, as in `--json` and in job logs.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use wrun::Outcome;

use crate::report::advice;

/// A task's outcome. Fields that do not apply are left out.
#[derive(Debug, Serialize)]
pub struct TaskObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a str>,
    /// Instead of `item` if that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    item_base64: Option<&'a [u8]>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    /// Instead of `output` if that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    output_base64: Option<&'a [u8]>,
    /// Of a failed WASI command.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<&'a str>,
    /// Instead of `stdout` if that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    stdout_base64: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<&'a str>,
    /// Instead of `stderr` if that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    stderr_base64: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// What wrun adds to the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtrace: Option<&'a str>,
    /// Seconds since 1970.
    start: f64,
    seconds: f64,
    worker: u32,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    /// The most memory that it had at any time, if that is wanted and it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    /// Set if it was refused memory, whether or not it could go on without, with the size that it would have had.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    memory_refused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_wanted_bytes: Option<u64>,
    /// Set if it did not run because its result was cached.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    /// How many tasks a merged result lacks, if it lacks any.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
    /// The command line that runs a failed task again.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<&'a str>,
}

impl<'a> TaskObject<'a> {
    /// The object of an item's task.
    pub fn of_task(outcome: &'a Outcome) -> TaskObject<'a> {
        let (item, item_base64) = text_or_bytes(&outcome.task.argument);
        TaskObject { index: Some(outcome.index), item, item_base64, ..TaskObject::of_merge(outcome) }
    }

    /// Adds the command line that runs the task again.
    pub fn rerun(self, rerun: Option<&'a str>) -> TaskObject<'a> {
        TaskObject { rerun, ..self }
    }

    /// Adds how many tasks a merged result lacks.
    pub fn missing(self, count: u64) -> TaskObject<'a> {
        TaskObject { missing: Some(count).filter(|count| *count > 0), ..self }
    }

    /// Adds the memory that the task used, if that is `wanted` and it ran.
    pub fn usage(self, outcome: &Outcome, wanted: bool) -> TaskObject<'a> {
        let peak = (wanted && !outcome.ran_earlier).then_some(outcome.stats.usage.peak_memory_bytes);
        TaskObject { peak_memory_bytes: peak, ..self }
    }

    /// The object of a merge, which has no item.
    pub fn of_merge(outcome: &'a Outcome) -> TaskObject<'a> {
        let (output, output_base64) = match &outcome.result {
            Ok(output) => text_or_bytes(output),
            Err(_) => (None, None),
        };
        let error = outcome.result.as_ref().err();
        let (stdout, stdout_base64) =
            some_text_or_bytes(error.and_then(|error| error.stdout.as_deref()).map(|stdout| &stdout[..]));
        let (stderr, stderr_base64) = some_text_or_bytes(Some(&outcome.stderr[..]).filter(|stderr| !stderr.is_empty()));
        TaskObject {
            index: None,
            item: None,
            item_base64: None,
            status: outcome.status().as_str(),
            output,
            output_base64,
            stdout,
            stdout_base64,
            stderr,
            stderr_base64,
            exit_code: outcome.exit_code,
            error: error.map(|error| &*error.message),
            hint: error.and_then(advice::hint),
            backtrace: error.and_then(|error| error.backtrace.as_deref()),
            start: unix_seconds(outcome.stats.start),
            seconds: outcome.stats.duration.as_secs_f64(),
            worker: outcome.stats.worker,
            attempts: outcome.stats.attempts,
            fuel: outcome.stats.fuel,
            peak_memory_bytes: None,
            memory_refused: outcome.stats.usage.refused_memory_bytes.is_some(),
            memory_wanted_bytes: outcome.stats.usage.refused_memory_bytes,
            cached: outcome.stats.cached,
            missing: None,
            rerun: None,
        }
    }
}

fn some_text_or_bytes(bytes: Option<&[u8]>) -> (Option<&str>, Option<&[u8]>) {
    bytes.map_or((None, None), text_or_bytes)
}

fn text_or_bytes(bytes: &[u8]) -> (Option<&str>, Option<&[u8]>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(bytes)),
    }
}

fn base64<S: Serializer>(bytes: &Option<&[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&base64::display::Base64Display::new(bytes.unwrap_or_default(), &BASE64))
}

fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use wrun::{Status, Task, TaskError, TaskStats};

    use super::*;

    /// An outcome of task 3.
    pub fn outcome(item: &[u8], result: Result<&[u8], &str>) -> Outcome {
        let error = |message| TaskError::new(Status::Error, message).backtrace(Some("0: f".to_owned()));
        let result = result.map(|bytes| bytes.to_vec().into()).map_err(error);
        let stats = TaskStats::new(UNIX_EPOCH + Duration::from_millis(1500), Duration::from_millis(250));
        Outcome::new(3, Task::new(item), result, stats.worker(1).attempts(2))
    }

    #[test]
    fn objects_hold_what_applies() {
        let json = |outcome: &Outcome| serde_json::to_string(&TaskObject::of_task(outcome)).unwrap();
        assert_eq!(
            json(&outcome(b"a \"b\"", Ok(b"x\n"))),
            r#"{"index":3,"item":"a \"b\"","status":"ok","output":"x\n","start":1.5,"seconds":0.25,"worker":1,"attempts":2}"#
        );
        assert_eq!(
            json(&outcome(b"\xff", Ok(b"\xfe\x00"))),
            r#"{"index":3,"item_base64":"/w==","status":"ok","output_base64":"/gA=","start":1.5,"seconds":0.25,"worker":1,"attempts":2}"#
        );
        assert_eq!(
            json(&outcome(b"a", Err("bad"))),
            r#"{"index":3,"item":"a","status":"error","error":"bad","backtrace":"0: f","start":1.5,"seconds":0.25,"worker":1,"attempts":2}"#
        );
        let merged = serde_json::to_string(&TaskObject::of_merge(&outcome(b"a", Ok(b"")))).unwrap();
        assert_eq!(merged, r#"{"status":"ok","output":"","start":1.5,"seconds":0.25,"worker":1,"attempts":2}"#);
    }
}
