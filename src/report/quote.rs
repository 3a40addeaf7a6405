//! Words of a command line, for a shell.

use std::fmt::Write as _;

use super::text::commands;

/// The word as a POSIX shell reads it; one that is no UTF-8 or holds control characters, as bash does (`$'...'`), so that it
/// always is one line of harmless characters. `None` where no command line can hold it, because there is a NUL in it.
pub fn quote(word: &[u8]) -> Option<String> {
    if word.contains(&0) {
        return None;
    }
    match std::str::from_utf8(word) {
        Ok(text) if !text.chars().any(commands) => shlex::try_quote(text).ok().map(String::from),
        _ => Some(quote_for_bash(word)),
    }
}

fn quote_for_bash(word: &[u8]) -> String {
    let mut quoted = String::from("$'");
    let bytes = |quoted: &mut String, bytes: &[u8]| {
        for byte in bytes {
            write!(quoted, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    };
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '\\' => quoted.extend(['\\', character]),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                _ if commands(character) => bytes(&mut quoted, character.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => quoted.push(character),
            }
        }
        bytes(&mut quoted, chunk.invalid());
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn words_are_quoted_only_where_they_have_to_be() {
        for (word, quoted) in [
            ("plain-1.wat", "plain-1.wat"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm)", "'$(rm)'"),
            ("ü", "'ü'"),
            ("a\nb'\\", r"$'a\nb\'\\'"),
            ("\u{1b}[2J\u{202e}", r"$'\x1b[2J\xe2\x80\xae'"),
        ] {
            assert_eq!(quote(word.as_bytes()).as_deref(), Some(quoted), "{word:?}");
        }
        assert_eq!(quote(b"\xff1").as_deref(), Some(r"$'\xff1'"));
        assert_eq!(quote(b"a\0b"), None);
    }

    #[test]
    fn bash_reads_what_was_quoted() {
        let all: Vec<u8> = (1..=255).collect();
        for word in [&all[..], b"it's", b"!x", b"~", b"a'\"`$\\ ;&|<>*?[]{}#=%^", "\u{85}\u{2028}é".as_bytes()] {
            let line = format!("printf %s {}", quote(word).unwrap());
            assert!(!line.chars().any(char::is_control), "{line}");
            let output = Command::new("bash").args(["-c", &line]).output().unwrap();
            assert_eq!(output.stdout, word, "{line}");
        }
    }
}
