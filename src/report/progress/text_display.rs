//! A run as text: lines, and perhaps a bar below them.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use wrun::outcome::Summary;
use wrun::result::LogLine;
use wrun::{Outcome, Task, TaskError};

use super::{Display, Screen, Snapshot, summary};
use crate::report::rerun_command::MAX_SHOWN_BYTES;
use crate::report::{Tally, text};

/// The names of the log levels 1 to 5 in a line; level 3 has none.
const LEVELS: [&str; 5] = [" error", " warning", "", " debug", " trace"];

/// Writes lines, and draws the bar if there is one.
pub struct TextDisplay {
    screen: Screen,
    /// Whether progress is shown as lines.
    has_lines: bool,
    /// Whether a task may depend on those before it.
    reuses_instances: bool,
    /// What the bar looks like now; `None` before it is drawn for the first time.
    bar: Option<BarStyle>,
}

/// The changing parts of the bar's style.
#[derive(PartialEq, Eq)]
struct BarStyle {
    has_total: bool,
    /// The text behind the bar.
    notes: String,
}

impl TextDisplay {
    pub fn new(screen: Screen, has_lines: bool, reuses_instances: bool) -> TextDisplay {
        TextDisplay { screen, has_lines, reuses_instances, bar: None }
    }

    fn progress_style(known_total: bool) -> ProgressStyle {
        let template = if known_total {
            "{elapsed_precise} [{wide_bar}] {human_pos}/{human_len} {rate} remaining {rest}{msg}"
        } else {
            "{elapsed_precise} {spinner} {human_pos} done {rate}{msg}"
        };
        let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
            let rate = state.per_sec();
            // A bar without its rate is not worth a failure.
            let _ = if rate < 10.0 { write!(to, "{rate:.1}/s") } else { write!(to, "{}/s", HumanCount(rate as u64)) };
        };
        let rest = |state: &ProgressState, to: &mut dyn fmt::Write| {
            let _ = match state.pos() {
                // It is unknown yet.
                0 => write!(to, "-"),
                _ => write!(to, "{:#}", HumanDuration(state.eta())),
            };
        };
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        style.with_key("rate", rate).with_key("rest", rest).progress_chars("=> ")
    }

    /// Draws the bar.
    fn draw(&mut self, bar: &ProgressBar, now: &Snapshot) {
        let style = BarStyle { has_total: now.total.is_some(), notes: notes(now) };
        let is_first = self.bar.is_none();
        if self.bar.as_ref() != Some(&style) {
            bar.set_style(TextDisplay::progress_style(style.has_total));
            bar.set_message(style.notes.clone());
            self.bar = Some(style);
        }
        bar.update(|state| {
            state.set_pos(now.done);
            if let Some(total) = now.total {
                state.set_len(total);
            }
        });
        if is_first {
            bar.set_draw_target(Screen::target());
            bar.tick();
        }
    }
}

impl Display for TextDisplay {
    fn progress(&mut self, now: &Snapshot) {
        if let Screen::Bar(bar) = self.screen.clone() {
            self.draw(&bar, now);
        } else if self.has_lines {
            self.screen.line(&progress_line(now));
        }
    }

    fn finished_task(&mut self, outcome: &Outcome) {
        let name = text::task_name(outcome.index, &outcome.task.argument);
        let (status, stats) = (outcome.status(), &outcome.stats);
        self.screen.line(&match stats.attempts {
            _ if stats.cached => format!("{name}: {status} from the cache"),
            _ if outcome.ran_earlier => format!("{name}: {status} in an earlier run"),
            0 => format!("{name}: {status} before it started"),
            _ => format!("{name}: {status} in {} on worker {}", text::duration(stats.duration), stats.worker),
        });
    }

    fn failed(&mut self, outcome: &Outcome, error: &TaskError, rerun: Option<&str>) {
        let name = text::task_name(outcome.index, &outcome.task.argument);
        let after = match outcome.stats.attempts {
            0 | 1 => String::new(),
            attempts => format!(" after {attempts} attempts"),
        };
        let mut message = format!("{name} failed{after}: {}", text::describe(error));
        message += &text::printed_before(error);
        if let Some(rerun) = rerun.filter(|line| line.len() <= MAX_SHOWN_BYTES) {
            message += if self.reuses_instances { "\nrerun, in a fresh instance: " } else { "\nrerun: " };
            message += rerun;
        }
        self.screen.line(&message);
    }

    fn retrying(&mut self, outcome: &Outcome, delay: Duration) {
        let name = text::task_name(outcome.index, &outcome.task.argument);
        let (status, attempt, delay) = (outcome.status(), outcome.stats.attempts, text::duration(delay));
        self.screen.line(&format!("{name}: {status} on attempt {attempt}; the next one follows after {delay}"));
    }

    fn flaky(&mut self, outcome: &Outcome, most_attempts: u32) {
        self.screen.line(&flaky_line(outcome, most_attempts));
    }

    fn logged(&mut self, outcome: &Outcome, line: &LogLine) {
        let name = text::task_name(outcome.index, &outcome.task.argument);
        let level = LEVELS[line.level as usize - 1];
        let line = text::message(&line.text);
        self.screen.line(&format!("{name}{level}: {line}"));
    }

    fn slow(&mut self, index: u64, task: &Task, worker: u32, elapsed: Duration) {
        let (name, elapsed) = (text::task_name(index, &task.argument), text::duration(elapsed));
        self.screen.line(&format!("{name} is slow: it has been running for {elapsed} on worker {worker}"));
    }

    fn worker_lost(&mut self, worker: u32, reason: &str) {
        self.screen.notice(&format!("worker {worker} {reason}; another takes its place"));
    }

    fn finished_run(&mut self, now: &Snapshot, tally: &Tally) {
        if self.has_lines {
            self.screen.line(&progress_line(now));
        }
        if let Some(summary) = what_failed(tally) {
            self.screen.notice(&summary);
        }
        if tally.flaky > 0 {
            self.screen.notice(&format!("{} of {} tasks were flaky", tally.flaky, tally.tasks));
        }
    }

    fn summary(&mut self, summary: &Summary) {
        for line in summary::lines(summary) {
            self.screen.notice(&line);
        }
    }
}

/// `done 120 of 1000 | elapsed 2.1s | remaining 15.3s | 3 failed`, without what is unknown.
fn progress_line(now: &Snapshot) -> String {
    let mut line = format!("done {}", now.done);
    if let Some(total) = now.total {
        line += &format!(" of {total}");
    }
    line += &format!(" | elapsed {}", text::duration(now.elapsed));
    if let Some(remaining) = now.remaining() {
        line += &format!(" | remaining {}", text::duration(remaining));
    }
    line + &notes(now)
}

/// ` | 3 failed | 2 from the cache`, without what is 0.
fn notes(now: &Snapshot) -> String {
    let note = |count: u64, what: &str| if count > 0 { format!(" | {count} {what}") } else { String::new() };
    note(now.failed, "failed") + &note(now.cached, "from the cache")
}

/// `task 3 (x) passed on attempt 2 of 3 (flaky); attempt 1: timed out after 2s`, with the first line of each failure.
fn flaky_line(outcome: &Outcome, most_attempts: u32) -> String {
    let name = text::task_name(outcome.index, &outcome.task.argument);
    let attempts = outcome.stats.attempts;
    let mut line = format!("{name} passed on attempt {attempts} of {} (flaky)", most_attempts.max(attempts));
    let first = attempts.saturating_sub(outcome.earlier.len() as u32);
    for (attempt, error) in (first..).zip(&outcome.earlier) {
        let why = text::describe(error);
        line += &format!("; attempt {attempt}: {}", why.lines().next().unwrap_or_default());
    }
    line
}

/// The line at the end of a run in which something failed.
fn what_failed(tally: &Tally) -> Option<String> {
    match tally {
        Tally { failed: 0, cancelled: 0, ended_early: false, .. } => None,
        Tally { tasks, failed, cancelled: 0, ended_early: false, .. } => {
            Some(format!("{failed} of {tasks} tasks failed"))
        }
        Tally { tasks, failed, cancelled, .. } => {
            let done = tasks - cancelled;
            Some(format!("stopped early; tasks done: {done}, of which failed: {failed}, cancelled: {cancelled}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use wrun::Status;

    use super::*;
    use crate::report::results::task_object::tests::outcome;

    #[test]
    fn progress_lines_show_what_is_known() {
        let mut now = Snapshot { done: 120, total: None, failed: 0, cached: 0, elapsed: Duration::from_millis(2100) };
        assert_eq!(progress_line(&now), "done 120 | elapsed 2.1s");
        now.total = Some(1000);
        now.failed = 3;
        assert_eq!(progress_line(&now), "done 120 of 1000 | elapsed 2.1s | remaining 15.4s | 3 failed");
        now.done = 1000;
        assert_eq!(progress_line(&now), "done 1000 of 1000 | elapsed 2.1s | 3 failed");
        now.cached = 2;
        now.done = 0;
        assert_eq!(progress_line(&now), "done 0 of 1000 | elapsed 2.1s | 3 failed | 2 from the cache");
    }

    #[test]
    fn there_is_a_last_line_only_if_something_failed() {
        assert_eq!(what_failed(&Tally { tasks: 20, ..Tally::default() }), None);
        assert_eq!(what_failed(&Tally { tasks: 20, failed: 2, ..Tally::default() }).unwrap(), "2 of 20 tasks failed");
        assert_eq!(
            what_failed(&Tally { tasks: 20, failed: 2, cancelled: 5, ..Tally::default() }).unwrap(),
            "stopped early; tasks done: 15, of which failed: 2, cancelled: 5"
        );
        assert_eq!(
            what_failed(&Tally { tasks: 2, failed: 2, ended_early: true, ..Tally::default() }).unwrap(),
            "stopped early; tasks done: 2, of which failed: 2, cancelled: 0"
        );
        assert_eq!(
            what_failed(&Tally { tasks: 2, ended_early: true, ..Tally::default() }).unwrap(),
            "stopped early; tasks done: 2, of which failed: 0, cancelled: 0"
        );
    }

    #[test]
    fn flaky_tasks_say_what_went_wrong_before() {
        let error = |message: &str| TaskError::new(Status::Trap, message);
        let mut outcome = outcome(b"x", Ok(b""));
        outcome.stats.attempts = 3;
        assert_eq!(flaky_line(&outcome, 2), "task 3 (x) passed on attempt 3 of 3 (flaky)");
        outcome.earlier = vec![error("one\ntwo"), error("three\r")];
        let line = "task 3 (x) passed on attempt 3 of 5 (flaky); attempt 1: trapped: one; attempt 2: trapped: three";
        assert_eq!(flaky_line(&outcome, 5), line);
        outcome.earlier.remove(0);
        let line = "task 3 (x) passed on attempt 3 of 5 (flaky); attempt 2: trapped: three";
        assert_eq!(flaky_line(&outcome, 5), line);
    }

    #[test]
    fn bar_templates_are_valid() {
        TextDisplay::progress_style(true);
        TextDisplay::progress_style(false);
    }
}
