//! Words of a command line, for a shell.

use std::fmt::Write as _;

use super::text::commands;

/// The word as every POSIX shell reads it, always one line of harmless characters; what is none of these, or no UTF-8, comes from
/// printf(1). `None` where no command line can hold it: there is a NUL in it, or such a word ends in a line end, which the shell
/// would take away.
pub fn quote(word: &[u8]) -> Option<String> {
    if word.contains(&0) {
        return None;
    }
    match std::str::from_utf8(word) {
        Ok(text) if !text.chars().any(commands) => shlex::try_quote(text).ok().map(String::from),
        _ if word.ends_with(b"\n") => None,
        _ => Some(quote_by_printf(word)),
    }
}

fn quote_by_printf(word: &[u8]) -> String {
    let mut quoted = String::from("\"$(printf '");
    let bytes = |quoted: &mut String, bytes: &[u8]| {
        for byte in bytes {
            write!(quoted, "\\{byte:03o}").expect("writing to a string cannot fail");
        }
    };
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                // By their numbers, too: what they mean depends on the shell that is around.
                '\'' | '\\' | '"' | '$' | '`' | '!' => bytes(&mut quoted, &[character as u8]),
                // Of no option.
                '-' if quoted.ends_with("printf '") => bytes(&mut quoted, b"-"),
                '%' => quoted.push_str("%%"),
                _ if commands(character) => bytes(&mut quoted, character.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => quoted.push(character),
            }
        }
        bytes(&mut quoted, chunk.invalid());
    }
    quoted.push_str("')\"");
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
            ("a\nb'\\%", r#""$(printf 'a\012b\047\134%%')""#),
            ("\u{1b}[2J\u{202e}", r#""$(printf '\033[2J\342\200\256')""#),
        ] {
            assert_eq!(quote(word.as_bytes()).as_deref(), Some(quoted), "{word:?}");
        }
        assert_eq!(quote(b"\xff1").as_deref(), Some(r#""$(printf '\3771')""#));
        assert_eq!(quote(b"a\0b"), None);
        assert_eq!(quote(b"a\n"), None);
    }

    #[test]
    fn every_shell_reads_what_was_quoted() {
        let all: Vec<u8> = (1..=255).collect();
        for word in [
            &all[..],
            b"it's",
            b"!x",
            b"~",
            b"\n'; touch /tmp/wrun-test-quote #",
            b"-n\x01",
            b"%s%d\x01\\n",
            b"a'\"`$\\ ;&|<>*?[]{}#=%^",
            "\u{85}\u{2028}é".as_bytes(),
        ] {
            let line = format!("printf %s {}", quote(word).unwrap());
            assert!(!line.chars().any(char::is_control), "{line}");
            for shell in ["sh", "bash"] {
                let output = Command::new(shell).args(["-c", &line]).output().unwrap();
                assert_eq!(output.stdout, word, "{shell}: {line}");
            }
        }
    }
}
