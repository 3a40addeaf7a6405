//! Hashes of inputs' contents, and whether a file is still in the state in which it was hashed.
//!
//! A file counts as unchanged if its device, inode, size and times of last change are unchanged. A change within the same clock tick
//! as the one before leaves the times as they are, so a hash is remembered only if the file's times were older than a tick
//! ([`HashedInput::settled`]; Git calls a file with newer times racily clean). Two kinds of change go undetected: a further change
//! through a writable mapping, until the kernel writes the page back; and a change after the clock was set back.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use crate::error::Repr;
use crate::sys::file_state::FileState;
use crate::sys::{file_clock, memory_file};
use crate::{Input, Result};

/// Identifies a state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stamp {
    /// An open file that nobody can change, by its number in this process.
    Sealed(u64),
    /// Any other file.
    File(FileState),
}

impl Stamp {
    /// The state that the input's file is in now.
    pub fn of(input: &Input) -> io::Result<Stamp> {
        let (file, id) = input.file();
        if memory_file::is_immutable(file).unwrap_or(false) {
            return Ok(Stamp::Sealed(id));
        }
        file.metadata().map(|metadata| Stamp::File(FileState::of(&metadata)))
    }

    /// How long it takes from `now` until a change of the file is certain to give it another stamp: see [`FileState::unsettled_for`].
    fn unsettled_for(&self, now: SystemTime, granule: Duration) -> Duration {
        match self {
            Stamp::Sealed(_) => Duration::ZERO,
            Stamp::File(state) => state.unsettled_for(now, granule),
        }
    }
}

/// An input's hash, and the state in which the file had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashedInput {
    pub hash: blake3::Hash,
    /// The file's state before it was read.
    pub stamp: Stamp,
    /// Whether any later change gives the file another stamp.
    pub settled: bool,
}

/// Where hashes are remembered from one run to the next.
pub(crate) trait HashStore {
    /// Whether to wait, for some milliseconds at most, until a file that has just changed is settled.
    fn waits(&self) -> bool;
    /// The hash of this range (offset and length) of a file in this state.
    fn recall(&self, stamp: &Stamp, range: (u64, u64)) -> Option<blake3::Hash>;
    /// Remembers that hash.
    fn remember(&self, stamp: &Stamp, range: (u64, u64), hash: &blake3::Hash);
}

/// Remembers nothing.
impl HashStore for () {
    fn waits(&self) -> bool {
        false
    }

    fn recall(&self, _: &Stamp, _: (u64, u64)) -> Option<blake3::Hash> {
        None
    }

    fn remember(&self, _: &Stamp, _: (u64, u64), _: &blake3::Hash) {}
}

/// Hashes ranges of files, and remembers the latest hashes.
#[derive(Debug, Default)]
pub(crate) struct ContentHashes {
    known: HashMap<(Stamp, (u64, u64)), blake3::Hash>,
    buffer: Vec<u8>,
}

/// How many hashes are remembered.
const MAX_KNOWN: usize = 4096;
/// How many bytes are read at a time.
const READ_BYTES: u64 = 1 << 20;
/// The longest wait for a file to settle.
const MAX_WAIT: Duration = Duration::from_millis(100);

impl ContentHashes {
    /// The hash of an input's bytes. They are read rather than mapped, so that truncation in the meantime gives an error and not a
    /// signal.
    pub fn of(&mut self, input: &Input, memory: &impl HashStore) -> Result<HashedInput> {
        let failed = |source| Repr::file("cannot read input", input.path(), source);
        let (file, _) = input.file();
        let mut stamp = Stamp::of(input).map_err(failed)?;
        let range = (input.offset(), input.len());
        // Only settled hashes are remembered.
        if let Some(hash) = self.known.get(&(stamp, range)) {
            return Ok(HashedInput { hash: *hash, stamp, settled: true });
        }
        let is_file = matches!(stamp, Stamp::File(_));
        let recalled = is_file.then(|| memory.recall(&stamp, range)).flatten();
        let settled = recalled.is_some() || {
            let granule = if is_file { file_clock::granule(file) } else { Duration::ZERO };
            let mut time = stamp.unsettled_for(SystemTime::now(), granule);
            if memory.waits() && !time.is_zero() && time < MAX_WAIT {
                file_clock::wait(time);
                stamp = Stamp::of(input).map_err(failed)?;
                time = stamp.unsettled_for(SystemTime::now(), granule);
            }
            time.is_zero()
        };
        let hash = match recalled {
            Some(hash) => hash,
            None => {
                let hash = self.read(file, range).map_err(failed)?;
                // The file may have changed while it was read.
                if settled && is_file && Stamp::of(input).is_ok_and(|now| now == stamp) {
                    memory.remember(&stamp, range, &hash);
                }
                hash
            }
        };
        if settled {
            if self.known.len() == MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert((stamp, range), hash);
        }
        Ok(HashedInput { hash, stamp, settled })
    }

    fn read(&mut self, file: &File, (offset, len): (u64, u64)) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        while done < len {
            let part = (len - done).min(READ_BYTES);
            self.buffer.resize(part as usize, 0);
            file.read_exact_at(&mut self.buffer, offset + done)?;
            hasher.update(&self.buffer);
            done += part;
        }
        Ok(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers nothing, and waits.
    struct Patient;

    impl HashStore for Patient {
        fn waits(&self) -> bool {
            true
        }

        fn recall(&self, _: &Stamp, _: (u64, u64)) -> Option<blake3::Hash> {
            None
        }

        fn remember(&self, _: &Stamp, _: (u64, u64), _: &blake3::Hash) {}
    }

    #[test]
    fn a_range_is_read_once_and_again_when_the_file_has_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut contents = ContentHashes::default();
        let mut hash = |input: &Input| contents.of(input, &Patient).map(|seen| (seen.hash, contents.known.len()));
        let whole = blake3::hash(b"0123456789");
        assert_eq!(hash(&input).unwrap(), (whole, 1));
        assert_eq!(hash(&input.slice(2..5).unwrap()).unwrap(), (blake3::hash(b"234"), 2));
        assert_eq!(hash(&input.clone()).unwrap(), (whole, 2));

        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(hash(&input).unwrap(), (whole, 3));
        file.as_file().write_all_at(b"x", 0).unwrap();
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(hash(&input).unwrap(), (blake3::hash(b"x123456789"), 4));
        file.as_file().set_len(3).unwrap();
        let error = hash(&input).unwrap_err();
        assert!(error.to_string().starts_with("cannot read input"), "{error}");
    }

    #[test]
    fn a_file_that_changes_now_is_not_settled() {
        let granule = Duration::from_millis(20);
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let time = |ms: i64| (ms / 1000, ms % 1000 * 1_000_000);
        let unsettled = |modified, changed, now| {
            let (modified, changed) = (time(modified), time(changed));
            let stamp = Stamp::File(FileState { device: 1, inode: 1, size: 1, modified, changed });
            stamp.unsettled_for(at(now), granule).as_millis()
        };
        assert_eq!(unsettled(5000, 5000, 5020), 0);
        assert_eq!(unsettled(5000, 5000, 5019), 1);
        assert_eq!(unsettled(5000, 5000, 5000), 20);
        assert_eq!(unsettled(1000, 5000, 5000), 20, "the time of the contents can be set back");
        assert_eq!(unsettled(5000, 1000, 5010), 10);
        assert_eq!(unsettled(9000, 1000, 5000), 0, "or to the future, where it stays the same");
        assert_eq!(unsettled(1000, 9000, 5000), 4020, "the other one cannot, so the clocks differ");
        assert_eq!(Stamp::Sealed(1).unsettled_for(at(0), granule), Duration::ZERO);
    }

    #[test]
    fn what_is_unsettled_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let input = || Input::open(file.path()).unwrap();
        file.as_file().set_len(2).unwrap();
        let mut contents = ContentHashes::default();
        // Most of these writes fall into the same tick as the one before.
        for attempt in 0u8..200 {
            file.as_file().write_all_at(&[attempt, 0], 0).unwrap();
            let before = contents.of(&input(), &()).unwrap();
            file.as_file().write_all_at(&[attempt, 1], 0).unwrap();
            let after = contents.of(&input(), &()).unwrap();
            assert_eq!((before.hash, after.hash), (blake3::hash(&[attempt, 0]), blake3::hash(&[attempt, 1])));
            assert!(!before.settled || before.stamp != after.stamp);
        }
    }
}
