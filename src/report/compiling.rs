//! What a user sees who waits for a module: a line on the terminal that goes away again.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{ProgressMode, Screen, text};

/// What takes less time than this is done before anybody wonders.
const PATIENCE: Duration = Duration::from_millis(300);

/// The time between two pictures.
const REFRESH: Duration = Duration::from_millis(100);

/// Gets the module at `path`, which may have to be compiled; where that takes a while, a terminal shows so if `mode` has a bar there.
pub fn while_compiling<R>(path: &Path, mode: ProgressMode, get: impl FnOnce() -> R) -> R {
    let (Screen::Bar(bar), _) = Screen::choose(mode) else { return get() };
    thread::scope(|scope| {
        let (working, ended) = bounded::<()>(0);
        // Without a thread for it there is just no picture.
        let _ = thread::Builder::new().spawn_scoped(scope, move || show(&bar, path, &ended));
        let got = get();
        drop(working);
        got
    })
}

/// Draws until the other end of the channel is gone, and then leaves nothing behind.
fn show(bar: &ProgressBar, path: &Path, ended: &Receiver<()>) {
    let mut wait = PATIENCE;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        if wait == PATIENCE {
            wait = REFRESH;
            bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is right"));
            bar.set_message(activity(path));
            bar.set_draw_target(Screen::target());
        }
        bar.tick();
    }
    bar.finish_and_clear();
}

const TEMPLATE: &str = "{elapsed_precise} {spinner} {wide_msg}";

/// `compiling big.wasm (9.84 MiB)`; of what is no regular file nobody knows the size, nor how long it takes to arrive.
fn activity(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = text::name(&name);
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
