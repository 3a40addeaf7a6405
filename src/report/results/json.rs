//! JSON without characters that control a terminal. JSON itself escapes only those below U+0020.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::report::text::is_control;

/// The value as one line of JSON, without a line end.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut line = Vec::new();
    write_json(&mut line, value)?;
    Ok(String::from_utf8(line).expect("JSON is UTF-8"))
}

/// Writes the value as one line of JSON, without a line end.
pub fn write_json(out: impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Harmless(CompactFormatter)))
}

/// Escapes more characters than JSON requires; a reader gets the same text.
struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Most text has none of them, which a look at the bytes shows.
        if fragment.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return self.0.write_string_fragment(writer, fragment);
        }
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_control(*character)) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_are_escaped() {
        let text = "a\u{1b}[2J \u{9b}2J \u{7f} \u{202e}evil \u{2066} \u{61c} \"\\ \n é 😀";
        let line = to_json(&text).unwrap();
        assert_eq!(line, r#""a\u001b[2J \u009b2J \u007f \u202eevil \u2066 \u061c \"\\ \n é 😀""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert_eq!(to_json(&[("plain", 1)]).unwrap(), r#"[["plain",1]]"#);
    }
}
