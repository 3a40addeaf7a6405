//! Results kept from one run to the next: a task whose key is known does not run again.
//!
//! ```text
//! Job ─────▶ of_job: may it be cached? what all its tasks share ──┐
//! Task, merge ─▶ look_up: key (contents: hashes of inputs) ─▶ store: entry ─▶ Task::finished
//! Outcome, ok ─▶ keep: are the inputs as they were? ──────────▶ store: entry
//! ```
//!
//! # Why it is sound
//!
//! A task can see its module, argument, inputs and what its job sets, and nothing else; all of that is in its key (see [`ResultCache`]).
//! Jobs whose tasks can see more are not cached. A result is kept only if the files of the task's inputs are, after its end, still
//! in the state in which they were hashed, and that state could not have stayed the same over a change (see `contents`).
//!
//! An entry is one file, written under another name and renamed, with a hash over its key and all its bytes. What is damaged, cut
//! off or of another key is removed and not used. Bytes are copied out of an entry before they are looked at: another process of the same user
//! could write the file, so a large result comes back in a sealed memory file, and the hash is that of the copy.

pub(crate) mod content_hash;
mod entry;
mod job_results;
pub(crate) mod key;
mod result_store;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::module::Cache;
use crate::{Error, Result};

pub(crate) use job_results::JobResults;
pub use key::{ParseTaskKeyError, TaskKey, TaskKeys};
use result_store::Store;

/// A directory of results, and how much is kept there: with it, a pool does not run a task again whose result is there.
///
/// A result is found by the hash of all that a task can see: contents of the module (with the compiler, the CPU's features and this crate's
/// version), function, argument, the words of a command, names and contents of inputs, environment, seed and limits (but not
/// time). The task's position counts only for modules that can see it: by `task_index`, or by random numbers, which follow from it.
/// Only results are kept, with their log lines, never failures.
///
/// A job whose tasks can see more than that is not cached, which [`Event::NotCached`](crate::Event::NotCached) says: one with a directory, the real clock or real random
/// numbers, with instances that are reused, or with a module that can wait for time (`poll_oneoff`).
///
/// ```no_run
/// use wrun::cache::ResultCache;
/// use wrun::{Job, Module, Pool};
///
/// wrun::init();
/// let job = Job::new(&Module::from_file("sqrt.wat")?);
/// let mut pool = Pool::builder().cache(ResultCache::at("/var/cache/roots")).build()?;
/// for outcome in pool.map(&job, [2, 9, 2].into_iter())? {
///     println!("{} {}", outcome.stats.cached, String::from_utf8_lossy(&outcome.result?));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResultCache {
    /// The directory; it is made where it is missing, has to belong to this user, and to be writable by nobody else.
    pub dir: PathBuf,
    /// Bytes that entries may take together, each rounded up to 4 KiB. Those that were not used for the longest time go first.
    pub size_bytes: u64,
    /// After this time a result is not used any more; `None` is never.
    pub expires: Option<Duration>,
}

/// One result of a [`ResultCache`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultEntry {
    /// The name of the module's file when the task ran.
    pub module: String,
    /// The function.
    pub function: String,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// When the result was stored.
    pub stored: SystemTime,
    /// When it was last used, to the minute.
    pub used: SystemTime,
}

/// What [`ResultCache::clear`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClearedResults {
    /// Results.
    pub entries: u64,
    /// Bytes that all removed files had together: results, remembered hashes of files, and what killed processes left.
    pub size_bytes: u64,
}

impl ResultCache {
    /// The default of [`ResultCache::size_bytes`]: 4 GiB.
    pub const SIZE_BYTES: u64 = 4 << 30;

    /// A cache in this directory, of the default size, without expiry.
    pub fn at(dir: impl Into<PathBuf>) -> ResultCache {
        ResultCache { dir: dir.into(), size_bytes: Self::SIZE_BYTES, expires: None }
    }

    /// Where the command keeps results: in `results` in `$WRUN_CACHE_DIR`, else in `$XDG_CACHE_HOME/wrun`, else in `~/.cache/wrun`; `None` where there
    /// is no home directory either.
    pub fn default_dir() -> Option<PathBuf> {
        let modules = Cache::default_dir()?;
        let is_set = std::env::var_os("WRUN_CACHE_DIR").is_some_and(|dir| !dir.is_empty());
        let base = if is_set { modules.as_path() } else { modules.parent().unwrap_or(Path::new("/")) };
        Some(base.join("results"))
    }

    /// All results, the most recently used one first.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be listed, if it belongs to another user, or if another user can write to it.
    pub fn list(&self) -> Result<Vec<ResultEntry>> {
        let Some(store) = self.open_existing()? else { return Ok(Vec::new()) };
        let mut entries = store.list().map_err(|error| Error::system("cannot list the cache", error))?;
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.module.cmp(&b.module)));
        Ok(entries)
    }

    /// Removes all results, and what is remembered of files.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`ResultCache::list`], and one if something cannot be removed.
    pub fn clear(&self) -> Result<ClearedResults> {
        let Some(store) = self.open_existing()? else { return Ok(ClearedResults::default()) };
        store.clear().map_err(|error| Error::system("cannot clear the cache", error))
    }

    fn open_existing(&self) -> Result<Option<Store>> {
        Store::open(self).map_err(Error::module)
    }
}
