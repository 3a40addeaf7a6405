//! Bytes as text for messages, without losing any: what is not UTF-8 is shown as escapes, and not as a character that could stand for
//! anything.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text, if the bytes are UTF-8; otherwise with `\xNN` for each byte that is not.
pub(crate) fn shown(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_shown() {
        assert_eq!(shown("café".as_bytes()), "café");
        assert_eq!(shown(b"caf\xe9 \xff"), r"caf\xe9 \xff");
    }
}
