//! Quoting for shells.

use std::fmt::Write as _;

use super::is_control;

/// Quotes a word for any POSIX shell, in one line of harmless characters. Other characters, and bytes that are not UTF-8, come from
/// printf(1). `None` if no command line can hold the word: if it contains a NUL, or needs printf(1) and ends in a newline, which the
/// shell would remove.
pub fn shell_quote(word: &[u8]) -> Option<String> {
    if word.contains(&0) {
        return None;
    }
    match std::str::from_utf8(word) {
        Ok(text) if !text.chars().any(is_control) => shlex::try_quote(text).ok().map(String::from),
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
                // Their meaning depends on the quotes around them, so they are escaped, too.
                '\'' | '\\' | '"' | '$' | '`' | '!' => bytes(&mut quoted, &[character as u8]),
                // The format must not look like an option of printf.
                '-' if quoted.ends_with("printf '") => bytes(&mut quoted, b"-"),
                '%' => quoted.push_str("%%"),
                _ if is_control(character) => bytes(&mut quoted, character.encode_utf8(&mut [0; 4]).as_bytes()),
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
    fn words_are_quoted_only_if_needed() {
        for (word, quoted) in [
            ("plain-1.wat", "plain-1.wat"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm)", "'$(rm)'"),
            ("ü", "'ü'"),
            ("a\nb'\\%", r#""$(printf 'a\012b\047\134%%')""#),
            ("\u{1b}[2J\u{202e}", r#""$(printf '\033[2J\342\200\256')""#),
        ] {
            assert_eq!(shell_quote(word.as_bytes()).as_deref(), Some(quoted), "{word:?}");
        }
        assert_eq!(shell_quote(b"\xff1").as_deref(), Some(r#""$(printf '\3771')""#));
        assert_eq!(shell_quote(b"a\0b"), None);
        assert_eq!(shell_quote(b"a\n"), None);
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
            let line = format!("printf %s {}", shell_quote(word).unwrap());
            assert!(!line.chars().any(char::is_control), "{line}");
            for shell in ["sh", "bash"] {
                let output = Command::new(shell).args(["-c", &line]).output().unwrap();
                assert_eq!(output.stdout, word, "{shell}: {line}");
            }
        }
    }
}
