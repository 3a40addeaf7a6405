//! What each worker did when, as a drawing whose size does not depend on the number of tasks.

use super::{Bar, TaskRecord, duration};

/// Up to so many tasks are drawn one by one; of more, those that are close together are drawn as one.
const MAX_BARS: usize = 2000;

/// Columns into which a row is cut where tasks are drawn together.
const COLUMNS: usize = 1000;

/// More rows than these are not drawn.
const MAX_ROWS: usize = 128;

/// A pause of a log is cut out where it is longer than so many seconds, and than this part of the rest.
const PAUSE_SECONDS: f64 = 10.0;
const PAUSE_SHARE: f64 = 0.1;

/// More cuts than these are not drawn.
const MAX_CUTS: usize = 100;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 80.0;
const BAR: f64 = 16.0;
const ROW: f64 = 20.0;
const TICKS: usize = 5;

pub(super) struct Timeline {
    pub width: f64,
    pub height: f64,
    pub left: f64,
    /// How wide the rows are.
    pub span: f64,
    /// How high a bar is.
    pub bar: f64,
    /// Where the rows end.
    pub axis: f64,
    pub rows: Vec<Row>,
    pub ticks: Vec<Tick>,
    /// Where pauses were cut out.
    pub cuts: Vec<f64>,
    pub bars: Vec<Bar>,
    pub note: String,
}

pub(super) struct Row {
    pub worker: u32,
    pub y: f64,
}

pub(super) struct Tick {
    pub x: f64,
    pub anchor: &'static str,
    pub label: String,
}

/// The times in which something ran, one after the other.
struct Scale(Vec<Part>);

/// Seconds since 1970, and how long all parts before this one are together.
#[derive(Clone, Copy)]
struct Part {
    start: f64,
    end: f64,
    before: f64,
}

impl Scale {
    fn new(tasks: &[TaskRecord]) -> Scale {
        let mut parts: Vec<Part> =
            tasks.iter().map(|task| Part { start: task.start, end: task.start + task.seconds, before: 0.0 }).collect();
        parts.sort_by(|a, b| a.start.total_cmp(&b.start));
        let scale = Scale(parts).without_pauses(PAUSE_SECONDS);
        let pause = PAUSE_SECONDS.max(scale.len() * PAUSE_SHARE);
        scale.without_pauses(pause)
    }

    /// Makes one of parts that follow one another so closely.
    fn without_pauses(self, pause: f64) -> Scale {
        let mut parts: Vec<Part> = Vec::new();
        for part in self.0 {
            match parts.last_mut() {
                Some(last) if part.start - last.end <= pause => last.end = last.end.max(part.end),
                last => {
                    let before = last.map_or(0.0, |last| last.before + last.end - last.start);
                    parts.push(Part { before, ..part });
                }
            }
        }
        Scale(parts)
    }

    /// How long all parts are together, in seconds.
    fn len(&self) -> f64 {
        self.0.last().map_or(0.0, |last| last.before + last.end - last.start)
    }

    /// The seconds of the parts before this moment, which lies in one of them.
    fn seconds_before(&self, moment: f64) -> f64 {
        let at = self.0.partition_point(|part| part.start <= moment).saturating_sub(1);
        self.0[at].before + moment - self.0[at].start
    }
}

/// The time in which the log's runs were at work.
pub(super) fn covered_seconds(tasks: &[TaskRecord]) -> f64 {
    let started: Vec<TaskRecord> = tasks.iter().filter(|task| task.attempts > 0).copied().collect();
    Scale::new(&started).len()
}

impl Timeline {
    /// The drawing; `None` where no task was ever started.
    pub fn new(tasks: &[TaskRecord]) -> Option<Timeline> {
        let mut tasks: Vec<TaskRecord> = tasks.iter().filter(|task| task.attempts > 0).copied().collect();
        if tasks.is_empty() {
            return None;
        }
        let mut workers: Vec<u32> = tasks.iter().map(|task| task.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        let left_out = workers.len().saturating_sub(MAX_ROWS);
        workers.truncate(MAX_ROWS);
        let scale = Scale::new(&tasks);
        let len = scale.len().max(1e-9);
        let span = WIDTH - LEFT;
        let x = |seconds: f64| LEFT + seconds / len * span;
        tasks.retain(|task| workers.binary_search(&task.worker).is_ok());
        tasks
            .sort_by(|a, b| (a.worker, a.start).partial_cmp(&(b.worker, b.start)).unwrap_or(std::cmp::Ordering::Equal));
        let mut bars = Vec::new();
        let mut note = "Point at a bar to see its task.".to_owned();
        let y = |worker: u32| workers.binary_search(&worker).unwrap_or_default() as f64 * ROW;
        if tasks.len() <= MAX_BARS {
            bars.extend(tasks.iter().map(|task| {
                let start = x(scale.seconds_before(task.start));
                let end = x(scale.seconds_before(task.start + task.seconds));
                let title = format!("task {}: {} in {}", task.index, task.status, duration(task.seconds));
                Bar {
                    x: round(start),
                    y: y(task.worker),
                    width: round(end - start).max(0.5),
                    height: BAR,
                    opacity: 0.85,
                    is_bad: task.is_bad(),
                    title,
                }
            }));
        } else {
            note = "The stronger the colour, the busier; red where a task failed. Tasks that are close together are drawn as one."
                .to_owned();
            for of_worker in tasks.chunk_by(|a, b| a.worker == b.worker) {
                let columns = columns(of_worker, &scale, len);
                bars.extend(runs(&columns, y(of_worker[0].worker), span / COLUMNS as f64));
            }
        }
        if left_out > 0 {
            note += &format!(" {left_out} more workers are left out.");
        }
        let cuts: Vec<f64> = scale.0.iter().skip(1).take(MAX_CUTS).map(|part| round(x(part.before))).collect();
        if !cuts.is_empty() {
            note += " Times in which nothing ran are cut out at dotted lines.";
        }
        let ticks = (0..=TICKS).map(|tick| {
            let seconds = len * tick as f64 / TICKS as f64;
            let anchor = if tick == TICKS { "end" } else { "middle" };
            Tick { x: round(x(seconds)), anchor, label: if tick == 0 { "0".to_owned() } else { duration(seconds) } }
        });
        let axis = workers.len() as f64 * ROW;
        Some(Timeline {
            width: WIDTH,
            height: axis + 20.0,
            left: LEFT,
            span,
            bar: BAR,
            axis,
            ticks: ticks.collect(),
            rows: workers.iter().map(|&worker| Row { worker, y: y(worker) }).collect(),
            cuts,
            bars,
            note,
        })
    }
}

/// A column of a row.
#[derive(Clone, Copy, Default)]
struct Column {
    /// The part of it in which tasks ran.
    busy: f64,
    /// Tasks that began in it.
    begun: u64,
    failed: bool,
}

fn columns(tasks: &[TaskRecord], scale: &Scale, len: f64) -> Vec<Column> {
    let mut columns = vec![Column::default(); COLUMNS];
    let per_column = len / COLUMNS as f64;
    for task in tasks {
        let start = scale.seconds_before(task.start) / per_column;
        let end = scale.seconds_before(task.start + task.seconds) / per_column;
        let first = (start as usize).min(COLUMNS - 1);
        let last = (end as usize).min(COLUMNS - 1);
        columns[first].begun += 1;
        for (at, column) in columns.iter_mut().enumerate().take(last + 1).skip(first) {
            column.busy += (end.min(at as f64 + 1.0) - start.max(at as f64)).max(0.0);
            column.failed |= task.is_bad();
        }
    }
    columns
}

/// Neighbouring columns that look alike as one bar.
fn runs(columns: &[Column], y: f64, width: f64) -> impl Iterator<Item = Bar> {
    let shade = |column: &Column| match column.busy {
        _ if column.failed => (true, 5),
        0.0 => (false, u32::from(column.begun > 0)),
        busy => (false, 1 + (busy.min(1.0) * 4.0) as u32),
    };
    let mut at = 0;
    columns.chunk_by(move |a, b| shade(a) == shade(b)).filter_map(move |run| {
        let start = at;
        at += run.len();
        let (is_bad, shade) = shade(&run[0]);
        let busy = run.iter().map(|column| column.busy.min(1.0)).sum::<f64>() / run.len() as f64;
        let begun: u64 = run.iter().map(|column| column.begun).sum();
        (shade > 0).then(|| Bar {
            x: round(LEFT + start as f64 * width),
            y,
            width: round(run.len() as f64 * width),
            height: BAR,
            opacity: f64::from(shade) / 5.0,
            is_bad,
            title: format!("{begun} tasks began, busy {:.0}%", busy * 100.0),
        })
    })
}

/// A hundredth of a point is too little to see.
fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
