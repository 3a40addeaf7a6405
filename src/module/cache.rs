//! Compiled modules kept from one run to the next, in files named after their content.
//!
//! # What may go wrong, and what then happens
//!
//! Compiled code is trusted code: whoever can write an entry can run anything inside a worker. The directory must
//! therefore belong to this user and be writable by nobody else, or it is not used; it is only ever reached through
//! the descriptor that was checked.
//!
//! An entry is written to a temporary file in the same directory, flushed to the disk, and renamed. A reader sees all
//! of it or nothing, whoever else writes the same entry and whenever a process or the machine dies; the entry's footer
//! (see `artifact`) also tells a file that was cut short by other means. Two processes that compile the same module
//! both write it, and the last one wins with the same content.

use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::artifact::{self, Meta};
use super::fingerprint::fingerprint;
use crate::guest::engine::Fuel;
use crate::sys::private_dir::{PrivateDir, Unusable, owned_by_us};
use crate::{Error, Result};

/// What entries' names end with.
const ENTRY_SUFFIX: &str = ".cwasm";
/// What the names of files that are being written begin with.
const TEMPORARY_PREFIX: &str = ".new-";
/// An entry that was not used for this long is removed when another one is written.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A temporary file of this age belongs to a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);
/// How exactly the time of last use is kept; finer would write to the disk on every run.
const USE_GRANULE: Duration = Duration::from_secs(60);

/// A directory of compiled modules.
#[derive(Debug)]
pub struct Cache(PrivateDir);

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
        match PrivateDir::open(dir.as_ref()) {
            Ok(dir) => Ok(Some(Cache(dir))),
            Err(Unusable::Missing) => Ok(None),
            Err(problem) => Err(unusable(dir.as_ref(), &problem)),
        }
    }

    /// Opens a directory of compiled modules, and makes it, with mode 0700, where there is none yet.
    pub(super) fn create(dir: &Path) -> Result<Cache> {
        PrivateDir::open_or_create(dir).map(Cache).map_err(|problem| unusable(dir, &problem))
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// All compiled modules, the most recently used one first.
    pub fn list(&self) -> Result<Vec<CacheEntry>> {
        let compilers = [fingerprint(Fuel::NotCounted)?, fingerprint(Fuel::Counted)?];
        let mut entries = Vec::new();
        for found in self.files()? {
            // A file that went away meanwhile, or that is no entry, is left out.
            let Some(meta) =
                File::open(self.0.join(&found.name)).and_then(|file| artifact::read_trailer(&file)).ok().flatten()
            else {
                continue;
            };
            entries.push(CacheEntry {
                current: compilers.contains(&meta.compiler.as_str()),
                module: meta.name,
                size_bytes: found.size_bytes,
                used: found.modified,
            });
        }
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.module.cmp(&b.module)));
        Ok(entries)
    }

    /// Removes all compiled modules, and what killed processes left of others. Other files in the directory stay, and
    /// workers that run a removed module go on.
    pub fn clear(&self) -> Result<Cleared> {
        let mut cleared = Cleared::default();
        for found in self.files()? {
            match std::fs::remove_file(self.0.join(&found.name)) {
                Ok(()) => {
                    cleared.entries += u64::from(found.kind == FileKind::Entry);
                    cleared.size_bytes += found.size_bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::system("cannot clear the cache", error)),
            }
        }
        Ok(cleared)
    }

    /// The compiled form kept under `key`, where it is there, whole, and of the compiler with this fingerprint.
    pub(super) fn get(&self, key: &str, compiler: &str) -> Option<(File, Meta)> {
        let file = File::open(self.0.join(&entry_name(key))).ok()?;
        let metadata = file.metadata().ok()?;
        // The directory may have been open to others in former times.
        if !metadata.is_file() || !owned_by_us(&metadata) {
            return None;
        }
        let meta = artifact::read_trailer(&file).ok()?.filter(|meta| meta.compiler == compiler)?;
        let now = SystemTime::now();
        if metadata.modified().is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > USE_GRANULE)) {
            // On a read-only disk the time stays as it is, and the entry is as good.
            let _ = file.set_times(FileTimes::new().set_modified(now));
        }
        Some((artifact::loadable(file).ok()?, meta))
    }

    /// Keeps `artifact` (code and trailer) under `key`, and removes what was not used for a long time.
    pub(super) fn put(&self, key: &str, artifact: &File) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempfile_in(self.0.through_descriptor())
            .map_err(artifact::without_path)?;
        artifact::copy(artifact, file.as_file_mut())?;
        // Without this a power failure could leave an entry whose name and length are on the disk, but not its content.
        file.as_file().sync_all()?;
        file.persist(self.0.join(&entry_name(key))).map_err(|error| artifact::without_path(error.error))?;
        self.prune(SystemTime::now());
        Ok(())
    }

    /// Removes what nobody needs any more. Errors are left to the next time.
    fn prune(&self, now: SystemTime) {
        for found in self.files().unwrap_or_default() {
            let limit = match found.kind {
                FileKind::Entry => UNUSED_AFTER,
                FileKind::Temporary => ABANDONED_AFTER,
            };
            if now.duration_since(found.modified).is_ok_and(|age| age > limit) {
                let _ = std::fs::remove_file(self.0.join(&found.name));
            }
        }
    }

    /// The files of this directory that are ours by their names.
    fn files(&self) -> Result<Vec<FoundFile>> {
        let read = || {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(self.0.through_descriptor())? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let Some(kind) = FileKind::of(&name) else { continue };
                // Another process may be clearing the cache at the same time.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_file() {
                    files.push(FoundFile { name, kind, size_bytes: metadata.len(), modified: metadata.modified()? });
                }
            }
            Ok(files)
        };
        read().map_err(|error: io::Error| Error::system("cannot list the cache", error))
    }
}

struct FoundFile {
    name: String,
    kind: FileKind,
    size_bytes: u64,
    modified: SystemTime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Entry,
    Temporary,
}

impl FileKind {
    fn of(name: &str) -> Option<Self> {
        let is_key = |key: &str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        match name.strip_suffix(ENTRY_SUFFIX) {
            Some(key) if is_key(key) => Some(FileKind::Entry),
            _ => name.starts_with(TEMPORARY_PREFIX).then_some(FileKind::Temporary),
        }
    }
}

fn entry_name(key: &str) -> String {
    format!("{key}{ENTRY_SUFFIX}")
}

fn unusable(dir: &Path, problem: &Unusable) -> Error {
    let dir = dir.display();
    Error::module(match problem {
        Unusable::Missing => format!("cache directory {dir} went away while it was opened"),
        Unusable::Unsafe(why) => format!(
            "cache directory {dir} is not used, because compiled code from it would be trusted: it {why}, \
             or name another directory with WRUN_CACHE_DIR"
        ),
        Unusable::System(error) => format!("cache directory {dir} cannot be used: {error}"),
    })
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
