//! The files of a [`ResultCache`]: entries, and hashes of inputs' files.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::entry::{self, EntryError, Head};
use super::{ClearedResults, ResultCache, ResultEntry};
use crate::cache::content_hash::{HashStore, Stamp};
use crate::outcome::Outcome;
use crate::private_files::{self, PrivateFile, PrivateFiles};
use crate::result::Finished;
use crate::sys::file_state::FileState;
use crate::sys::private_dir::Unusable;

/// The suffix of entries' names.
const ENTRY: &str = ".result";
/// The suffix of the names of files that hold the hash of another file's range.
const HASH: &str = ".hash";
/// A file with two little-endian numbers: when the directory was last swept (seconds since 1970), and how many bytes were written
/// since then.
const LAST_SWEEP: &str = "looked-through";

/// The least space that a file takes on most disks.
const BLOCK_BYTES: u64 = 4096;
/// The directory is swept once all runs together have written this part of its limit (one sixteenth), and after this time.
const PART_OF_LIMIT: u64 = 16;
const SWEEP_AFTER_SECONDS: u64 = 24 * 60 * 60;

/// An open cache.
#[derive(Debug)]
pub(super) struct Store {
    files: PrivateFiles,
    settings: ResultCache,
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn disk_bytes(len: u64) -> u64 {
    len.next_multiple_of(BLOCK_BYTES)
}

fn name(key: &[u8; 32], suffix: &str) -> String {
    format!("{}{suffix}", blake3::Hash::from_bytes(*key).to_hex())
}

impl Store {
    /// Opens the cache if it exists.
    ///
    /// # Errors
    ///
    /// Why it is not used.
    pub fn open(settings: &ResultCache) -> Result<Option<Store>, String> {
        match PrivateFiles::open(&settings.dir) {
            Ok(files) => Ok(Some(Store { files, settings: settings.clone() })),
            Err(Unusable::Missing) => Ok(None),
            Err(problem) => Err(private_files::unusable(&settings.dir, &problem, "results")),
        }
    }

    /// Opens the cache, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// Why it is not used.
    pub fn create(settings: &ResultCache) -> Result<Store, String> {
        let files = PrivateFiles::create(&settings.dir)
            .map_err(|problem| private_files::unusable(&settings.dir, &problem, "results"))?;
        Ok(Store { files, settings: settings.clone() })
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// The result of this key, if it is there, complete and not expired.
    pub fn get(&self, key: &[u8; 32], now: SystemTime) -> Option<Finished> {
        let name = name(key, ENTRY);
        let (file, metadata) = self.files.file(&name)?;
        match entry::read(&file, metadata.len(), key) {
            Ok((head, finished)) if !self.is_expired(&head, now) => {
                PrivateFiles::note_use(&file, &metadata);
                Some(finished)
            }
            Ok(_) | Err(EntryError::Damaged) => {
                // If it cannot be removed, it will not be used the next time either.
                let _ = self.files.remove(&name);
                None
            }
            Err(EntryError::System) => None,
        }
    }

    fn is_expired(&self, head: &Head, now: SystemTime) -> bool {
        let age = now.duration_since(head.stored).unwrap_or_default();
        self.settings.expires.is_some_and(|expires| age > expires)
    }

    /// Stores a result (never a failure), unless it is larger than the whole cache may be; returns how many bytes it takes.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn put(&self, key: &[u8; 32], head: &Head, outcome: &Outcome) -> io::Result<u64> {
        let Ok(output) = &outcome.result else { return Ok(0) };
        let beginning = entry::beginning(head, outcome, output)?;
        let size = disk_bytes(entry::size(&beginning, output));
        if size > self.settings.size_bytes {
            return Ok(0);
        }
        self.files.write(&name(key, ENTRY), |file| entry::write(file, key, beginning, output))?;
        Ok(size)
    }

    /// Makes room if many bytes were `written`; returns whether it did. After an error, the next sweep tries again.
    pub fn make_room_after(&self, written: u64, now: SystemTime) -> bool {
        let is_much = written >= self.settings.size_bytes / PART_OF_LIMIT;
        if is_much {
            self.note_sweep(now, 0);
            let _ = self.make_room(now);
        }
        is_much
    }

    /// At a run's end: makes room if many bytes were written including those of earlier runs, or if room was last made long ago. If
    /// several runs end at once, one of them may not be counted.
    pub fn make_room_at_end(&self, written: u64, now: SystemTime) -> bool {
        let seconds = unix_seconds(now);
        match self.last_sweep() {
            // A time to come is that of a damaged file, or of a clock that was set back.
            Some((swept, before)) if seconds.checked_sub(swept).is_some_and(|since| since < SWEEP_AFTER_SECONDS) => {
                let all = before.saturating_add(written);
                let made = self.make_room_after(all, now);
                if !made {
                    self.note_sweep(SystemTime::UNIX_EPOCH + Duration::from_secs(swept), all);
                }
                made
            }
            _ => self.make_room_after(u64::MAX, now),
        }
    }

    fn last_sweep(&self) -> Option<(u64, u64)> {
        let (file, _) = self.files.file(LAST_SWEEP)?;
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Some((number(0), number(8)))
    }

    fn note_sweep(&self, swept: SystemTime, written: u64) {
        let numbers = [unix_seconds(swept), written];
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let _ = self.files.write(LAST_SWEEP, |file| file.write_all(&bytes));
    }

    /// Removes files that are no longer needed; then, while there is still too much, the least recently used ones.
    fn make_room(&self, now: SystemTime) -> io::Result<()> {
        let mut total = 0;
        self.files.each(|found| {
            let is_ours = is_ours(&found);
            let is_old = self.settings.expires.is_some_and(|expires| is_ours && found.is_unused_for(expires, now));
            if is_old || found.is_abandoned(now) {
                let _ = self.files.remove(&found.name);
            } else if is_ours {
                total += disk_bytes(found.size_bytes);
            }
        })?;
        if total <= self.settings.size_bytes {
            return Ok(());
        }
        let mut all = Vec::new();
        self.files.each(|found| {
            if is_ours(&found) {
                all.push((found.used, disk_bytes(found.size_bytes), found.name));
            }
        })?;
        all.sort_unstable();
        for (_, size, name) in all {
            if total <= self.settings.size_bytes {
                break;
            }
            if self.files.remove(&name).is_ok() {
                total = total.saturating_sub(size);
            }
        }
        Ok(())
    }

    /// All entries, in no particular order.
    pub fn list(&self) -> io::Result<Vec<ResultEntry>> {
        let mut entries = Vec::new();
        self.files.each(|found| {
            // A file that has disappeared in the meantime, or is not an entry, is left out.
            let file = found.key(ENTRY).and_then(|_| self.files.file(&found.name));
            let head = file.and_then(|(file, metadata)| entry::read_head(&file, metadata.len()).ok());
            let Some(Head { module, function, stored }) = head else { return };
            entries.push(ResultEntry { module, function, size_bytes: found.size_bytes, stored, used: found.used });
        })?;
        Ok(entries)
    }

    /// Removes all files of the cache.
    pub fn clear(&self) -> io::Result<ClearedResults> {
        let (mut cleared, mut refused) = (ClearedResults::default(), None);
        self.files.each(|found| {
            if !is_ours(&found) && !found.is_temporary() && found.name != LAST_SWEEP {
                return;
            }
            match self.files.remove(&found.name) {
                Ok(removed) => {
                    cleared.entries += u64::from(removed && found.key(ENTRY).is_some());
                    cleared.size_bytes += if removed { found.size_bytes } else { 0 };
                }
                Err(error) => refused = Some(error),
            }
        })?;
        refused.map_or(Ok(cleared), Err)
    }
}

fn is_ours(found: &PrivateFile) -> bool {
    found.key(ENTRY).or_else(|| found.key(HASH)).is_some()
}

/// The key under which the hash of a file's range is remembered. It names a file that holds the hash, and a hash of it and the key.
fn range_key(stamp: &Stamp, range: (u64, u64)) -> Option<[u8; 32]> {
    let Stamp::File(FileState { device, inode, size, modified, changed }) = stamp else { return None };
    let mut hasher = blake3::Hasher::new_derive_key("wrun file range 1");
    for number in [*device, *inode, *size, range.0, range.1] {
        hasher.update(&number.to_le_bytes());
    }
    for number in [modified.0, modified.1, changed.0, changed.1] {
        hasher.update(&number.to_le_bytes());
    }
    Some(*hasher.finalize().as_bytes())
}

fn check_hash(key: &[u8; 32], hash: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_derive_key("wrun file range check 1").update(key).update(hash).finalize()
}

impl HashStore for Store {
    fn waits(&self) -> bool {
        true
    }

    fn recall(&self, stamp: &Stamp, range: (u64, u64)) -> Option<blake3::Hash> {
        let key = range_key(stamp, range)?;
        let (file, metadata) = self.files.file(&name(&key, HASH))?;
        let mut bytes = [0; 64];
        let read = file.read_exact_at(&mut bytes, 0);
        let (hash, check) = bytes.split_at(32);
        if read.is_err() || check_hash(&key, hash) != blake3::Hash::from_slice(check).ok()? {
            let _ = self.files.remove(&name(&key, HASH));
            return None;
        }
        PrivateFiles::note_use(&file, &metadata);
        blake3::Hash::from_slice(hash).ok()
    }

    fn remember(&self, stamp: &Stamp, range: (u64, u64), hash: &blake3::Hash) {
        let Some(key) = range_key(stamp, range) else { return };
        // If it cannot be written, the next run reads the file again. Nothing is reported: results that cannot be written are.
        let _ = self.files.write(&name(&key, HASH), |file| {
            file.write_all(hash.as_bytes())?;
            file.write_all(check_hash(&key, hash.as_bytes()).as_bytes())
        });
    }
}

#[cfg(test)]
#[path = "result_store_tests.rs"]
mod tests;
