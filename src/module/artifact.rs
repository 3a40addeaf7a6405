//! A compiled module as one file: wasmtime's code, followed by what this crate needs to know about it.
//!
//! ```text
//! | code: an ELF file as wasmtime writes it | for backtraces: see `debug` | JSON of `Meta` | footer, 96 bytes |
//!                                                                                          | code length: u64 little-endian
//!                                                                                          | debug length: u64 little-endian
//!                                                                                          | JSON length: u64 little-endian
//!                                                                                          | blake3 of code and debug part: 32 bytes
//!                                                                                          | blake3 of the JSON and all of the above: 32 bytes
//!                                                                                          | "wrunmod4": 8 bytes
//! ```
//!
//! wasmtime ignores whatever follows the sections of its ELF file, so a worker loads the whole file as it is. Cache entries and
//! `.cwasm` files have the same format. Code is checked before it reaches a worker: a single wrong bit of it could give a wrong
//! result. The checksums guard against damage, not against people: whoever can write the file can write a checksum.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::description::Description;
use crate::private_files::without_path;
use crate::sys::memory_file;

const MAGIC: &[u8; 8] = b"wrunmod4";
const FOOTER_BYTES: u64 = 96;
/// How many bytes are read at a time.
const READ_BYTES: u64 = 256 << 10;

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

/// What follows code and debug part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub meta: Meta,
    pub body: Body,
}

/// Code and debug part, as the footer describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// The length of both together, in bytes.
    pub len: u64,
    pub hash: blake3::Hash,
}

impl Body {
    /// Whether the first bytes of `file` are what was written.
    pub fn is_whole(&self, file: &File) -> bool {
        // A file that cannot be read is of no more use than one with other bytes.
        hash(file, self.len).is_ok_and(|hash| hash == self.hash)
    }
}

/// The hash of a whole file; `None` if its first part is not what was written.
pub(super) fn checked_content(file: &File, body: Option<Body>) -> io::Result<Option<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    let body_len = body.map_or(0, |body| body.len);
    feed(&mut hasher, file, 0..body_len)?;
    if body.is_some_and(|body| hasher.finalize() != body.hash) {
        return Ok(None);
    }
    feed(&mut hasher, file, body_len..memory_file::len(file)?)?;
    Ok(Some(*hasher.finalize().as_bytes()))
}

/// The hash of the first `len` bytes.
fn hash(file: &File, len: u64) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    feed(&mut hasher, file, 0..len)?;
    Ok(hasher.finalize())
}

/// Adds these bytes of a file. They are read rather than mapped, so that truncation in the meantime gives an error and not a signal.
fn feed(hasher: &mut blake3::Hasher, file: &File, range: Range<u64>) -> io::Result<()> {
    let mut part = vec![0; READ_BYTES.min(range.end.saturating_sub(range.start)) as usize];
    let mut done = range.start;
    while done < range.end {
        let part = &mut part[..READ_BYTES.min(range.end - done) as usize];
        file.read_exact_at(part, done)?;
        hasher.update(part);
        done += part.len() as u64;
    }
    Ok(())
}

/// Writes the metadata and the footer. The code and the debug part are the first `code_len + debug_len` bytes of `file`, and its
/// cursor must be behind them.
pub(super) fn write_trailer(file: &mut File, code_len: u64, debug_len: u64, meta: &Meta) -> io::Result<()> {
    let json = serde_json::to_vec(meta)?;
    if json.len() as u64 > MAX_META_BYTES {
        return Err(io::Error::other("its imports and exports take up more than 16 MiB"));
    }
    let lengths = [code_len, debug_len, json.len() as u64].map(u64::to_le_bytes).concat();
    let body = hash(file, code_len + debug_len)?;
    let sum = checksum(&json, &lengths, &body);
    file.write_all(&[&json, &lengths, &body.as_bytes()[..], &sum, MAGIC].concat())
}

/// Reads the trailer; `None` if the file has none or is incomplete. The code is not checked; see [`Body::is_whole`].
pub(super) fn read_trailer(file: &File) -> io::Result<Option<Trailer>> {
    let Some(footer) = Footer::read(file)? else { return Ok(None) };
    let mut json = vec![0; usize::try_from(footer.json_len).expect("at most MAX_META_BYTES")];
    file.read_exact_at(&mut json, footer.debug.end)?;
    if checksum(&json, &footer.lengths, &footer.body) != footer.sum {
        return Ok(None);
    }
    let body = Body { len: footer.debug.end, hash: footer.body };
    Ok(serde_json::from_slice(&json).ok().map(|meta| Trailer { meta, body }))
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
    body: blake3::Hash,
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
        let Some(debug_end) = debug_end.filter(|_| is_whole && json_len <= MAX_META_BYTES && bytes[88..] == *MAGIC)
        else {
            return Ok(None);
        };
        let lengths = bytes[..24].try_into().expect("24 bytes");
        let part = |at: usize| -> [u8; 32] { bytes[at..at + 32].try_into().expect("32 bytes") };
        let (body, sum) = (blake3::Hash::from_bytes(part(24)), part(56));
        Ok(Some(Footer { debug: code_len..debug_end, json_len, lengths, body, sum }))
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

fn checksum(json: &[u8], lengths: &[u8], body: &blake3::Hash) -> [u8; 32] {
    *blake3::Hasher::new().update(json).update(lengths).update(body.as_bytes()).finalize().as_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Metadata with an empty description.
    pub(in crate::module) fn meta(name: &str) -> Meta {
        let description = serde_json::json!({
            "tasks": [], "scalars": [], "component": false, "command": false, "initialize": false, "wasi": false,
            "wrun_imports": [], "imports": [], "exports": [], "memory": null, "memories": 0, "tables": 0,
            "table_elements": 0, "large_memories": false,
        });
        Meta { name: name.into(), compiler: "c".into(), description: serde_json::from_value(description).unwrap() }
    }

    #[test]
    fn trailer_survives_a_round_trip() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"code").unwrap();
        write_trailer(&mut file, 3, 1, &meta("m.wasm")).unwrap();
        let trailer = read_trailer(&file).unwrap().unwrap();
        assert_eq!(trailer.meta, meta("m.wasm"));
        assert_eq!(debug_range(&file).unwrap(), Some(3..4));
        assert!(trailer.body.is_whole(&file));
    }

    #[test]
    fn a_changed_bit_of_the_code_or_the_debug_part_is_noticed() {
        let mut file = tempfile::tempfile().unwrap();
        // More than is read at a time.
        file.write_all(&vec![7; READ_BYTES as usize + 5]).unwrap();
        write_trailer(&mut file, READ_BYTES, 5, &meta("m.wasm")).unwrap();
        for at in [0, 1000, READ_BYTES - 1, READ_BYTES, READ_BYTES + 4] {
            file.write_all_at(&[7 ^ 16], at).unwrap();
            assert!(!read_trailer(&file).unwrap().unwrap().body.is_whole(&file), "byte {at} changed");
            file.write_all_at(&[7], at).unwrap();
        }
        assert!(read_trailer(&file).unwrap().unwrap().body.is_whole(&file));
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
