//! A cache of compiled modules on disk, in files named after their content.
//!
//! # Safety and failures
//!
//! Compiled code is trusted code: whoever can write an entry can run anything inside a worker. The directory must
//! therefore belong to this user and be writable by nobody else, or it is not used; it is only ever reached through
//! the descriptor that was checked.
//!
//! An entry is written to a temporary file in the same directory, flushed to disk, and renamed (see `kept`). A reader sees all of it or
//! nothing, whoever else writes the same entry, and even if a process or the machine dies. The entry's footer (see
//! `artifact`) also detects files that were truncated otherwise. If two processes compile the same module, both write it, and the last
//! one wins with the same content.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::artifact::{self, Meta};
use super::engine::Fuel;
use super::fingerprint::fingerprint;
use crate::private_files::{self, PrivateFile, PrivateFiles};
use crate::sys::private_dir::Unusable;
use crate::{Error, Result};

/// The suffix of entries' names.
const ENTRY_SUFFIX: &str = ".cwasm";
/// Entries unused for this long are removed when another one is written.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A directory of compiled modules.
#[derive(Debug)]
pub struct Cache(PrivateFiles);

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
            let Some(meta) = file.and_then(|(file, _)| artifact::read_trailer(&file).ok().flatten()) else { return };
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
                cleared.entries += u64::from(!found.is_temporary());
                cleared.size_bytes += found.size_bytes;
            }
            Ok(false) => {}
            Err(error) => refused = Some(error),
        })?;
        refused.map_or(Ok(cleared), |error| Err(Error::system("cannot clear the cache", error)))
    }

    /// The entry with this key, if it exists, is complete, and was made by the compiler with this fingerprint.
    pub(super) fn get(&self, key: &str, compiler: &str) -> Option<(File, Meta)> {
        let (file, metadata) = self.0.file(&entry_name(key))?;
        let meta = artifact::read_trailer(&file).ok()?.filter(|meta| meta.compiler == compiler)?;
        PrivateFiles::note_use(&file, &metadata);
        Some((artifact::loadable(file).ok()?, meta))
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
        let _ = self.each(|found| {
            if found.is_abandoned(now) || (!found.is_temporary() && found.is_unused_for(UNUSED_AFTER, now)) {
                let _ = self.0.remove(&found.name);
            }
        });
    }

    /// Calls `look` for each file of the directory whose name is that of an entry or a temporary file.
    fn each(&self, mut look: impl FnMut(PrivateFile)) -> Result<()> {
        let ours = |found: &PrivateFile| found.is_temporary() || found.key(ENTRY_SUFFIX).is_some();
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

fn unusable(dir: &Path, problem: &Unusable) -> Error {
    Error::module(private_files::unusable(dir, problem, "compiled code"))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
