//! Quoting for shells.

use std::fmt::Write as _;

use super::is_control;

/// Quotes a word for any POSIX shell, in one line of harmless characters. Other characters, and bytes that are not UTF-8, come from
/// printf(1). Its output would lose a newline at the end, so a word that ends in one needs a shell with `$'...'`, as POSIX has had it since
/// 2024. `None` if no command line can hold the word, because it contains a NUL.
pub fn shell_quote(word: &[u8]) -> Option<String> {
    if word.contains(&0) {
        return None;
    }
    match std::str::from_utf8(word) {
        Ok(text) if !text.chars().any(is_control) => shlex::try_quote(text).ok().map(String::from),
        _ if word.ends_with(b"\n") => Some(quote_by_escapes(word)),
        _ => Some(quote_by_printf(word)),
    }
}

/// `$'...'`, in which all that is not plain text is an octal escape.
fn quote_by_escapes(word: &[u8]) -> String {
    let mut quoted = String::from("$'");
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '\\' | '!' => push_octal(&mut quoted, &[character as u8]),
                _ if is_control(character) => push_octal(&mut quoted, character.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => quoted.push(character),
            }
        }
        push_octal(&mut quoted, chunk.invalid());
    }
    quoted.push('\'');
    quoted
}

fn push_octal(quoted: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(quoted, "\\{byte:03o}").expect("writing to a string cannot fail");
    }
}

fn quote_by_printf(word: &[u8]) -> String {
    let mut quoted = String::from("\"$(printf '");
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                // Their meaning depends on the quotes around them, so they are escaped, too.
                '\'' | '\\' | '"' | '$' | '`' | '!' => push_octal(&mut quoted, &[character as u8]),
                // The format must not look like an option of printf.
                '-' if quoted.ends_with("printf '") => push_octal(&mut quoted, b"-"),
                '%' => quoted.push_str("%%"),
                _ if is_control(character) => push_octal(&mut quoted, character.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => quoted.push(character),
            }
        }
        push_octal(&mut quoted, chunk.invalid());
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
        assert_eq!(shell_quote(b"a'\xff\n").as_deref(), Some(r"$'a\047\377\012'"));
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
            b"\n",
            b"a b\n\n",
            b"it's \\ !x $y `z` \"\xe9\xff\n",
            b"%s%d\x01\\n",
            b"a'\"`$\\ ;&|<>*?[]{}#=%^",
            "\u{85}\u{2028}é".as_bytes(),
        ] {
            let line = format!("printf %s {}", shell_quote(word).unwrap());
            assert!(!line.chars().any(char::is_control), "{line}");
            for shell in ["sh", "bash"] {
                // Some sh(1) do not know this form yet.
                if line.starts_with("printf %s $'") && shell == "sh" {
                    continue;
                }
                let output = Command::new(shell).args(["-c", &line]).output().unwrap();
                assert_eq!(output.stdout, word, "{shell}: {line}");
            }
        }
    }
}
