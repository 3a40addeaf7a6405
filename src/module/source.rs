//! Reads a module and determines its format.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use wasmtime::Engine;

use crate::error::Repr;
use crate::shown::shown;
use crate::sys::file_state::FileState;
use crate::{Error, Result};

/// The largest module that is read, in bytes. The largest ones in use (language runtimes with their libraries) have tens of MiB.
pub(super) const MAX_MODULE_BYTES: u64 = 256 << 20;

/// The largest file of precompiled code that is loaded, in bytes: as much as the compiler writes, and what follows it.
const MAX_PRECOMPILED_BYTES: u64 = 3 << 30;

/// A module of at most this size is read whenever it is loaded, because that takes no longer than to look up what is known of it.
const SMALL_BYTES: u64 = 512 << 10;

/// The beginning of a module in the binary format: its magic number, version 1 and the module layer.
const HEADER: &[u8; 8] = b"\0asm\x01\0\0\0";

/// The format of a module's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A core module or a component in the binary format.
    Binary,
    /// A module in the text format.
    Text,
    /// Machine code that was compiled before.
    Precompiled,
}

/// A module as the user gave it.
#[derive(Debug)]
pub(crate) struct ModuleSource {
    /// The path or name as it was given, for messages.
    pub label: String,
    /// The last component of the path.
    pub name: String,
    /// The format of the bytes.
    pub format: Format,
    /// The file itself, if it is a regular one.
    pub file: Option<ModuleFile>,
    /// The whole module, once it has been read.
    bytes: OnceCell<Vec<u8>>,
}

/// The file of a module.
#[derive(Debug)]
pub(crate) struct ModuleFile {
    pub file: File,
    /// Its state before any of it was read.
    pub state: FileState,
    /// When it was in that state.
    pub opened: SystemTime,
}

impl ModuleFile {
    /// Whether it is worth it to look up what is known of its content.
    pub fn is_large(&self) -> bool {
        self.state.size > SMALL_BYTES
    }
}

impl ModuleSource {
    /// Opens and reads a file (or a pipe). Of a large binary file only the beginning is read, until [`bytes`](Self::bytes) are needed.
    pub fn read(path: &Path) -> Result<Self> {
        let label = shown(path.as_os_str().as_encoded_bytes()).into_owned();
        let failed = |source| Repr::file("cannot read module", path, source);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::module(format!("{label} is a directory: name a .wasm or .wat file")));
        }
        let name = path.file_name().map_or_else(|| label.clone(), |name| shown(name.as_encoded_bytes()).into_owned());
        let (state, opened) = (FileState::of(&metadata), SystemTime::now());
        let regular = |file| metadata.is_file().then_some(ModuleFile { file, state, opened });
        if metadata.is_file()
            && metadata.len() > SMALL_BYTES
            && let Some(format) = binary_format(&file, path, metadata.len()).map_err(failed)?
        {
            return Ok(ModuleSource { label, name, format, file: regular(file), bytes: OnceCell::new() });
        }
        let bytes = read_bounded(&file, metadata.len()).map_err(failed)?;
        let mut source = Self::from_bytes(&label, bytes, path.extension().and_then(|extension| extension.to_str()))?;
        source.name = name;
        source.file = regular(file);
        Ok(source)
    }

    /// Takes bytes in memory. `extension` is that of the file, and matters only if the bytes do not decide.
    pub fn from_bytes(label: &str, bytes: Vec<u8>, extension: Option<&str>) -> Result<Self> {
        let format = judge(&bytes, extension).map_err(|problem| Error::module(format!("{label} {problem}")))?;
        let bytes = OnceCell::from(bytes);
        Ok(ModuleSource { label: label.to_owned(), name: label.to_owned(), bytes, format, file: None })
    }

    /// Another module in the binary format, under the same names.
    pub fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        ModuleSource {
            label: self.label.clone(),
            name: self.name.clone(),
            format: Format::Binary,
            file: None,
            bytes: OnceCell::from(bytes),
        }
    }

    /// The whole module, which is read now unless it has been read before.
    pub fn bytes(&self) -> Result<&[u8]> {
        if let (None, Some(ModuleFile { file, state, .. })) = (self.bytes.get(), &self.file) {
            let failed = |source| Repr::file("cannot read module", Path::new(&self.label), source);
            let bytes = read_bounded(file, state.size).map_err(failed)?;
            if bytes.len() as u64 > MAX_MODULE_BYTES {
                return Err(Error::module(format!("{} {}", self.label, too_large())));
            }
            return Ok(self.bytes.get_or_init(|| bytes));
        }
        Ok(self.bytes.get().map_or(&[], Vec::as_slice))
    }
}

/// The format of a regular file of `len` bytes if its beginning is that of a binary format and its length is allowed.
fn binary_format(file: &File, path: &Path, len: u64) -> io::Result<Option<Format>> {
    let mut head = [0; HEADER.len()];
    file.read_exact_at(&mut head, 0)?;
    let is_precompiled = |path| matches!(Engine::detect_precompiled_file(path), Ok(Some(_)));
    Ok(match &head {
        head if (*head == *HEADER || is_component(head)) && len <= MAX_MODULE_BYTES => Some(Format::Binary),
        [0x7f, b'E', b'L', b'F', ..] if len <= MAX_PRECOMPILED_BYTES && is_precompiled(path) => {
            Some(Format::Precompiled)
        }
        _ => None,
    })
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
        return Err(too_large());
    }
    match bytes {
        _ if bytes.starts_with(HEADER) || is_component(bytes) => Ok(Format::Binary),
        [0, b'a', b's', b'm', version @ ..] if version.len() >= 4 => {
            let version = u32::from_le_bytes(version[..4].try_into().expect("four bytes"));
            Err(format!("has version {version} of the WebAssembly format, which is unknown: compile it to version 1"))
        }
        [0, b'a', b's', b'm', ..] => {
            Err("ends within the header of a WebAssembly module: copy or build it again".into())
        }
        _ if Engine::detect_precompiled(bytes).is_some() => Ok(Format::Precompiled),
        _ if extension == Some("cwasm") => Err("is not a precompiled module; make one with `wrun compile`".into()),
        _ if extension == Some("wat") || is_text_module(bytes) => Ok(Format::Text),
        _ => Err("is not a WebAssembly module: name a .wasm (binary) or .wat (text) file".into()),
    }
}

fn too_large() -> String {
    format!("is larger than {} MiB, the limit for modules: name a .wasm or .wat file", MAX_MODULE_BYTES >> 20)
}

/// Whether these are the bytes of a component, of any version.
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
    fn a_large_binary_file_is_read_only_when_its_bytes_are_needed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.wasm");
        let component = b"\0asm\x0d\0\x01\0";
        let (small, large) = (SMALL_BYTES as usize, SMALL_BYTES as usize + 1);
        for (header, len, is_read) in [(HEADER, small, true), (HEADER, large, false), (component, large, false)] {
            let mut bytes = header.to_vec();
            bytes.resize(len, 0);
            std::fs::write(&path, &bytes).unwrap();
            let source = ModuleSource::read(&path).unwrap();
            assert_eq!((source.format, &*source.name), (Format::Binary, "large.wasm"));
            assert_eq!(source.bytes.get().is_some(), is_read, "{len} bytes");
            assert!(source.bytes().unwrap() == bytes && source.bytes().unwrap() == bytes);
        }
        // A file that only begins like a text module, and text that begins with a long comment.
        let comment = format!(";;{}\n", "-".repeat(SMALL_BYTES as usize));
        for (text, is_module) in [(format!("{comment}(module)"), true), (format!("{comment}text"), false)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(ModuleSource::read(&path).is_ok(), is_module);
        }
        File::create(&path).unwrap().write_all_at(HEADER, 0).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(MAX_MODULE_BYTES + 1).unwrap();
        let error = ModuleSource::read(&path).unwrap_err().to_string();
        assert!(error.contains("is larger than 256 MiB"), "{error}");
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
