//! A cache of compiled modules on disk, in files named after their content.
//!
//! # Safety and failures
//!
//! Compiled code is trusted code: whoever can write an entry can run anything inside a worker. The directory must
//! therefore belong to this user and be writable by nobody else, or it is not used; it is only ever reached through
//! the descriptor that was checked.
//!
//! An entry is written to a temporary file in the same directory, flushed to disk, and renamed (see `kept`). A reader sees all of it or
//! nothing, whoever else writes the same entry, and even if a process or the machine dies. If two processes compile the same module,
//! both write it, and the last one wins with the same content.
//!
//! # Damage
//!
//! Files are damaged all the same: by disks, by copies, by other programs. An entry whose checksums do not match (see `artifact`) is
//! removed, and its module is compiled again. To read all of a large entry takes longer than to load it, so its code is checked once
//! for each state of its file: a second file, the mark, says in which state it was found whole. A mark is trusted as the entry is:
//! nobody else can write either. What goes undetected is damage that leaves the file's times as they are, that is, a disk's own,
//! after the entry was checked.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::artifact::{self, Body, Meta, Trailer};
use super::description::Description;
use super::engine::Fuel;
use super::fingerprint::fingerprint;
use super::known_files::CONTENT_SUFFIX;
use crate::private_files::{self, PrivateFile, PrivateFiles};
use crate::sys::file_clock;
use crate::sys::file_state::FileState;
use crate::sys::private_dir::Unusable;
use crate::{Error, Result};

/// The suffix of entries' names.
const ENTRY_SUFFIX: &str = ".cwasm";
/// The suffix of the names of files that say in which state an entry was found whole.
const MARK_SUFFIX: &str = ".checked";
/// Entries of at most this size are read whenever they are used, because that takes no longer than to read a mark.
const UNMARKED_BYTES: u64 = 64 << 10;
/// Entries unused for this long are removed when another one is written.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A directory of compiled modules.
#[derive(Debug)]
pub struct Cache(pub(super) PrivateFiles);

/// One compiled module of a [`Cache`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEntry {
    /// The name of the module's file when it was compiled.
    pub module: String,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// When it was last used, to the minute.
    pub used: SystemTime,
    /// Whether this version of wrun, on this CPU, uses it.
    pub current: bool,
}

/// What [`Cache::clear`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// Compiled modules.
    pub entries: u64,
    /// The total size of all removed files.
    pub size_bytes: u64,
}

/// What a look into the cache found.
#[derive(Debug)]
pub(super) enum Found {
    /// Code that a worker can load.
    Code(File, Box<Meta>),
    Nothing,
    /// The entry was damaged, and has been removed.
    Damaged,
}

impl Cache {
    /// The default cache directory: `$WRUN_CACHE_DIR`, else `$XDG_CACHE_HOME/wrun/modules`, else `~/.cache/wrun/modules`; `None` if there
    /// is no home directory either.
    ///
    /// Source: the XDG Base Directory Specification, which says to ignore an `XDG_CACHE_HOME` that is not absolute.
    pub fn default_dir() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("WRUN_CACHE_DIR").or_else(|| {
            let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
            let base = base.or_else(|| Some(std::env::home_dir()?.join(".cache")).filter(|path| path.is_absolute()));
            Some(base?.join("wrun").join("modules"))
        })
    }

    /// Opens a cache directory; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be opened, belongs to another user, or is writable by others.
    pub fn open(dir: impl AsRef<Path>) -> Result<Option<Cache>> {
        match PrivateFiles::open(dir.as_ref()) {
            Ok(dir) => Ok(Some(Cache(dir))),
            Err(Unusable::Missing) => Ok(None),
            Err(problem) => Err(unusable(dir.as_ref(), &problem)),
        }
    }

    /// Opens a cache directory, and creates it with mode 0700 if it does not exist.
    pub(super) fn create(dir: &Path) -> Result<Cache> {
        PrivateFiles::create(dir).map(Cache).map_err(|problem| unusable(dir, &problem))
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.0.dir()
    }

    /// All compiled modules, the most recently used one first.
    pub fn list(&self) -> Result<Vec<CacheEntry>> {
        let compilers = [fingerprint(Fuel::NotCounted)?, fingerprint(Fuel::Counted)?];
        let mut entries = Vec::new();
        self.each(|found| {
            // Skips files that are not entries or have been removed meanwhile.
            let file = found.key(ENTRY_SUFFIX).and_then(|_| self.0.file(&found.name));
            let trailer = file.and_then(|(file, _)| artifact::read_trailer(&file).ok().flatten());
            let Some(Trailer { meta, .. }) = trailer else { return };
            let entry = CacheEntry {
                current: compilers.contains(&meta.compiler.as_str()),
                module: meta.name,
                size_bytes: found.size_bytes,
                used: found.used,
            };
            entries.push((entry, found.name));
        })?;
        // The file's name decides ties, because the order of a directory depends on its file system.
        entries.sort_by(|(a, a_file), (b, b_file)| {
            b.used.cmp(&a.used).then_with(|| a.module.cmp(&b.module)).then_with(|| a_file.cmp(b_file))
        });
        Ok(entries.into_iter().map(|(entry, _)| entry).collect())
    }

    /// Removes all compiled modules, and temporary files that killed processes left. Other files in the directory stay, and workers that
    /// run a removed module continue.
    pub fn clear(&self) -> Result<Cleared> {
        let (mut cleared, mut refused) = (Cleared::default(), None);
        self.each(|found| match self.0.remove(&found.name) {
            Ok(true) => {
                cleared.entries += u64::from(found.key(ENTRY_SUFFIX).is_some());
                cleared.size_bytes += found.size_bytes;
            }
            Ok(false) => {}
            Err(error) => refused = Some(error),
        })?;
        refused.map_or(Ok(cleared), |error| Err(Error::system("cannot clear the cache", error)))
    }

    /// Looks for the entry with this key, which the compiler with this fingerprint made. A damaged one is removed.
    pub(super) fn get(&self, key: &str, compiler: &str) -> Found {
        let name = entry_name(key);
        let Some((file, metadata)) = self.0.file(&name) else { return Found::Nothing };
        let trailer = artifact::read_trailer(&file).ok().flatten();
        // Another compiler's code has another key.
        let trailer = trailer.filter(|trailer| trailer.meta.compiler == compiler);
        match trailer.filter(|trailer| self.is_whole(key, &file, &metadata, &trailer.body)) {
            Some(Trailer { meta, .. }) => match artifact::loadable(file) {
                Ok(code) => Found::Code(code, Box::new(meta)),
                Err(_) => Found::Nothing,
            },
            None => {
                // If it cannot be removed, it is replaced, or found to be damaged again.
                let _ = self.remove(key);
                Found::Damaged
            }
        }
    }

    /// The description in the entry with this key, which the compiler with this fingerprint made. Changes nothing: neither is the code
    /// checked, nor the use noted.
    pub(super) fn description(&self, key: &str, compiler: &str) -> Option<Description> {
        let (file, _) = self.0.file(&entry_name(key))?;
        let trailer = artifact::read_trailer(&file).ok().flatten()?;
        (trailer.meta.compiler == compiler).then_some(trailer.meta.description)
    }

    /// Whether the entry's code is what was written, and notes its use.
    fn is_whole(&self, key: &str, file: &File, metadata: &Metadata, body: &Body) -> bool {
        let state = FileState::of(metadata);
        let is_small = state.size <= UNMARKED_BYTES;
        let is_marked = !is_small && self.is_marked(key, &state);
        if !is_marked && !body.is_whole(file) {
            return false;
        }
        let used = PrivateFiles::note_use(file, metadata);
        let granule = file_clock::granule(file);
        if let Some(time) = used.filter(|_| !is_small && granule < Duration::from_secs(1)) {
            // That changed the file's times. A change by anybody else sets the time of the system's last tick, and not this one.
            let now = file.metadata().ok().filter(|now| now.modified().is_ok_and(|modified| modified == time));
            let _ = now.map(|now| self.mark(key, &FileState::of(&now)));
        } else if !is_small && !is_marked && state.unsettled_for(SystemTime::now(), granule).is_zero() {
            self.mark(key, &state);
        }
        true
    }

    /// Whether the entry was found whole in this state.
    fn is_marked(&self, key: &str, state: &FileState) -> bool {
        let Some((file, _)) = self.0.file(&mark_name(key)) else { return false };
        let mut bytes = [0; 32];
        file.read_exact_at(&mut bytes, 0).is_ok() && mark_of(key, state) == blake3::Hash::from_bytes(bytes)
    }

    /// Notes that the entry was found whole in this state. If that cannot be written, the entry is read again the next time.
    fn mark(&self, key: &str, state: &FileState) {
        let _ = self.0.write(&mark_name(key), |file| file.write_all(mark_of(key, state).as_bytes()));
    }

    fn remove(&self, key: &str) -> io::Result<bool> {
        let _ = self.0.remove(&mark_name(key));
        self.0.remove(&entry_name(key))
    }

    /// Stores `artifact` (code and trailer) under `key`, and removes entries that were not used for a long time.
    pub(super) fn put(&self, key: &str, artifact: &File) -> io::Result<()> {
        self.0.write(&entry_name(key), |file| {
            artifact::copy(artifact, file)?;
            // Without this, a power failure could leave an entry whose name and length are on disk, but not its content.
            file.sync_all()
        })?;
        self.prune(SystemTime::now());
        Ok(())
    }

    /// Removes old entries and abandoned temporary files. Errors are ignored until the next time.
    fn prune(&self, now: SystemTime) {
        let _ = self.each(|found| match found.key(ENTRY_SUFFIX) {
            Some(key) if found.is_unused_for(UNUSED_AFTER, now) => drop(self.remove(key)),
            None if found.is_abandoned(now) => drop(self.0.remove(&found.name)),
            None if found.key(CONTENT_SUFFIX).is_some() && found.is_unused_for(UNUSED_AFTER, now) => {
                drop(self.0.remove(&found.name));
            }
            _ => {}
        });
    }

    /// Calls `look` for each file of the directory whose name is that of an entry, a mark, a known file or a temporary file.
    fn each(&self, mut look: impl FnMut(PrivateFile)) -> Result<()> {
        const SUFFIXES: [&str; 3] = [ENTRY_SUFFIX, MARK_SUFFIX, CONTENT_SUFFIX];
        let has_key = |found: &PrivateFile| SUFFIXES.iter().any(|end| found.key(end).is_some());
        let ours = |found: &PrivateFile| found.is_temporary() || has_key(found);
        let listed = self.0.each(|found| {
            if ours(&found) {
                look(found)
            }
        });
        listed.map_err(|error| Error::system("cannot list the cache", error))
    }
}

fn entry_name(key: &str) -> String {
    format!("{key}{ENTRY_SUFFIX}")
}

fn mark_name(key: &str) -> String {
    format!("{key}{MARK_SUFFIX}")
}

/// What a mark holds for this state of an entry.
fn mark_of(key: &str, state: &FileState) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key("wrun checked module 1");
    hasher.update(key.as_bytes()).update(&state.to_bytes()).finalize()
}

fn unusable(dir: &Path, problem: &Unusable) -> Error {
    Error::module(private_files::unusable(dir, problem, "compiled code"))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
