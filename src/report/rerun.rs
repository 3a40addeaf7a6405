//! The command line that runs a task by itself: a failed one once more, or any instead of running it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use wrun::{Outcome, Status, Task};

use super::quote::quote;

/// What all tasks of a run have in common, in words of `wrun run`.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// The module and the options that matter, quoted; `None` where that cannot be said in a line.
    common: Option<String>,
    /// What the items are.
    items: ItemsAre,
    /// A command's words, quoted, behind `--`.
    argv: String,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemsAre {
    /// The task's argument.
    Text,
    /// Files or ranges of files.
    Files,
}

/// The longest line, in bytes, that a person gets to see.
pub const MAX_SHOWN_BYTES: usize = 4096;

/// What no word of a command line reaches, on Linux (execve(2), `MAX_ARG_STRLEN`).
const MAX_WORD_BYTES: usize = 128 << 10;

impl Rerun {
    /// For tasks of the module and options in `words`, and a command's words where there are some.
    pub fn new(words: &[OsString], argv: Option<&[String]>, items: ItemsAre) -> Rerun {
        let quoted = |word: &OsString| quote(word.as_bytes());
        let common = words.iter().map(quoted).collect::<Option<Vec<_>>>().map(|words| words.join(" "));
        let argv = match argv {
            Some(words) => {
                words.iter().try_fold(" --".to_owned(), |line, word| Some(line + " " + &quote(word.as_bytes())?))
            }
            None => Some(String::new()),
        };
        match argv {
            Some(argv) => Rerun { common, items, argv },
            None => Rerun { common: None, items, argv: String::new() },
        }
    }

    /// The line for a task that failed; `None` for one that never ran or was cancelled, and where no command line can
    /// name it.
    pub fn line(&self, outcome: &Outcome) -> Option<String> {
        let error = outcome.result.as_ref().err()?;
        let ran = outcome.stats.attempts > 0 || error.status == Status::WorkerLost;
        if !ran || error.status == Status::Cancelled {
            return None;
        }
        self.task(outcome.index, &outcome.task)
    }

    /// The line that runs a task; `None` where no command line can name it.
    pub fn task(&self, index: u64, task: &Task) -> Option<String> {
        let argument = &task.argument;
        if argument.len() >= MAX_WORD_BYTES {
            return None;
        }
        let item = match self.items {
            ItemsAre::Files => option("--file", &self.file(task)?)?,
            ItemsAre::Text if !self.argv.is_empty() => option("--item", argument)?,
            ItemsAre::Text if argument.is_empty() => String::new(),
            // What begins like an option comes behind `--`.
            ItemsAre::Text if argument.starts_with(b"-") => format!(" -- {}", quote(argument)?),
            ItemsAre::Text => format!(" {}", quote(argument)?),
        };
        Some(format!("wrun run {} --index {}{item}{}", self.common.as_ref()?, index, self.argv))
    }

    /// `PATH`, `PATH@OFFSET+LEN` or `PATH[START:END]`, as the option `--file` reads it.
    fn file(&self, task: &Task) -> Option<Vec<u8>> {
        let label = &task.argument;
        // A path that is no UTF-8 cannot be told from its label.
        if label.windows(3).any(|bytes| bytes == "\u{fffd}".as_bytes()) {
            return None;
        }
        match task.inputs.first() {
            // A whole file whose name looks like a range or like rows.
            Some(input) if input.label() == input.path() && (label.contains(&b'@') || label.ends_with(b"]")) => {
                Some(format!("{}@{}+{}", input.path(), input.offset(), input.len()).into_bytes())
            }
            _ => Some(label.to_vec()),
        }
    }
}

fn option(name: &str, value: &[u8]) -> Option<String> {
    let between = if value.starts_with(b"-") { '=' } else { ' ' };
    Some(format!(" {name}{between}{}", quote(value)?))
}

#[cfg(test)]
mod tests {
    use super::super::task_object::tests::outcome;
    use super::*;

    fn line(argv: Option<&[String]>, items: ItemsAre, item: &[u8]) -> Option<String> {
        let words = ["my kit.wat", "--memory", "1M"].map(OsString::from);
        Rerun::new(&words, argv, items).line(&outcome(item, Err("bad")))
    }

    #[test]
    fn lines_have_all_that_a_task_depends_on() {
        use ItemsAre::{Files, Text};
        let words = ["dear".to_owned(), "{}".to_owned()];
        for (argv, items, item, end) in [
            (None, Text, &b"a b"[..], " 'a b'"),
            (None, Text, b"", ""),
            (None, Text, b"-2", " -- -2"),
            (None, Text, b"\xff", r#" "$(printf '\377')""#),
            (Some(&words[..]), Text, b"bob", " --item bob -- dear '{}'"),
            (Some(&words), Text, b"-b", " --item=-b -- dear '{}'"),
            (None, Files, b"data.csv@0+20", " --file data.csv@0+20"),
            (Some(&words), Files, b"data.csv", " --file data.csv -- dear '{}'"),
        ] {
            let wanted = format!("wrun run 'my kit.wat' --memory 1M --index 3{end}");
            assert_eq!(line(argv, items, item), Some(wanted));
        }
    }

    #[test]
    fn what_no_command_line_can_name_has_none() {
        assert_eq!(line(None, ItemsAre::Text, b"a\0b"), None);
        assert_eq!(line(None, ItemsAre::Text, &[b'a'; MAX_WORD_BYTES]), None);
        assert!(line(None, ItemsAre::Text, &[b'a'; MAX_WORD_BYTES - 1]).is_some());
        assert_eq!(line(Some(&["\0".to_owned()]), ItemsAre::Text, b"a"), None);
        assert_eq!(line(None, ItemsAre::Files, "\u{fffd}".as_bytes()), None);
        assert_eq!(Rerun::new(&[], None, ItemsAre::Text).line(&outcome(b"x", Ok(b""))), None);
        let mut never_ran = outcome(b"x", Err("no such file"));
        never_ran.stats.attempts = 0;
        assert_eq!(Rerun::new(&[], None, ItemsAre::Text).line(&never_ran), None);
    }
}
