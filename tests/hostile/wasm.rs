//! Builds modules in the binary format by hand, and checks how wrun refuses one.

use crate::cli::kit::{Place, Said};

/// A module in the binary format, built by hand.
#[derive(Clone)]
pub struct Wasm {
    pub bytes: Vec<u8>,
}

impl Wasm {
    pub fn new() -> Wasm {
        Wasm { bytes: b"\0asm\x01\0\0\0".to_vec() }
    }

    /// Adds a section.
    pub fn section(mut self, id: u8, contents: impl AsRef<[u8]>) -> Wasm {
        self.bytes.push(id);
        self.bytes.extend(name(contents.as_ref()));
        self
    }

    /// Gives its first function this name.
    pub fn names(self, function: &str) -> Wasm {
        let entry = [&b"\x01\0"[..], &name(function.as_bytes())].concat();
        self.section(0, [&name(b"name")[..], b"\x01", &name(&entry)].concat())
    }

    /// Adds a function `f` without parameters and with this body.
    pub fn function(self, body: &[u8]) -> Wasm {
        let code = [&b"\x01"[..], &name(body)].concat();
        self.section(7, [&b"\x01"[..], &name(b"f"), b"\0\0"].concat()).section(10, code)
    }
}

/// Bytes preceded by their length, as in names and sections.
pub fn name(bytes: &[u8]) -> Vec<u8> {
    [&number(bytes.len()), bytes].concat()
}

/// A number in LEB128.
pub fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A module with one function without parameters and with this body.
pub fn one_function(body: &[u8]) -> Vec<u8> {
    Wasm::new().section(1, b"\x01\x60\0\0").section(3, b"\x01\0").function(body).bytes
}

/// Checks that a module is refused with a message of one line that contains `says`, and that nothing else happens.
#[track_caller]
pub fn is_refused(place: &Place, options: &[&str], says: &str) {
    let said = place.says(&[&["map", "m.wasm", ""][..], options].concat());
    assert!(is_refusal(&said) && said.stderr.contains(says), "{says}: {said:?}");
}

pub fn is_refusal(said: &Said) -> bool {
    let one_line = said.stderr.starts_with("wrun: ") && said.stderr.lines().count() == 1 && said.stderr.len() < 2000;
    said.code == Some(1) && said.stdout.is_empty() && one_line && !said.stderr.contains("crashed")
}
