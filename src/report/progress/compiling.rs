//! A sign of life while a module is being compiled.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{BAR_INTERVAL, ProgressMode, Screen};
use crate::report::text;

/// A terminal shows nothing for a shorter time than this.
const PATIENCE: Duration = Duration::from_millis(300);

/// What is no terminal gets its line after this time: longer than most modules take.
const PATIENCE_OF_LOGS: Duration = Duration::from_secs(5);

/// What becomes of the code of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is kept in a cache.
    Kept,
    /// It is used once.
    UsedOnce,
}

/// Calls `get`, which loads the module at `path` and may have to compile it. If that takes a while, standard error says so: a terminal
/// as long as it takes, anything else once, unless `mode` shows nothing.
pub fn while_compiling<R>(path: &Path, code: Code, mode: ProgressMode, get: impl FnOnce() -> R) -> R {
    if mode == ProgressMode::None {
        return get();
    }
    let (screen, _) = Screen::choose(mode);
    thread::scope(|scope| {
        let (working, ended) = bounded::<()>(0);
        let show = move || match &screen {
            Screen::Bar(bar) => show(bar, path, &ended),
            Screen::Plain | Screen::Json => {
                mention(path, code, PATIENCE_OF_LOGS, &ended, |text| screen.notice(text));
            }
        };
        // If there is no thread for it, nothing is shown.
        let _ = thread::Builder::new().spawn_scoped(scope, show);
        let got = get();
        drop(working);
        got
    })
}

/// Draws until the other end of the channel is dropped, and then clears the line.
fn show(bar: &ProgressBar, path: &Path, ended: &Receiver<()>) {
    let mut wait = PATIENCE;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        if wait == PATIENCE {
            wait = BAR_INTERVAL;
            bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is valid"));
            bar.set_message(activity(path));
            bar.set_draw_target(Screen::target());
        }
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Says that the module is being compiled, unless the other end of the channel is dropped before that takes as long as `patience`.
fn mention(path: &Path, code: Code, patience: Duration, ended: &Receiver<()>, say: impl FnOnce(&str)) {
    if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let kept = match code {
            Code::Kept => "; its code is kept for later runs",
            Code::UsedOnce => "",
        };
        say(&format!("{}, {} s so far{kept}", activity(path), patience.as_secs()));
    }
}

const TEMPLATE: &str = "{elapsed_precise} {spinner} {wide_msg}";

/// `compiling big.wasm (9.84 MiB)`. What is not a regular file has no known size, and may take long to read.
fn activity(path: &Path) -> String {
    let name = text::shown_path(path.file_name().unwrap_or(path.as_os_str()).as_ref());
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => format!("compiling {name} ({})", HumanBytes(metadata.len())),
        _ => format!("reading and compiling {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_with_their_size_and_cannot_command_the_terminal() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a\u{1b}[2J.wasm");
        std::fs::write(&path, [0; 3 << 10]).unwrap();
        assert_eq!(activity(&path), r"compiling a\u{1b}[2J.wasm (3.00 KiB)");
        assert_eq!(activity(Path::new("/dev/null")), "reading and compiling null");
    }

    #[test]
    fn a_compilation_that_takes_long_is_mentioned_once_and_a_short_one_never() {
        let said = |code: Code| {
            let (working, ended) = bounded::<()>(0);
            let mut said = Vec::new();
            mention(Path::new("/dev/null"), code, Duration::ZERO, &ended, |text| said.push(text.to_owned()));
            drop(working);
            said
        };
        let kept = "reading and compiling null, 0 s so far; its code is kept for later runs";
        assert_eq!(said(Code::Kept), [kept]);
        assert_eq!(said(Code::UsedOnce), ["reading and compiling null, 0 s so far"]);
        let (working, ended) = bounded::<()>(0);
        drop(working);
        mention(Path::new("/dev/null"), Code::Kept, Duration::MAX, &ended, |text| panic!("said {text}"));
    }
}
