//! A line on the terminal while a module is being compiled.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{BAR_INTERVAL, ProgressMode, Screen};
use crate::report::text;

/// Nothing is shown for a shorter time than this.
const PATIENCE: Duration = Duration::from_millis(300);

/// Calls `get`, which loads the module at `path` and may have to compile it. If that takes a while, a terminal says so, provided
/// that `mode` shows a bar there.
pub fn while_compiling<R>(path: &Path, mode: ProgressMode, get: impl FnOnce() -> R) -> R {
    let (Screen::Bar(bar), _) = Screen::choose(mode) else { return get() };
    thread::scope(|scope| {
        let (working, ended) = bounded::<()>(0);
        // If there is no thread for it, nothing is shown.
        let _ = thread::Builder::new().spawn_scoped(scope, move || show(&bar, path, &ended));
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
}
