//! Harmless text for messages. Items, names and messages of guests may contain anything; what is shown of them must neither control the
//! terminal nor fill it.

mod shell_quote;

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use wrun::{Outcome, Status, TaskError};

use super::advice;

pub use shell_quote::shell_quote;

/// How many characters of an item a message shows.
const ITEM_CHARACTERS: usize = 80;

/// How much of what a failed command printed a message shows, in bytes and in lines.
const PRINTED_BYTES: usize = 2048;
const PRINTED_LINES: usize = 10;

/// How many characters of an error a message shows; the longest paths fit.
const LINE_CHARACTERS: usize = 6000;

/// A task's name in messages: `task 17 (b.csv)`, or `task 17` if the item is empty.
pub fn task_name(index: u64, item: &[u8]) -> String {
    if item.is_empty() {
        return format!("task {index}");
    }
    // Only the bytes that can be shown matter, however long the item is.
    let item = if item.len() > 16 * ITEM_CHARACTERS {
        let ends = [&item[..8 * ITEM_CHARACTERS], &item[item.len() - 8 * ITEM_CHARACTERS..]];
        shorten(&ends.map(|bytes| escape(bytes, Keep::Identity)).concat())
    } else {
        shorten(&escape(item, Keep::Identity))
    };
    format!("task {index} ({item})")
}

/// Why a task failed: the message, with the backtrace indented below it.
pub fn describe(error: &TaskError) -> String {
    let text = message(&advice::message(error));
    let mut text = match error.status {
        Status::Trap if !text.starts_with("trapped") => format!("trapped: {text}"),
        status if text.is_empty() => status.to_string(),
        _ => text,
    };
    for frame in error.backtrace.iter().flat_map(|backtrace| backtrace.lines()) {
        text += "\n    ";
        text += &escape(frame.trim().as_bytes(), Keep::Nothing);
    }
    text
}

/// What a failed command had printed to standard output: at most its last lines, under a line that says so. Empty if it printed nothing.
pub fn printed_before(error: &TaskError) -> String {
    let Some(stdout) = &error.stdout else { return String::new() };
    let bytes = stdout.trim_ascii_end();
    let tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(PRINTED_BYTES)..]);
    let mut lines: Vec<&str> = tail.lines().rev().take(PRINTED_LINES).collect();
    lines.reverse();
    let is_whole = bytes.len() <= PRINTED_BYTES && tail.lines().count() <= PRINTED_LINES;
    let heading = if is_whole { "it had printed" } else { "it had printed, at the end" };
    format!("\n{heading}:\n    {}", message(&lines.join("\n")))
}

/// What a task wrote to standard error, in lines, unless the reason for its failure says it.
pub fn stderr_lines(outcome: &Outcome) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(&outcome.stderr);
    let is_reason = outcome.result.as_ref().is_err_and(|error| error.message.starts_with(text.trim_end()));
    let lines: Vec<String> = text.lines().filter(|_| !is_reason).map(str::to_owned).collect();
    lines.into_iter()
}

/// A harmless form of a message, with all lines but the first indented.
pub fn message(text: &str) -> String {
    escape(text.trim_end().as_bytes(), Keep::Layout).replace('\n', "\n    ")
}

/// A harmless form of a name from a module or a file.
pub fn name(name: &str) -> String {
    escape(name.as_bytes(), Keep::Nothing)
}

/// A harmless form of a path.
pub fn shown_path(path: &Path) -> String {
    escape(path.as_os_str().as_bytes(), Keep::Nothing)
}

/// A harmless form of a text, as one line of a bounded length.
pub fn one_line(text: &str) -> String {
    let line = escape(text.as_bytes(), Keep::Nothing);
    match line.char_indices().nth(LINE_CHARACTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Which control characters [`escape`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None.
    Nothing,
    /// Newlines and tabs.
    Layout,
    /// None, and backslashes are escaped as well, so that texts that differ are shown differently.
    Identity,
}

/// Escapes control characters, characters that change the direction of text, and bytes that are not UTF-8.
pub fn escape(bytes: &[u8], keep: Keep) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' | '\t' if keep == Keep::Layout => text.push(character),
                '\\' if keep == Keep::Identity => text.push_str("\\\\"),
                _ if is_control(character) => text.extend(character.escape_default()),
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text
}

/// Whether a character controls the terminal or the text around it, instead of being shown.
pub fn is_control(character: char) -> bool {
    character.is_control() || changes_direction(character)
}

/// The line and paragraph separators, and the marks, embeddings, overrides and isolates of Unicode Annex 9.
fn changes_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cuts the middle out of a long text: of a path, both the beginning and the file name matter.
fn shorten(text: &str) -> String {
    let count = text.chars().count();
    if count <= ITEM_CHARACTERS {
        return text.to_owned();
    }
    let side = (ITEM_CHARACTERS - 3) / 2;
    text.chars().take(side).chain("...".chars()).chain(text.chars().skip(count - side)).collect()
}

/// A duration in a few digits: `350us`, `12ms`, `2.1s`, `3m05s`, `2h03m`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_micros() {
        0..1_000 => format!("{}us", duration.as_micros()),
        1_000..1_000_000 => format!("{}ms", duration.as_millis()),
        1_000_000..60_000_000 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60_000_000..3_600_000_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_items_harmlessly_and_shortened() {
        assert_eq!(task_name(17, b"b.csv"), "task 17 (b.csv)");
        assert_eq!(task_name(0, b""), "task 0");
        assert_eq!(task_name(1, b"a\x1b[2J\nb\xff\t"), r"task 1 (a\u{1b}[2J\nb\xff\t)");
        assert_eq!(task_name(1, br"a\nb"), r"task 1 (a\\nb)", "not the same as with a newline");
        assert_eq!(task_name(1, "ü\u{202e}x".as_bytes()), r"task 1 (ü\u{202e}x)");
        let long = task_name(2, &[&b"/begin"[..], &b"-".repeat(60_000), b"end.csv"].concat());
        assert!(long.starts_with("task 2 (/begin---") && long.ends_with("---end.csv)"), "{long}");
        assert!(long.contains("-...-") && long.len() < 100, "{long}");
    }

    #[test]
    fn failures_say_what_happened_and_where() {
        let error = |status, message: &str, backtrace: Option<&str>| {
            TaskError::new(status, message).backtrace(backtrace.map(str::to_owned))
        };
        assert_eq!(describe(&error(Status::Error, "line 3: bad\n", None)), "line 3: bad");
        assert_eq!(describe(&error(Status::Error, "one\ntwo \x07", None)), "one\n    two \\u{7}");
        assert_eq!(describe(&error(Status::Error, "", None)), "error");
        assert_eq!(describe(&error(Status::Timeout, "timed out after 2 s", None)), "timed out after 2 s");
        assert_eq!(
            describe(&error(Status::Trap, "integer divide by zero", Some("  0: divide (a.rs:3)\n  1: main\n"))),
            "trapped: integer divide by zero\n    0: divide (a.rs:3)\n    1: main"
        );
    }

    #[test]
    fn durations_are_short() {
        for (micros, text) in [
            (0, "0us"),
            (999, "999us"),
            (12_300, "12ms"),
            (2_149_000, "2.1s"),
            (59_999_999, "59.9s"),
            (185_000_000, "3m05s"),
            (7_380_000_000, "2h03m"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }
}
