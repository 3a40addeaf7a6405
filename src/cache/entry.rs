//! The file format of one cached result.
//!
//! ```text
//! magic, length of head, length of body, length of output │ head │ body │ output │ hash of the key and everything before it
//! ```
//!
//! Numbers are little-endian; head and body are in postcard's format.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::ipc::ring::INLINE_MAX_BYTES;
use crate::outcome::Outcome;
use crate::result::{Finished, LogLine, Output, TaskStats};
use crate::sys::{memory_file, rlimit};

/// What a list of results shows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub module: String,
    pub function: String,
    pub stored: SystemTime,
}

/// What else a cached outcome has in common with the original one.
#[derive(Debug, Serialize, Deserialize)]
struct Body<'a> {
    start: SystemTime,
    duration: Duration,
    worker: u32,
    fuel: Option<u64>,
    /// Level and text of each line.
    log: Vec<(u8, Cow<'a, str>)>,
    stderr: Cow<'a, [u8]>,
    exit_code: Option<i32>,
}

const MAGIC: &[u8; 8] = b"wrunres2";
const LENGTHS: usize = 8 + 4 + 4 + 8;
const HASH: u64 = 32;
/// How many bytes are read at a time.
const READ_BYTES: usize = 1 << 20;
/// How many bytes are read first: all of an entry with a short result.
const FIRST_BYTES: u64 = 4096;

/// Why no result can be read from a file.
#[derive(Debug)]
pub(super) enum EntryError {
    /// It is not a complete entry of this key.
    Damaged,
    /// A system call failed.
    System,
}

/// An entry that ends too early is damaged.
impl From<io::Error> for EntryError {
    fn from(error: io::Error) -> EntryError {
        if error.kind() == ErrorKind::UnexpectedEof { EntryError::Damaged } else { EntryError::System }
    }
}

fn hasher(key: &[u8; 32]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key("wrun result entry 1");
    hasher.update(key);
    hasher
}

/// Everything in an entry that comes before the output.
pub(super) fn beginning(head: &Head, outcome: &Outcome, output: &Output) -> io::Result<Vec<u8>> {
    let TaskStats { start, duration, worker, fuel, .. } = outcome.stats;
    let log = outcome.log.iter().map(|line| (line.level as u8, Cow::Borrowed(&*line.text))).collect();
    let (stderr, exit_code) = (Cow::Borrowed(&*outcome.stderr), outcome.exit_code);
    let body = Body { start, duration, worker, fuel, log, stderr, exit_code };
    let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
    let body = postcard::to_stdvec(&body).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(LENGTHS + head.len() + body.len());
    bytes.extend(MAGIC);
    bytes.extend(u32::try_from(head.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend(u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend((output.len() as u64).to_le_bytes());
    bytes.extend(head);
    bytes.extend(body);
    Ok(bytes)
}

/// The length in bytes of an entry with this beginning.
pub(super) fn size(beginning: &[u8], output: &Output) -> u64 {
    (beginning.len() + output.len()) as u64 + HASH
}

/// Writes an entry.
pub(super) fn write(file: &mut File, key: &[u8; 32], mut beginning: Vec<u8>, output: &Output) -> io::Result<()> {
    let mut hasher = hasher(key);
    let hash = *hasher.update(&beginning).update(output).finalize().as_bytes();
    if output.len() <= INLINE_MAX_BYTES {
        beginning.extend_from_slice(output);
        beginning.extend(hash);
        return file.write_all(&beginning);
    }
    file.write_all(&beginning)?;
    file.write_all(output)?;
    file.write_all(&hash)
}

/// Where the parts of an entry are, according to its first bytes.
struct Layout {
    head_end: usize,
    body_end: usize,
    output_len: u64,
}

impl Layout {
    /// The layout of an entry in a file of `len` bytes that begins with `first`.
    fn of(first: &[u8], len: u64) -> Result<Layout, EntryError> {
        let lengths = first.get(..LENGTHS).ok_or(EntryError::Damaged)?;
        let number = |at: usize| u32::from_le_bytes(lengths[at..at + 4].try_into().expect("four bytes")) as usize;
        let output_len = u64::from_le_bytes(lengths[16..].try_into().expect("eight bytes"));
        let head_end = LENGTHS + number(8);
        let body_end = head_end + number(12);
        let whole = (body_end as u64).checked_add(output_len).and_then(|end| end.checked_add(HASH));
        if &lengths[..8] != MAGIC || whole != Some(len) {
            return Err(EntryError::Damaged);
        }
        Ok(Layout { head_end, body_end, output_len })
    }
}

/// The head of the entry in a file of `len` bytes; its hash is not checked.
pub(super) fn read_head(file: &File, len: u64) -> Result<Head, EntryError> {
    let mut bytes = vec![0; FIRST_BYTES.min(len) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let end = Layout::of(&bytes, len)?.head_end;
    let at = bytes.len();
    if at < end {
        bytes.resize(end, 0);
        file.read_exact_at(&mut bytes[at..], at as u64)?;
    }
    postcard::from_bytes(&bytes[LENGTHS..end]).map_err(|_| EntryError::Damaged)
}

/// Reads and checks the entry of `key` in a file of `len` bytes.
pub(super) fn read(file: &File, len: u64, key: &[u8; 32]) -> Result<(Head, Finished), EntryError> {
    let mut bytes = vec![0; FIRST_BYTES.min(len) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let layout = Layout::of(&bytes, len)?;
    // All of an entry with a small output; otherwise what comes before the output, which cannot be longer than the file.
    let is_small = layout.output_len <= INLINE_MAX_BYTES as u64;
    let end = if is_small { len as usize } else { layout.body_end };
    let at = bytes.len().min(end);
    bytes.resize(end, 0);
    file.read_exact_at(&mut bytes[at..], at as u64)?;

    let mut hasher = hasher(key);
    let mut hash = [0; HASH as usize];
    let output = if is_small {
        let (before, after) = bytes.split_at(end - hash.len());
        hasher.update(before);
        hash.copy_from_slice(after);
        Output::from(&before[layout.body_end..])
    } else {
        hasher.update(&bytes);
        let start = layout.body_end as u64;
        let output = copy(file, start, layout.output_len, &mut hasher)?;
        file.read_exact_at(&mut hash, start + layout.output_len)?;
        output
    };
    // blake3 compares its hashes in constant time; any comparison would do.
    if hasher.finalize() != blake3::Hash::from_bytes(hash) {
        return Err(EntryError::Damaged);
    }
    let head = postcard::from_bytes(&bytes[LENGTHS..layout.head_end]).map_err(|_| EntryError::Damaged)?;
    let body = postcard::from_bytes(&bytes[layout.head_end..layout.body_end]).map_err(|_| EntryError::Damaged)?;
    let Body { start, duration, worker, fuel, log, stderr, exit_code } = body;
    let stats = TaskStats { start, duration, worker, attempts: 1, fuel, cached: true, ..TaskStats::default() };
    let log = log.into_iter().map(|(level, text): (u8, Cow<str>)| LogLine::from_wire((level, text.into_owned())));
    Ok((head, Finished { result: Ok(output), log: log.collect(), stderr: stderr.into_owned(), exit_code, stats }))
}

/// Copies a part of a file into sealed memory, and adds it to the hash.
fn copy(file: &File, start: u64, len: u64, hasher: &mut blake3::Hasher) -> io::Result<Output> {
    let mut to = memory_file::growing("wrun-result")?;
    let mut part = vec![0; READ_BYTES];
    let mut done = 0;
    while done < len {
        let part = &mut part[..(len - done).min(READ_BYTES as u64) as usize];
        file.read_exact_at(part, start + done)?;
        hasher.update(part);
        to.write_all(part)?;
        done += part.len() as u64;
    }
    memory_file::seal(&to)?;
    if rlimit::is_high(&to) {
        // A copy costs memory, but holds no descriptor while the result waits.
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        to.read_exact_at(&mut bytes, 0)?;
        return Ok(Output::from(bytes));
    }
    Output::from_sealed(to, len)
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
