//! A timeline of the workers, whose size does not depend on the number of tasks.

use super::{Bar, TaskRecord, duration};

/// Up to this many tasks are drawn one by one. If there are more, tasks that are close together are drawn as one bar.
const MAX_BARS: usize = 2000;

/// How many columns a row has if tasks are drawn together.
const COLUMNS: usize = 1000;

/// The most rows that are drawn.
const MAX_ROWS: usize = 128;

/// A pause is cut out if it is longer than this many seconds and longer than this fraction of the rest.
const PAUSE_SECONDS: f64 = 10.0;
const PAUSE_SHARE: f64 = 0.1;

/// The most cuts that are drawn.
const MAX_CUTS: usize = 100;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 80.0;
const SPAN: f64 = WIDTH - LEFT;
const BAR: f64 = 16.0;
const ROW: f64 = 20.0;
const TICKS: usize = 5;

pub(super) struct Timeline {
    pub width: f64,
    pub height: f64,
    pub left: f64,
    /// The width of the rows.
    pub span: f64,
    /// The height of a bar.
    pub bar: f64,
    /// The lower end of the rows.
    pub axis: f64,
    pub rows: Vec<Row>,
    pub ticks: Vec<Tick>,
    /// The positions of pauses that were cut out.
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

/// The periods in which something ran, one after the other.
struct Scale(Vec<Period>);

/// A period without a long pause. Times are seconds since 1970.
#[derive(Clone, Copy)]
struct Period {
    start: f64,
    end: f64,
    /// The total length of all earlier periods, in seconds.
    before: f64,
}

impl Scale {
    fn new(tasks: &[TaskRecord]) -> Scale {
        let mut periods: Vec<Period> = tasks
            .iter()
            .map(|task| Period { start: task.start, end: task.start + task.seconds, before: 0.0 })
            .collect();
        periods.sort_by(|a, b| a.start.total_cmp(&b.start));
        let scale = Scale(periods).without_pauses(PAUSE_SECONDS);
        let pause = PAUSE_SECONDS.max(scale.len() * PAUSE_SHARE);
        scale.without_pauses(pause)
    }

    /// Joins periods with at most this pause between them.
    fn without_pauses(self, pause: f64) -> Scale {
        let mut periods: Vec<Period> = Vec::new();
        for period in self.0 {
            match periods.last_mut() {
                Some(last) if period.start - last.end <= pause => last.end = last.end.max(period.end),
                last => {
                    let before = last.map_or(0.0, |last| last.before + last.end - last.start);
                    periods.push(Period { before, ..period });
                }
            }
        }
        Scale(periods)
    }

    /// The total length in seconds.
    fn len(&self) -> f64 {
        self.0.last().map_or(0.0, |last| last.before + last.end - last.start)
    }

    /// The seconds before this moment, which is in one of the periods, without pauses.
    fn seconds_before(&self, moment: f64) -> f64 {
        let at = self.0.partition_point(|period| period.start <= moment).saturating_sub(1);
        self.0[at].before + moment - self.0[at].start
    }
}

/// The time in which tasks ran, in seconds.
pub(super) fn covered_seconds(tasks: &[TaskRecord]) -> f64 {
    let started: Vec<TaskRecord> = tasks.iter().filter(|task| task.attempts > 0).copied().collect();
    Scale::new(&started).len()
}

/// How times and workers become coordinates.
struct Axes {
    scale: Scale,
    /// The length of the scale in seconds, which is not 0.
    len: f64,
    /// The workers that have a row, sorted.
    workers: Vec<u32>,
}

impl Axes {
    /// The x of a number of seconds without pauses.
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.len * SPAN
    }

    /// The x of a moment.
    fn x_of_moment(&self, moment: f64) -> f64 {
        self.x(self.scale.seconds_before(moment))
    }

    /// The y of a worker's row.
    fn y(&self, worker: u32) -> f64 {
        self.workers.binary_search(&worker).unwrap_or_default() as f64 * ROW
    }

    fn bar(&self, task: &TaskRecord) -> Bar {
        let (start, end) = (self.x_of_moment(task.start), self.x_of_moment(task.start + task.seconds));
        Bar {
            x: round(start),
            y: self.y(task.worker),
            width: round(end - start).max(0.5),
            height: BAR,
            opacity: 0.85,
            is_bad: task.is_bad(),
            title: format!("task {}: {} in {}", task.index, task.status, duration(task.seconds)),
        }
    }

    /// Bars in which tasks that are close together are joined; the tasks are sorted by worker.
    fn joined_bars(&self, tasks: &[TaskRecord]) -> Vec<Bar> {
        let mut bars = Vec::new();
        for of_worker in tasks.chunk_by(|a, b| a.worker == b.worker) {
            let columns = columns(of_worker, &self.scale, self.len);
            bars.extend(joined_columns(&columns, self.y(of_worker[0].worker), SPAN / COLUMNS as f64));
        }
        bars
    }

    fn tick(&self, number: usize) -> Tick {
        let seconds = self.len * number as f64 / TICKS as f64;
        let anchor = if number == TICKS { "end" } else { "middle" };
        let label = if number == 0 { "0".to_owned() } else { duration(seconds) };
        Tick { x: round(self.x(seconds)), anchor, label }
    }

    /// The positions of pauses that were cut out.
    fn cuts(&self) -> Vec<f64> {
        self.scale.0.iter().skip(1).take(MAX_CUTS).map(|period| round(self.x(period.before))).collect()
    }
}

impl Timeline {
    /// The drawing; `None` if no task was ever started.
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
        let axes = Axes { len: scale.len().max(1e-9), scale, workers };
        tasks.retain(|task| axes.workers.binary_search(&task.worker).is_ok());
        tasks
            .sort_by(|a, b| (a.worker, a.start).partial_cmp(&(b.worker, b.start)).unwrap_or(std::cmp::Ordering::Equal));
        let (bars, note) = match tasks.len() <= MAX_BARS {
            true => (tasks.iter().map(|task| axes.bar(task)).collect(), ONE_BY_ONE),
            false => (axes.joined_bars(&tasks), JOINED),
        };
        let mut note = note.to_owned();
        if left_out > 0 {
            note += &format!(" {left_out} more workers are not shown.");
        }
        let cuts = axes.cuts();
        if !cuts.is_empty() {
            note += " Pauses are cut out at dotted lines.";
        }
        let axis = axes.workers.len() as f64 * ROW;
        Some(Timeline {
            width: WIDTH,
            height: axis + 20.0,
            left: LEFT,
            span: SPAN,
            bar: BAR,
            axis,
            ticks: (0..=TICKS).map(|number| axes.tick(number)).collect(),
            rows: axes.workers.iter().map(|&worker| Row { worker, y: axes.y(worker) }).collect(),
            cuts,
            bars,
            note,
        })
    }
}

const ONE_BY_ONE: &str = "Hover over a bar to see its task.";
const JOINED: &str = "The stronger the colour, the busier the worker; red if a task failed. Tasks that are close together are drawn as \
                      one bar.";

/// A column of a row.
#[derive(Clone, Copy, Default)]
struct Column {
    /// The fraction of it in which tasks ran.
    busy: f64,
    /// The number of tasks that started in it.
    started: u64,
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
        columns[first].started += 1;
        for (at, column) in columns.iter_mut().enumerate().take(last + 1).skip(first) {
            column.busy += (end.min(at as f64 + 1.0) - start.max(at as f64)).max(0.0);
            column.failed |= task.is_bad();
        }
    }
    columns
}

/// Draws neighbouring columns that look alike as one bar.
fn joined_columns(columns: &[Column], y: f64, width: f64) -> impl Iterator<Item = Bar> {
    let shade = |column: &Column| match column.busy {
        _ if column.failed => (true, 5),
        0.0 => (false, u32::from(column.started > 0)),
        busy => (false, 1 + (busy.min(1.0) * 4.0) as u32),
    };
    let mut at = 0;
    columns.chunk_by(move |a, b| shade(a) == shade(b)).filter_map(move |run| {
        let start = at;
        at += run.len();
        let (is_bad, shade) = shade(&run[0]);
        let busy = run.iter().map(|column| column.busy.min(1.0)).sum::<f64>() / run.len() as f64;
        let started: u64 = run.iter().map(|column| column.started).sum();
        (shade > 0).then(|| Bar {
            x: round(LEFT + start as f64 * width),
            y,
            width: round(run.len() as f64 * width),
            height: BAR,
            opacity: f64::from(shade) / 5.0,
            is_bad,
            title: format!("{started} tasks started, busy {:.0}%", busy * 100.0),
        })
    })
}

/// Rounds to hundredths, which are too small to see.
fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
