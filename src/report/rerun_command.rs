//! The command line that runs one task of a map: a failed one again, or any one in a dry run.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use wrun::{Outcome, Status, Task};

use super::text::shell_quote;

/// The part of such a command line that all tasks of a run share.
#[derive(Clone, Debug)]
pub struct RerunCommand {
    /// The module and the options, quoted; `None` if no command line can hold them.
    common: Option<String>,
    item_kind: ItemKind,
    /// The words of a WASI command, quoted, after `--`.
    argv: String,
}

/// What an item is to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Its argument.
    Text,
    /// A file, or a part of one.
    File,
}

/// Longer command lines, in bytes, are not shown as text.
pub const MAX_SHOWN_BYTES: usize = 4096;

/// The limit of Linux for a word of a command line, with its NUL (execve(2), `MAX_ARG_STRLEN`).
const MAX_WORD_BYTES: usize = 128 << 10;

impl RerunCommand {
    /// For tasks of the module and options in `words`, and the words of a WASI command if there are any.
    pub fn new(words: &[OsString], argv: Option<&[String]>, item_kind: ItemKind) -> RerunCommand {
        let quoted = |word: &OsString| shell_quote(word.as_bytes());
        let common = words.iter().map(quoted).collect::<Option<Vec<_>>>().map(|words| words.join(" "));
        let argv = match argv {
            Some(words) => {
                words.iter().try_fold(" --".to_owned(), |line, word| Some(line + " " + &shell_quote(word.as_bytes())?))
            }
            None => Some(String::new()),
        };
        match argv {
            Some(argv) => RerunCommand { common, item_kind, argv },
            None => RerunCommand { common: None, item_kind, argv: String::new() },
        }
    }

    /// The command line for a failed task; `None` if it never ran or was cancelled, or if no command line can name it.
    pub fn for_failure(&self, outcome: &Outcome) -> Option<String> {
        let error = outcome.result.as_ref().err()?;
        let ran = outcome.stats.attempts > 0 || error.status == Status::WorkerLost;
        if !ran || error.status == Status::Cancelled {
            return None;
        }
        self.line(outcome.index, &outcome.task)
    }

    /// The command line for any task; `None` if no command line can name it.
    pub fn line(&self, index: u64, task: &Task) -> Option<String> {
        let argument = &task.argument;
        if argument.len() >= MAX_WORD_BYTES {
            return None;
        }
        let item = match self.item_kind {
            ItemKind::File => option("--file", &self.file(task))?,
            ItemKind::Text if !self.argv.is_empty() => option("--item", argument)?,
            ItemKind::Text if argument.is_empty() => String::new(),
            // An argument that looks like an option goes after `--`.
            ItemKind::Text if argument.starts_with(b"-") => format!(" -- {}", shell_quote(argument)?),
            ItemKind::Text => format!(" {}", shell_quote(argument)?),
        };
        Some(format!("wrun run {} --index {}{item}{}", self.common.as_ref()?, index, self.argv))
    }

    /// `PATH`, `PATH@OFFSET+LEN` or `PATH[START:END]`, as `--file` parses it.
    fn file(&self, task: &Task) -> Vec<u8> {
        let label = &task.argument;
        match task.inputs.first() {
            // It is a whole file whose name looks like a range or like rows.
            Some(input)
                if input.label() == input.path().as_os_str() && (label.contains(&b'@') || label.ends_with(b"]")) =>
            {
                let range = format!("@{}+{}", input.offset(), input.len());
                [input.path().as_os_str().as_bytes(), range.as_bytes()].concat()
            }
            _ => label.to_vec(),
        }
    }
}

fn option(name: &str, value: &[u8]) -> Option<String> {
    let between = if value.starts_with(b"-") { '=' } else { ' ' };
    Some(format!(" {name}{between}{}", shell_quote(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::results::task_object::tests::outcome;

    fn line(argv: Option<&[String]>, item_kind: ItemKind, item: &[u8]) -> Option<String> {
        let words = ["my kit.wat", "--memory", "1M"].map(OsString::from);
        RerunCommand::new(&words, argv, item_kind).for_failure(&outcome(item, Err("bad")))
    }

    #[test]
    fn lines_have_all_that_a_task_depends_on() {
        use ItemKind::{File, Text};
        let words = ["dear".to_owned(), "{}".to_owned()];
        for (argv, items, item, end) in [
            (None, Text, &b"a b"[..], " 'a b'"),
            (None, Text, b"", ""),
            (None, Text, b"-2", " -- -2"),
            (None, Text, b"\xff", r#" "$(printf '\377')""#),
            (Some(&words[..]), Text, b"bob", " --item bob -- dear '{}'"),
            (Some(&words), Text, b"-b", " --item=-b -- dear '{}'"),
            (None, File, b"data.csv@0+20", " --file data.csv@0+20"),
            (Some(&words), File, b"data.csv", " --file data.csv -- dear '{}'"),
        ] {
            let wanted = format!("wrun run 'my kit.wat' --memory 1M --index 3{end}");
            assert_eq!(line(argv, items, item), Some(wanted));
        }
    }

    #[test]
    fn what_no_command_line_can_name_has_none() {
        assert_eq!(line(None, ItemKind::Text, b"a\0b"), None);
        assert_eq!(line(None, ItemKind::Text, &[b'a'; MAX_WORD_BYTES]), None);
        assert!(line(None, ItemKind::Text, &[b'a'; MAX_WORD_BYTES - 1]).is_some());
        assert_eq!(line(Some(&["\0".to_owned()]), ItemKind::Text, b"a"), None);
        assert_eq!(RerunCommand::new(&[], None, ItemKind::Text).for_failure(&outcome(b"x", Ok(b""))), None);
        let mut never_ran = outcome(b"x", Err("no such file"));
        never_ran.stats.attempts = 0;
        assert_eq!(RerunCommand::new(&[], None, ItemKind::Text).for_failure(&never_ran), None);
    }
}
