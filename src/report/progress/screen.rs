//! Whole lines on standard error, which do not garble a progress bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::ProgressMode;
use crate::report::{one_line, outlet, to_json};

/// How many times per second a bar is drawn, at most.
const BAR_HZ: u8 = 10;

/// Where lines for the user go. Clones write to the same screen, also from other threads.
#[derive(Clone, Debug)]
pub enum Screen {
    /// Lines of text, one after the other.
    Plain,
    /// Lines of text above a progress bar. The bar is hidden until it gets the [`target`](Screen::target), because it has nothing to
    /// show at first.
    Bar(ProgressBar),
    /// JSON objects, one per line.
    Json,
}

impl Screen {
    /// The screen for a progress mode, and whether progress is shown as lines of text.
    pub fn choose(mode: ProgressMode) -> (Screen, bool) {
        let terminal = io::stderr().is_terminal();
        let bar = || Screen::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        match mode {
            ProgressMode::Auto | ProgressMode::Bar if terminal => (bar(), false),
            ProgressMode::Bar | ProgressMode::Lines => (Screen::Plain, true),
            ProgressMode::Auto | ProgressMode::None => (Screen::Plain, false),
            ProgressMode::Json => (Screen::Json, false),
        }
    }

    /// Where bars are drawn.
    pub fn target() -> ProgressDrawTarget {
        ProgressDrawTarget::stderr_with_hz(BAR_HZ)
    }

    /// Writes one line, or several, as it is.
    pub fn line(&self, line: &str) {
        self.around(|| line_to_stderr(line));
    }

    /// Writes a message about the run as a whole: as `wrun: ...`, or as an object with the event `notice`.
    pub fn notice(&self, message: &str) {
        match self {
            Screen::Json => self.report(message),
            _ => self.line(&one_line(&format!("wrun: {message}"))),
        }
    }

    /// As [`notice`](Self::notice), for text that is known to be harmless and may have several lines.
    pub fn report(&self, message: &str) {
        match self {
            Screen::Json => {
                let event = serde_json::json!({ "event": "notice", "message": message });
                self.line(&to_json(&event).expect("a value is always JSON"));
            }
            _ => self.line(&format!("wrun: {message}")),
        }
    }

    /// Does something that writes to the terminal, while the bar is cleared.
    pub fn around<R>(&self, act: impl FnOnce() -> R) -> R {
        match self {
            Screen::Bar(bar) => bar.suspend(act),
            Screen::Plain | Screen::Json => act(),
        }
    }

    /// Removes the bar for good.
    pub fn clear(&self) {
        if let Screen::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to standard error. An error is ignored: there is nowhere to report it.
pub fn line_to_stderr(line: &str) {
    let _ = outlet::write_all(&mut io::stderr().lock(), format!("{line}\n").as_bytes());
}
