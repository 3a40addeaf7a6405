//! A histogram of the durations of tasks.

use super::{Bar, TaskRecord, duration};

/// How many bars there are per power of ten.
const PER_DECADE: f64 = 5.0;

/// The powers of ten from a microsecond to a month. Durations outside count for the first or last bar.
const DECADES: usize = 13;

const WIDTH: f64 = 1000.0;
const AXIS: f64 = 170.0;
const TOP: f64 = 18.0;

pub(super) struct Histogram {
    pub width: f64,
    pub height: f64,
    pub axis: f64,
    pub bars: Vec<Bar>,
    pub labels: Vec<Label>,
}

pub(super) struct Label {
    pub x: f64,
    pub y: f64,
    pub text: String,
}

/// The median duration in seconds of the tasks that were started.
pub(super) fn median(tasks: &[TaskRecord]) -> Option<f64> {
    let mut seconds: Vec<f64> = tasks.iter().filter(|task| task.attempts > 0).map(|task| task.seconds).collect();
    let middle = seconds.len() / 2;
    (!seconds.is_empty()).then(|| *seconds.select_nth_unstable_by(middle, f64::total_cmp).1)
}

fn bin(seconds: f64) -> usize {
    let most = DECADES * PER_DECADE as usize - 1;
    (((seconds * 1e6).max(1.0).log10() * PER_DECADE) as usize).min(most)
}

fn lower_bound(bin: usize) -> f64 {
    10f64.powf(bin as f64 / PER_DECADE) / 1e6
}

impl Histogram {
    /// The drawing; `None` if no task was ever started.
    pub fn new(tasks: &[TaskRecord]) -> Option<Histogram> {
        let started = || tasks.iter().filter(|task| task.attempts > 0);
        let first = started().map(|task| bin(task.seconds)).min()?;
        let last = started().map(|task| bin(task.seconds)).max()?;
        // Some empty bars on both sides keep a single bar from filling the page.
        let first = first.saturating_sub(2);
        let mut bins = vec![(0u64, 0u64); last + 3 - first];
        for task in started() {
            let (all, failed) = &mut bins[bin(task.seconds) - first];
            *all += 1;
            *failed += u64::from(task.is_bad());
        }
        let most = bins.iter().map(|(all, _)| *all).max().unwrap_or(1).max(1) as f64;
        let width = WIDTH / bins.len() as f64;
        let (mut bars, mut labels) = (Vec::new(), Vec::new());
        for (at, &(all, failed)) in bins.iter().enumerate() {
            let x = at as f64 * width;
            let height = |count: u64| (AXIS - TOP) * count as f64 / most;
            let (from, to) = (duration(lower_bound(first + at)), duration(lower_bound(first + at + 1)));
            let title = format!("{from} to {to}: {all} tasks, {failed} failed");
            let mut bar = |y: f64, height: f64, is_bad| {
                let (x, width, opacity) = (round(x + 1.0), round(width - 2.0), 1.0);
                bars.push(Bar { x, y: round(y), width, height: round(height), opacity, is_bad, title: title.clone() });
            };
            if all > failed {
                bar(AXIS - height(all), height(all - failed), false);
            }
            if failed > 0 {
                bar(AXIS - height(failed), height(failed), true);
            }
            if all > 0 {
                let y = round(AXIS - height(all) - 4.0);
                labels.push(Label { x: round(x + width / 2.0), y, text: all.to_string() });
            }
            // The lower bound, if there is room for it.
            if at > 0 && at.is_multiple_of(bins.len().div_ceil(12)) {
                labels.push(Label { x: round(x), y: AXIS + 15.0, text: from });
            }
        }
        Some(Histogram { width: WIDTH, height: AXIS + 22.0, axis: AXIS, bars, labels })
    }
}

fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
