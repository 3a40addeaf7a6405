//! A compiled module as one file: wasmtime's code, followed by what this crate needs to know about it.
//!
//! ```text
//! | code: an ELF file as wasmtime writes it | for backtraces: see `debug` | JSON of `Meta` | footer, 64 bytes |
//!                                                                                          | code length: u64 little-endian
//!                                                                                          | debug length: u64 little-endian
//!                                                                                          | JSON length: u64 little-endian
//!                                                                                          | blake3 of the JSON and the lengths: 32 bytes
//!                                                                                          | "wrunmod2": 8 bytes
//! ```
//!
//! wasmtime ignores whatever follows the sections of its ELF file, so a worker loads the whole file as it is. Cache entries and
//! `.cwasm` files have the same format. The code and the debug part have no checksum: reading all of it would cost more than
//! loading it, since its pages are mapped on demand. Writing cache entries atomically ensures that they are complete.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::description::Description;
use crate::private_files::without_path;
use crate::sys::memory_file;

const MAGIC: &[u8; 8] = b"wrunmod2";
const FOOTER_BYTES: u64 = 64;

/// The longest JSON that is read or written, in bytes: enough for about 100,000 exports.
pub(super) const MAX_META_BYTES: u64 = 16 << 20;

/// The metadata that is kept with compiled code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The name of the module when it was compiled.
    pub name: String,
    /// The compiler's fingerprint, in hexadecimal. Code with another fingerprint is not used.
    pub compiler: String,
    /// What the module offers and needs.
    pub description: Description,
}

/// Writes the metadata and the footer. The code and the debug part are the first `code_len + debug_len` bytes of `file`, and its
/// cursor must be behind them.
pub(super) fn write_trailer(file: &mut File, code_len: u64, debug_len: u64, meta: &Meta) -> io::Result<()> {
    let json = serde_json::to_vec(meta)?;
    if json.len() as u64 > MAX_META_BYTES {
        return Err(io::Error::other("its imports and exports take up more than 16 MiB"));
    }
    let lengths = [code_len, debug_len, json.len() as u64].map(u64::to_le_bytes).concat();
    file.write_all(&[&json, &lengths, &checksum(&json, &lengths)[..], MAGIC].concat())
}

/// Reads the metadata; `None` if the file has none or is incomplete.
pub(super) fn read_trailer(file: &File) -> io::Result<Option<Meta>> {
    let Some(footer) = Footer::read(file)? else { return Ok(None) };
    let mut json = vec![0; usize::try_from(footer.json_len).expect("at most MAX_META_BYTES")];
    file.read_exact_at(&mut json, footer.debug.end)?;
    if checksum(&json, &footer.lengths) != footer.sum {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&json).ok())
}

/// Where the debug part is; `None` if the file has none. Makes only system calls that a worker may make.
pub(crate) fn debug_range(file: &File) -> io::Result<Option<Range<u64>>> {
    Ok(Footer::read(file)?.map(|footer| footer.debug))
}

/// The end of the file.
struct Footer {
    debug: Range<u64>,
    json_len: u64,
    lengths: [u8; 24],
    sum: [u8; 32],
}

impl Footer {
    fn read(file: &File) -> io::Result<Option<Footer>> {
        let Some(footer_at) = memory_file::len(file)?.checked_sub(FOOTER_BYTES) else { return Ok(None) };
        let mut bytes = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut bytes, footer_at)?;
        let part = |at: usize| bytes[at..at + 8].try_into().expect("8 bytes");
        let [code_len, debug_len, json_len] = [0, 8, 16].map(|at| u64::from_le_bytes(part(at)));
        let debug_end = code_len.checked_add(debug_len);
        let is_whole = debug_end.and_then(|end| end.checked_add(json_len)) == Some(footer_at);
        let Some(debug_end) = debug_end.filter(|_| is_whole && json_len <= MAX_META_BYTES && bytes[56..] == *MAGIC)
        else {
            return Ok(None);
        };
        let lengths = bytes[..24].try_into().expect("24 bytes");
        let sum = bytes[24..56].try_into().expect("32 bytes");
        Ok(Some(Footer { debug: code_len..debug_end, json_len, lengths, sum }))
    }
}

/// Appends all bytes of `from` to `to`, regardless of the cursor of `from`.
pub(super) fn copy(from: &File, to: &mut File) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        match from.read_at(&mut chunk, offset)? {
            0 => return Ok(()),
            read => {
                to.write_all(&chunk[..read])?;
                offset += read as u64;
            }
        }
    }
}

/// A file with the same bytes from which a worker can load code: `artifact` itself, or a copy in memory if its file system is mounted
/// noexec.
pub(super) fn loadable(artifact: File) -> io::Result<File> {
    if !memory_file::is_noexec(&artifact)? {
        return Ok(artifact);
    }
    let mut memory = memory_file::growing("wrun-code")?;
    copy(&artifact, &mut memory)?;
    memory_file::seal(&memory)?;
    Ok(memory)
}

/// Writes `artifact` to a file of the user's choice. A regular file is replaced in one step; to anything else, such as
/// `/dev/stdout`, the bytes are just written.
pub(super) fn save(artifact: &File, path: &Path) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return copy(artifact, &mut File::options().write(true).open(path)?);
    }
    // What a link leads to is replaced, and not the link: with `> FILE`, /dev/stdout is one.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A missing directory is reported as such, and not as a failure to create a temporary file.
    std::fs::metadata(dir)?;
    // The mode of any other new file; temporary files are private by default.
    let mode = std::fs::Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().prefix(".wrun-").permissions(mode).tempfile_in(dir).map_err(without_path)?;
    copy(artifact, file.as_file_mut())?;
    file.persist(path).map_err(|error| without_path(error.error))?;
    Ok(())
}

fn checksum(json: &[u8], lengths: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(json).update(lengths).finalize().as_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Metadata with an empty description.
    pub(in crate::module) fn meta(name: &str) -> Meta {
        let description = serde_json::json!({
            "tasks": [], "scalars": [], "command": false, "initialize": false, "wasi": false,
            "wrun_imports": [], "imports": [], "exports": [], "memory": null, "memories": 0, "tables": 0,
        });
        Meta { name: name.into(), compiler: "c".into(), description: serde_json::from_value(description).unwrap() }
    }

    #[test]
    fn trailer_survives_a_round_trip() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"code").unwrap();
        write_trailer(&mut file, 3, 1, &meta("m.wasm")).unwrap();
        assert_eq!(read_trailer(&file).unwrap(), Some(meta("m.wasm")));
        assert_eq!(debug_range(&file).unwrap(), Some(3..4));
    }

    #[test]
    fn a_file_cut_anywhere_has_no_trailer() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"code").unwrap();
        write_trailer(&mut file, 3, 1, &meta("m.wasm")).unwrap();
        for len in 0..file.metadata().unwrap().len() {
            let cut = tempfile::tempfile().unwrap();
            copy(&file, &mut cut.try_clone().unwrap()).unwrap();
            cut.set_len(len).unwrap();
            assert_eq!(read_trailer(&cut).unwrap(), None, "cut to {len} bytes");
        }
    }

    #[test]
    fn code_on_a_file_system_without_execution_is_loaded_from_memory() {
        let plain = tempfile::tempfile().unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&plain);
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&loadable(plain).unwrap()), descriptor, "copied for no reason");
        // /proc is usually mounted noexec.
        let copied = loadable(File::open("/proc/version").unwrap()).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut from_start(&copied), &mut text).unwrap();
        assert_eq!(text, std::fs::read_to_string("/proc/version").unwrap());
        assert!(copied.set_len(0).is_err(), "the copy is not sealed");
    }

    /// The same file with its cursor at the start.
    fn from_start(file: &File) -> File {
        io::Seek::rewind(&mut &*file).unwrap();
        file.try_clone().unwrap()
    }

    #[test]
    fn a_changed_byte_behind_the_code_is_noticed() {
        let mut file = tempfile::tempfile().unwrap();
        write_trailer(&mut file, 0, 0, &meta("m.wasm")).unwrap();
        for at in 0..file.metadata().unwrap().len() {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert_eq!(read_trailer(&file).unwrap(), None, "byte {at} changed");
            file.write_all_at(&byte, at).unwrap();
        }
    }
}
