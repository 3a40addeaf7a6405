//! Text for standard output that is not a task's result.

use std::io::{self, Write};

use crate::report::name;

/// Writes all of `text`. A reader that does not want all of it is no error.
pub fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A word of a command line that is shown to be copied: a shell reads it as one word and does nothing else with it, whatever a
/// module has in its names.
pub fn shell_word(word: &str) -> String {
    let word = name(word);
    let plain = |char: char| char.is_alphanumeric() || "-_./:=+,@%".contains(char);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_does_nothing_with_a_word() {
        assert_eq!(shell_word("dir/count-words.wasm"), "dir/count-words.wasm");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("x; $(id) 'y'"), r"'x; $(id) '\''y'\'''");
        assert_eq!(shell_word("a\n`b`\u{1b}"), r"'a\n`b`\u{1b}'");
    }
}
