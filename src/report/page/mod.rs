//! A job log as a web page: self-contained, without scripts, and with a policy that forbids them.

mod histogram;
mod timeline;

use std::time::Duration;

use askama::Template;
use indicatif::HumanCount;
use wrun::Status;

use super::text::{self, Keep, escape};
use histogram::Histogram;
use timeline::Timeline;

/// How many bytes of a message, a backtrace or a command line are shown.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// How many bytes of an item, or of the first line of a message, are shown.
const MAX_ITEM_BYTES: usize = 300;

/// What is known about every task.
#[derive(Clone, Copy, Debug)]
pub struct TaskRecord {
    /// The position of the item in its run.
    pub index: u64,
    /// Seconds since 1970.
    pub start: f64,
    /// The duration of the last attempt in seconds.
    pub seconds: f64,
    /// The worker that ran it.
    pub worker: u32,
    /// How often it was started.
    pub attempts: u32,
    /// How it ended.
    pub status: Status,
}

impl TaskRecord {
    fn is_bad(&self) -> bool {
        !matches!(self.status, Status::Ok | Status::Cancelled)
    }
}

/// The texts of a task in a list.
#[derive(Clone, Debug, Default)]
pub struct TaskTexts {
    /// The item's bytes.
    pub item: Vec<u8>,
    /// Why it failed.
    pub message: String,
    /// The guest's stack.
    pub backtrace: Option<String>,
    /// The command line that runs it again.
    pub rerun: Option<String>,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    totals: Vec<Total>,
    timeline: &'a Option<Timeline>,
    histogram: &'a Option<Histogram>,
    slowest: Vec<ShownTask>,
    failed: Vec<ShownTask>,
    failed_more: usize,
}

struct Total {
    name: &'static str,
    value: String,
    is_bad: bool,
}

/// A rectangle of a drawing.
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    opacity: f64,
    is_bad: bool,
    title: String,
}

impl Bar {
    fn class(&self) -> &'static str {
        if self.is_bad { "bad" } else { "good" }
    }
}

/// A task in a list.
struct ShownTask {
    index: u64,
    item: String,
    took: String,
    status: Status,
    is_bad: bool,
    attempts: u32,
    worker: u32,
    message: String,
    backtrace: Option<String>,
    rerun: Option<String>,
}

impl ShownTask {
    fn new(task: &TaskRecord, texts: &TaskTexts) -> ShownTask {
        ShownTask {
            index: task.index,
            item: shown(&texts.item, MAX_ITEM_BYTES, Keep::Identity),
            took: duration(task.seconds),
            status: task.status,
            is_bad: task.is_bad(),
            attempts: task.attempts,
            worker: task.worker,
            message: shown(texts.message.as_bytes(), MAX_TEXT_BYTES, Keep::Layout),
            backtrace: texts.backtrace.as_ref().map(|text| shown(text.as_bytes(), MAX_TEXT_BYTES, Keep::Layout)),
            // A command line that is cut off is useless.
            rerun: texts.rerun.as_ref().filter(|line| line.len() <= MAX_TEXT_BYTES).map(|line| text::name(line)),
        }
    }

    fn first_line(&self) -> &str {
        let line = self.message.lines().next().unwrap_or_default();
        &line[..line.floor_char_boundary(MAX_ITEM_BYTES)]
    }
}

/// A harmless text of a bounded length; the template escapes HTML.
fn shown(bytes: &[u8], most: usize, keep: Keep) -> String {
    match bytes.get(..most) {
        Some(beginning) if bytes.len() > most => format!("{} [...]", escape(beginning, keep)),
        _ => escape(bytes, keep),
    }
}

fn duration(seconds: f64) -> String {
    text::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The tasks that are listed, with their texts.
#[derive(Debug, Default)]
pub struct Details {
    /// The slowest tasks, the slowest first.
    pub slowest: Vec<(TaskRecord, TaskTexts)>,
    /// Failed tasks.
    pub failed: Vec<(TaskRecord, TaskTexts)>,
    /// How many failed tasks are not listed.
    pub failed_more: usize,
}

/// Renders the page.
pub fn page(title: &[u8], tasks: &[TaskRecord], details: &Details) -> String {
    let shown =
        |tasks: &[(TaskRecord, TaskTexts)]| tasks.iter().map(|(task, texts)| ShownTask::new(task, texts)).collect();
    let page = Page {
        title: &escape(title, Keep::Nothing),
        totals: totals(tasks),
        timeline: &Timeline::new(tasks),
        histogram: &Histogram::new(tasks),
        slowest: shown(&details.slowest),
        failed: shown(&details.failed),
        failed_more: details.failed_more,
    };
    page.render().expect("writing to a string cannot fail")
}

fn totals(tasks: &[TaskRecord]) -> Vec<Total> {
    let count = |what: &dyn Fn(&TaskRecord) -> bool| tasks.iter().filter(|task| what(task)).count() as u64;
    let mut totals = vec![Total { name: "tasks", value: HumanCount(tasks.len() as u64).to_string(), is_bad: false }];
    for status in Status::ALL {
        let number = count(&|task| task.status == status);
        if number > 0 {
            let is_bad = !matches!(status, Status::Ok | Status::Cancelled);
            totals.push(Total { name: status.as_str(), value: HumanCount(number).to_string(), is_bad });
        }
    }
    let flaky = count(&|task| task.status == Status::Ok && task.attempts > 1);
    if flaky > 0 {
        totals.push(Total { name: "flaky", value: HumanCount(flaky).to_string(), is_bad: false });
    }
    let wall = timeline::covered_seconds(tasks);
    let busy: f64 = tasks.iter().map(|task| task.seconds).sum();
    let mut add = |name, value| totals.push(Total { name, value, is_bad: false });
    add("time", duration(wall));
    add("time of all tasks", duration(busy));
    if wall > 0.0 {
        add("speed-up", format!("{:.2}", busy / wall));
        let rate = tasks.len() as f64 / wall;
        add("tasks per second", if rate < 10.0 { format!("{rate:.1}") } else { HumanCount(rate as u64).to_string() });
    }
    if let Some(median) = histogram::median(tasks) {
        add("median duration", duration(median));
    }
    totals
}
