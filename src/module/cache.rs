//! Compiled modules kept from one run to the next, in files named after their content.
//!
//! # What may go wrong, and what then happens
//!
//! Compiled code is trusted code: whoever can write an entry can run anything inside a worker. The directory must
//! therefore belong to this user and be writable by nobody else, or it is not used; it is only ever reached through
//! the descriptor that was checked.
//!
//! An entry is written to a temporary file in the same directory, flushed to the disk, and renamed (see `kept`). A reader sees all
//! of it or nothing, whoever else writes the same entry and whenever a process or the machine dies; the entry's footer
//! (see `artifact`) also tells a file that was cut short by other means. Two processes that compile the same module
//! both write it, and the last one wins with the same content.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::artifact::{self, Meta};
use super::engine::Fuel;
use super::fingerprint::fingerprint;
use crate::kept::{self, Found, Kept};
use crate::sys::private_dir::Unusable;
use crate::{Error, Result};

/// What entries' names end with.
const ENTRY_SUFFIX: &str = ".cwasm";
/// An entry that was not used for this long is removed when another one is written.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A directory of compiled modules.
#[derive(Debug)]
pub struct Cache(Kept);

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
    /// Bytes that all removed files had together.
    pub size_bytes: u64,
}

impl Cache {
    /// Where compiled modules are kept unless told otherwise: `$WRUN_CACHE_DIR`, else `$XDG_CACHE_HOME/wrun/modules`, else
    /// `~/.cache/wrun/modules`; `None` where there is no home directory either.
    ///
    /// Source: the XDG Base Directory Specification, by which an `XDG_CACHE_HOME` that is not absolute is ignored.
    pub fn default_dir() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("WRUN_CACHE_DIR").or_else(|| {
            let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
            let base = base.or_else(|| Some(std::env::home_dir()?.join(".cache")).filter(|path| path.is_absolute()));
            Some(base?.join("wrun").join("modules"))
        })
    }

    /// Opens a directory of compiled modules; `None` where there is none yet.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be opened, belongs to somebody else, or can be written by somebody else.
    pub fn open(dir: impl AsRef<Path>) -> Result<Option<Cache>> {
        match Kept::open(dir.as_ref()) {
            Ok(dir) => Ok(Some(Cache(dir))),
            Err(Unusable::Missing) => Ok(None),
            Err(problem) => Err(unusable(dir.as_ref(), &problem)),
        }
    }

    /// Opens a directory of compiled modules, and makes it, with mode 0700, where there is none yet.
    pub(super) fn create(dir: &Path) -> Result<Cache> {
        Kept::create(dir).map(Cache).map_err(|problem| unusable(dir, &problem))
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
            // A file that went away meanwhile, or that is no entry, is left out.
            let file = found.key(ENTRY_SUFFIX).and_then(|_| self.0.file(&found.name));
            let Some(meta) = file.and_then(|(file, _)| artifact::read_trailer(&file).ok().flatten()) else { return };
            entries.push(CacheEntry {
                current: compilers.contains(&meta.compiler.as_str()),
                module: meta.name,
                size_bytes: found.size_bytes,
                used: found.used,
            });
        })?;
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.module.cmp(&b.module)));
        Ok(entries)
    }

    /// Removes all compiled modules, and what killed processes left of others. Other files in the directory stay, and
    /// workers that run a removed module go on.
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

    /// The compiled form kept under `key`, where it is there, whole, and of the compiler with this fingerprint.
    pub(super) fn get(&self, key: &str, compiler: &str) -> Option<(File, Meta)> {
        let (file, metadata) = self.0.file(&entry_name(key))?;
        let meta = artifact::read_trailer(&file).ok()?.filter(|meta| meta.compiler == compiler)?;
        Kept::note_use(&file, &metadata);
        Some((artifact::loadable(file).ok()?, meta))
    }

    /// Keeps `artifact` (code and trailer) under `key`, and removes what was not used for a long time.
    pub(super) fn put(&self, key: &str, artifact: &File) -> io::Result<()> {
        self.0.write(&entry_name(key), |file| {
            artifact::copy(artifact, file)?;
            // Without this a power failure could leave an entry whose name and length are on the disk, but not its content.
            file.sync_all()
        })?;
        self.prune(SystemTime::now());
        Ok(())
    }

    /// Removes what nobody needs any more. Errors are left to the next time.
    fn prune(&self, now: SystemTime) {
        let _ = self.each(|found| {
            if found.is_abandoned(now) || (!found.is_temporary() && found.is_unused_for(UNUSED_AFTER, now)) {
                let _ = self.0.remove(&found.name);
            }
        });
    }

    /// Looks at the files of this directory that are ours by their names.
    fn each(&self, mut look: impl FnMut(Found)) -> Result<()> {
        let ours = |found: &Found| found.is_temporary() || found.key(ENTRY_SUFFIX).is_some();
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
    Error::module(kept::unusable(dir, problem, "compiled code"))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
