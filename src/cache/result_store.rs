//! The files of a [`ResultCache`]: entries, and hashes of files that were read.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::entry::{self, Head, Unread};
use super::{ClearedResults, ResultCache, ResultEntry};
use crate::cache::content_hash::{HashMemory, Stamp};
use crate::outcome::Outcome;
use crate::private_files::{self, Found, Kept};
use crate::result::Finished;
use crate::sys::private_dir::Unusable;

/// What the names of entries end with.
const ENTRY: &str = ".result";
/// What the names of files with the hash of another file's range end with.
const HASH: &str = ".hash";
/// When the directory was last looked through (seconds since 1970), and how many bytes came since: two little-endian numbers.
const LOOKED: &str = "looked-through";

/// What a file takes at least on most disks.
const BLOCK_BYTES: u64 = 4096;
/// The directory is looked through when such a part of its limit was written, by all runs together, and after this time.
const PART_OF_LIMIT: u64 = 16;
const LOOK_AFTER_SECONDS: u64 = 24 * 60 * 60;

/// An open cache.
#[derive(Debug)]
pub(super) struct Store {
    kept: Kept,
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
    /// Opens it where it is there; else says why it is not used.
    pub fn open(settings: &ResultCache) -> Result<Option<Store>, String> {
        match Kept::open(&settings.dir) {
            Ok(kept) => Ok(Some(Store { kept, settings: settings.clone() })),
            Err(Unusable::Missing) => Ok(None),
            Err(problem) => Err(private_files::unusable(&settings.dir, &problem, "results")),
        }
    }

    /// Opens it, and makes it where it is missing; else says why it is not used.
    pub fn create(settings: &ResultCache) -> Result<Store, String> {
        let kept = Kept::create(&settings.dir)
            .map_err(|problem| private_files::unusable(&settings.dir, &problem, "results"))?;
        Ok(Store { kept, settings: settings.clone() })
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.kept.dir()
    }

    /// The result of this key, where it is there, whole and not too old.
    pub fn get(&self, key: &[u8; 32], now: SystemTime) -> Option<Finished> {
        let name = name(key, ENTRY);
        let (file, metadata) = self.kept.file(&name)?;
        match entry::read(&file, metadata.len(), key) {
            Ok((head, finished)) if !self.is_expired(&head, now) => {
                Kept::note_use(&file, &metadata);
                Some(finished)
            }
            Ok(_) | Err(Unread::Damaged) => {
                // Where it cannot be removed, it is not used the next time either.
                let _ = self.kept.remove(&name);
                None
            }
            Err(Unread::System) => None,
        }
    }

    fn is_expired(&self, head: &Head, now: SystemTime) -> bool {
        let age = now.duration_since(head.stored).unwrap_or_default();
        self.settings.expires.is_some_and(|expires| age > expires)
    }

    /// Keeps a result (no failure), unless it is longer than all may be together; gives how much it takes.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub fn put(&self, key: &[u8; 32], head: &Head, outcome: &Outcome) -> io::Result<u64> {
        let Ok(output) = &outcome.result else { return Ok(0) };
        let beginning = entry::beginning(head, outcome, output)?;
        let size = disk_bytes(entry::size(&beginning, output));
        if size > self.settings.size_bytes {
            return Ok(0);
        }
        self.kept.write(&name(key, ENTRY), |file| entry::write(file, key, beginning, output))?;
        Ok(size)
    }

    /// Makes room where the `written` bytes are much; says whether it did. Errors are left to the next time.
    pub fn make_room_after(&self, written: u64, now: SystemTime) -> bool {
        let is_much = written >= self.settings.size_bytes / PART_OF_LIMIT;
        if is_much {
            self.note_look(now, 0);
            let _ = self.make_room(now);
        }
        is_much
    }

    /// At a run's end: makes room where it is much with the bytes of earlier runs, or if it is long ago that room was made. Where several
    /// runs end at once, one may not be counted.
    pub fn make_room_at_end(&self, written: u64, now: SystemTime) -> bool {
        let seconds = unix_seconds(now);
        match self.last_look() {
            Some((looked, before)) if seconds.saturating_sub(looked) < LOOK_AFTER_SECONDS => {
                let all = before.saturating_add(written);
                let made = self.make_room_after(all, now);
                if !made {
                    self.note_look(SystemTime::UNIX_EPOCH + Duration::from_secs(looked), all);
                }
                made
            }
            _ => self.make_room_after(u64::MAX, now),
        }
    }

    fn last_look(&self) -> Option<(u64, u64)> {
        let (file, _) = self.kept.file(LOOKED)?;
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Some((number(0), number(8)))
    }

    fn note_look(&self, looked: SystemTime, written: u64) {
        let numbers = [unix_seconds(looked), written];
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let _ = self.kept.write(LOOKED, |file| file.write_all(&bytes));
    }

    /// Removes what nobody needs any more; then, as long as there is too much, what was not used for the longest time.
    fn make_room(&self, now: SystemTime) -> io::Result<()> {
        let mut total = 0;
        self.kept.each(|found| {
            let is_ours = is_ours(&found);
            let is_old = self.settings.expires.is_some_and(|expires| is_ours && found.is_unused_for(expires, now));
            if is_old || found.is_abandoned(now) {
                let _ = self.kept.remove(&found.name);
            } else if is_ours {
                total += disk_bytes(found.size_bytes);
            }
        })?;
        if total <= self.settings.size_bytes {
            return Ok(());
        }
        let mut all = Vec::new();
        self.kept.each(|found| {
            if is_ours(&found) {
                all.push((found.used, disk_bytes(found.size_bytes), found.name));
            }
        })?;
        all.sort_unstable();
        for (_, size, name) in all {
            if total <= self.settings.size_bytes {
                break;
            }
            if self.kept.remove(&name).is_ok() {
                total = total.saturating_sub(size);
            }
        }
        Ok(())
    }

    /// All entries, in no order.
    pub fn list(&self) -> io::Result<Vec<ResultEntry>> {
        let mut entries = Vec::new();
        self.kept.each(|found| {
            // A file that went away meanwhile, or that is no entry, is left out.
            let file = found.key(ENTRY).and_then(|_| self.kept.file(&found.name));
            let head = file.and_then(|(file, metadata)| entry::read_head(&file, metadata.len()).ok());
            let Some(Head { module, function, stored }) = head else { return };
            entries.push(ResultEntry { module, function, size_bytes: found.size_bytes, stored, used: found.used });
        })?;
        Ok(entries)
    }

    /// Removes all files of the cache.
    pub fn clear(&self) -> io::Result<ClearedResults> {
        let (mut cleared, mut refused) = (ClearedResults::default(), None);
        self.kept.each(|found| {
            if !is_ours(&found) && !found.is_temporary() && found.name != LOOKED {
                return;
            }
            match self.kept.remove(&found.name) {
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

fn is_ours(found: &Found) -> bool {
    found.key(ENTRY).or_else(|| found.key(HASH)).is_some()
}

/// The key of what is remembered of a range of a file, as a file of its own: the hash, and a hash of that and of the key.
fn hash_key(stamp: &Stamp, range: (u64, u64)) -> Option<[u8; 32]> {
    let Stamp::File { device, inode, size, modified, changed } = stamp else { return None };
    let mut hasher = blake3::Hasher::new_derive_key("wrun file range 1");
    for number in [*device, *inode, *size, range.0, range.1] {
        hasher.update(&number.to_le_bytes());
    }
    for number in [modified.0, modified.1, changed.0, changed.1] {
        hasher.update(&number.to_le_bytes());
    }
    Some(*hasher.finalize().as_bytes())
}

fn checked(key: &[u8; 32], hash: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_derive_key("wrun file range check 1").update(key).update(hash).finalize()
}

impl HashMemory for Store {
    fn waits(&self) -> bool {
        true
    }

    fn recall(&self, stamp: &Stamp, range: (u64, u64)) -> Option<blake3::Hash> {
        let key = hash_key(stamp, range)?;
        let (file, metadata) = self.kept.file(&name(&key, HASH))?;
        let mut bytes = [0; 64];
        let read = file.read_exact_at(&mut bytes, 0);
        let (hash, check) = bytes.split_at(32);
        if read.is_err() || checked(&key, hash) != blake3::Hash::from_slice(check).ok()? {
            let _ = self.kept.remove(&name(&key, HASH));
            return None;
        }
        Kept::note_use(&file, &metadata);
        blake3::Hash::from_slice(hash).ok()
    }

    fn remember(&self, stamp: &Stamp, range: (u64, u64), hash: &blake3::Hash) {
        let Some(key) = hash_key(stamp, range) else { return };
        // Where it cannot be written, the file is read again in the next run; that results cannot be written is told.
        let _ = self.kept.write(&name(&key, HASH), |file| {
            file.write_all(hash.as_bytes())?;
            file.write_all(checked(&key, hash.as_bytes()).as_bytes())
        });
    }
}

#[cfg(test)]
#[path = "result_store_tests.rs"]
mod tests;
