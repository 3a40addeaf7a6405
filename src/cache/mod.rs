//! Results cached from one run to the next: a task whose key is known does not run again.
//!
//! ```text
//! Job ─────▶ JobResults::new: may it be cached? what do all its tasks share? ──┐
//! Task, merge ─▶ look_up: key (content_hash: hashes of inputs) ─▶ result_store: entry ─▶ Task::finished
//! Outcome, ok ─▶ keep: are the inputs unchanged? ───────────────▶ result_store: entry
//! ```
//!
//! # Why it is sound
//!
//! A task can see its module, argument, inputs and what its job sets, and nothing else; all of that is in its key (see
//! [`ResultCache`]). Jobs whose tasks can see more are not cached. A result is stored only if, after the task's end, the files of its
//! inputs are still in the state in which they were hashed, and any change would have altered that state (see `content_hash`).
//!
//! An entry is one file, written under another name and then renamed, with a hash over its key and all its bytes. An entry that is
//! damaged, truncated or of another key is removed and not used. An entry's bytes are copied before they are checked, because another
//! process of the same user could write to the file: a large result is returned in a sealed memory file, and the hash is checked on
//! the copy.

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

/// A directory of cached results, with its limits: a pool that has one does not run a task again if its result is there.
///
/// A result is found by the hash of everything that a task can see: the module's contents (with the compiler, the CPU's features and
/// this crate's version), the function, the argument, the arguments of a WASI program, the names and contents of inputs, the
/// environment, the seed and the limits (except time). The task's position counts only for modules that can see it: by
/// `task_index`, or by random numbers, which are derived from it. Only results are stored, with their log lines; failures never are.
///
/// A job whose tasks can see more than that is not cached, and [`Event::NotCached`](crate::Event::NotCached) says why: a job with a
/// directory, an output file, shared memory, the real clock or real random numbers, with reused instances, or with a module that can
/// wait for time (`poll_oneoff`).
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
    /// The directory. It is created if it is missing; it must belong to this user and be writable by nobody else.
    pub dir: PathBuf,
    /// How many bytes entries may take together, each rounded up to 4 KiB. The least recently used ones are removed first.
    pub size_bytes: u64,
    /// A result is no longer used after this time; `None` means that results never expire.
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
    /// How many results.
    pub entries: u64,
    /// How many bytes all removed files had: results, remembered hashes of files, and leftovers of killed processes.
    pub size_bytes: u64,
}

impl ResultCache {
    /// The default of [`ResultCache::size_bytes`]: 4 GiB.
    pub const SIZE_BYTES: u64 = 4 << 30;

    /// A cache in this directory, of the default size, without expiry.
    pub fn at(dir: impl Into<PathBuf>) -> ResultCache {
        ResultCache { dir: dir.into(), size_bytes: Self::SIZE_BYTES, expires: None }
    }

    /// Where the command stores results: in `results` in `$WRUN_CACHE_DIR`, otherwise in `$XDG_CACHE_HOME/wrun`, otherwise in
    /// `~/.cache/wrun`; `None` if there is no home directory either.
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
    /// If the directory cannot be listed, belongs to somebody else, or can be written by somebody else.
    pub fn list(&self) -> Result<Vec<ResultEntry>> {
        let Some(store) = self.open_existing()? else { return Ok(Vec::new()) };
        let mut entries = store.list().map_err(|error| Error::system("cannot list the cache", error))?;
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.module.cmp(&b.module)));
        Ok(entries)
    }

    /// Removes all results, and all remembered hashes of files.
    ///
    /// # Errors
    ///
    /// As for [`ResultCache::list`], and if something cannot be removed.
    pub fn clear(&self) -> Result<ClearedResults> {
        let Some(store) = self.open_existing()? else { return Ok(ClearedResults::default()) };
        store.clear().map_err(|error| Error::system("cannot clear the cache", error))
    }

    fn open_existing(&self) -> Result<Option<Store>> {
        Store::open(self).map_err(Error::module)
    }
}
