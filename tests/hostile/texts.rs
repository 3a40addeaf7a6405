//! Guests whose text output attacks the terminal.

use super::kit::guest;
use crate::cli::kit::{Place, Said, objects};

/// Whether a terminal only displays this text, line by line.
pub fn is_harmless(text: &str) -> bool {
    let turns = |char: char| matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|char| (char.is_control() && char != '\n') || turns(char))
}

fn says(task: &str, options: &[&str]) -> Said {
    let path = guest("texts");
    Place::new().says(&[&["map", path.to_str().expect("UTF-8"), "--call", task, "x"][..], options].concat())
}

#[test]
fn no_text_of_a_guest_commands_the_terminal() {
    for task in ["fail", "panic", "log", "standard error", "standard output"] {
        for options in [&[][..], &["--progress", "lines", "-vv"], &["--progress", "json"], &["--json"]] {
            let said = says(task, options);
            assert_eq!(said.code, Some(100), "{task} {options:?}");
            assert!(said.stderr.contains("owned"), "{task} {options:?}: the text is shown: {}", said.stderr);
            assert!(is_harmless(&said.stderr), "{task} {options:?}: {:?}", said.stderr);
            assert!(is_harmless(&said.stdout), "{task} {options:?}: {:?}", said.stdout);
            // A line that looks like one of wrun's own is indented, or inside a JSON string.
            assert!(
                !said.stderr.lines().any(|line| line == "wrun: all tasks ok"),
                "{task} {options:?}: {}",
                said.stderr
            );
        }
    }
    assert!(!is_harmless("\u{1b}[2J") && !is_harmless("\u{9b}2J") && !is_harmless("\u{202e}"), "the control");
}

#[test]
fn json_has_the_text_as_the_guest_gave_it() {
    let message = objects(&says("fail", &["--json"]).stdout)[0]["error"].as_str().expect("text").to_owned();
    let text = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{fffd}2J\u{fffd}\0\u{202e}txt.exe\u{2069}\u{9b}2J\u{7f}\u{2028}\r\n\
                wrun: all tasks ok\n\u{8}\u{b}\u{c}\u{fffd}";
    assert_eq!(message, text);
}
