//! Reads a module and determines its format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Repr;
use crate::shown::shown;
use crate::{Error, Result};

/// The largest module that is read, in bytes. The largest ones in use (language runtimes with their libraries) have tens of MiB.
const MAX_MODULE_BYTES: u64 = 256 << 20;

/// The format of a module's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A core module or a component in the binary format.
    Binary,
    /// A module in the text format.
    Text,
    /// Machine code that was compiled before.
    Precompiled,
}

/// A module as the user gave it.
#[derive(Debug)]
pub(super) struct ModuleSource {
    /// The path or name as it was given, for messages.
    pub label: String,
    /// The last component of the path.
    pub name: String,
    /// The whole module.
    pub bytes: Vec<u8>,
    /// The format of the bytes.
    pub format: Format,
    /// The file itself, if it is a regular one.
    pub file: Option<File>,
}

impl ModuleSource {
    /// Reads a file (or a pipe).
    pub fn read(path: &Path) -> Result<Self> {
        let label = shown(path.as_os_str().as_encoded_bytes()).into_owned();
        let failed = |source| Repr::file("cannot read module", path, source);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::module(format!("{label} is a directory: name a .wasm or .wat file")));
        }
        let bytes = read_bounded(&file, metadata.len()).map_err(failed)?;
        let name = path.file_name().map_or_else(|| label.clone(), |name| shown(name.as_encoded_bytes()).into_owned());
        let mut source = Self::from_bytes(&label, bytes, path.extension().and_then(|extension| extension.to_str()))?;
        source.name = name;
        source.file = metadata.is_file().then_some(file);
        Ok(source)
    }

    /// Takes bytes in memory. `extension` is that of the file, and matters only if the bytes do not decide.
    pub fn from_bytes(label: &str, bytes: Vec<u8>, extension: Option<&str>) -> Result<Self> {
        let format = judge(&bytes, extension).map_err(|problem| Error::module(format!("{label} {problem}")))?;
        Ok(ModuleSource { label: label.to_owned(), name: label.to_owned(), bytes, format, file: None })
    }
}

/// Reads everything, up to the limit and one byte. About `expected` bytes are likely (a pipe has no length).
fn read_bounded(file: &File, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(MAX_MODULE_BYTES)).unwrap_or(0) + 1);
    // One byte more than allowed distinguishes a file that is too large from one that just fits.
    file.take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Determines the format by content, because names lie. The file's extension decides only for text that does not begin like a
/// module, so that the parser can report what is wrong with it.
fn judge(bytes: &[u8], extension: Option<&str>) -> Result<Format, String> {
    if bytes.is_empty() {
        return Err("is empty: name a .wasm or .wat file".into());
    }
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(format!(
            "is larger than {} MiB, the limit for modules: name a .wasm or .wat file",
            MAX_MODULE_BYTES >> 20
        ));
    }
    match bytes {
        // Version 1 of the module layer, and any version of the component layer: only a parser knows which it takes.
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Format::Binary),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(Format::Binary),
        [0, b'a', b's', b'm', version @ ..] if version.len() >= 4 => {
            let version = u32::from_le_bytes(version[..4].try_into().expect("four bytes"));
            Err(format!("has version {version} of the WebAssembly format, which is unknown: compile it to version 1"))
        }
        [0, b'a', b's', b'm', ..] => {
            Err("ends within the header of a WebAssembly module: copy or build it again".into())
        }
        _ if wasmtime::Engine::detect_precompiled(bytes).is_some() => Ok(Format::Precompiled),
        _ if extension == Some("cwasm") => Err("is not a precompiled module; make one with `wrun compile`".into()),
        _ if extension == Some("wat") || is_text_module(bytes) => Ok(Format::Text),
        _ => Err("is not a WebAssembly module: name a .wasm (binary) or .wat (text) file".into()),
    }
}

/// Whether the bytes are a component in the binary format.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    matches!(bytes, [0, b'a', b's', b'm', _, _, 1, 0, ..])
}

/// Whether the first thing after white space and line comments is an opening parenthesis.
fn is_text_module(bytes: &[u8]) -> bool {
    let mut rest = bytes.trim_ascii_start();
    while rest.starts_with(b";;") {
        let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        rest = rest[line..].trim_ascii_start();
    }
    rest.starts_with(b"(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_what_a_module_is() {
        assert_eq!(judge(b"\0asm\x01\0\0\0", None), Ok(Format::Binary));
        assert_eq!(judge(b"\0asm\x01\0\0\0", Some("wat")), Ok(Format::Binary));
        assert_eq!(judge(b" ;; a (comment\n\n  (module)", Some("txt")), Ok(Format::Text));
        assert_eq!(judge(b"module)", Some("wat")), Ok(Format::Text));
        assert_eq!(judge(b"\0asm\x0d\0\x01\0", Some("wasm")), Ok(Format::Binary));
    }

    #[test]
    fn what_is_no_module_is_said_to_be_none() {
        for (bytes, says) in [
            (&b""[..], "is empty"),
            (b"\0asm\x01", "ends within the header"),
            (b"\0asm\x02\0\0\0", "has version 2"),
            (b"\x7fELF\x02\x01\x01", "is not a WebAssembly module"),
            (b"#!/bin/sh\n", "is not a WebAssembly module"),
        ] {
            let problem = judge(bytes, Some("wasm")).unwrap_err();
            assert!(problem.starts_with(says), "{problem}");
        }
        assert!(judge(b"text", Some("cwasm")).unwrap_err().starts_with("is not a precompiled module"));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = ModuleSource::read(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is a directory: name a .wasm or .wat file"), "{error}");
        let error = ModuleSource::read(&dir.path().join("none.wasm")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read module") && error.contains("none.wasm"), "{error}");
    }
}
