//! `wrun cache`: shows and clears the caches of compiled modules and results.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanDuration};
use wrun::cache::ResultCache;
use wrun::module::Cache;

use crate::cli::options::result_cache::NO_DIRECTORY;
use crate::cli::stdout;
use crate::report::name;

/// Show or clear the cached modules and results
///
/// Compiled modules are cached in $WRUN_CACHE_DIR, $XDG_CACHE_HOME/wrun/modules or ~/.cache/wrun/modules, whichever is set first;
/// those that have not been used for 90 days are removed automatically. Results of --cache are in the directory `results` in
/// $WRUN_CACHE_DIR, $XDG_CACHE_HOME/wrun or ~/.cache/wrun.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    /// Do this with the caches
    #[arg(value_enum, value_name = "ACTION", default_value_t = Action::List)]
    action: Action,

    /// Include only compiled modules, or only results [default: both]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Cache")]
    only: Option<CacheKind>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    /// Print the directories
    Path,
    /// Print kind, size, last use and name of each compiled module and each result
    List,
    /// Remove all compiled modules and all results
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CacheKind {
    /// Compiled modules
    Modules,
    /// Results
    Results,
}

/// The directories that are included.
struct Directories {
    modules: Option<PathBuf>,
    results: Option<PathBuf>,
}

impl CacheArgs {
    /// Prints or clears.
    ///
    /// # Errors
    ///
    /// If there is no directory for a cache, or one is not safe to use, or cannot be listed or cleared.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let directories = Directories {
            modules: self.directory(CacheKind::Modules, Cache::default_dir())?,
            results: self.directory(CacheKind::Results, ResultCache::default_dir())?,
        };
        stdout::print(&match self.action {
            Action::Path => directories.paths(),
            Action::List => directories.list()?.into_bytes(),
            Action::Clear => directories.clear()?.into_bytes(),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn directory(&self, kind: CacheKind, dir: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
        match self.only {
            Some(only) if only != kind => Ok(None),
            _ => dir.context(NO_DIRECTORY).map(Some),
        }
    }
}

impl Directories {
    /// A line for each, with the bytes of its path.
    fn paths(&self) -> Vec<u8> {
        self.modules.iter().chain(&self.results).flat_map(|dir| [dir.as_os_str().as_bytes(), b"\n"].concat()).collect()
    }

    fn list(self) -> anyhow::Result<String> {
        let now = SystemTime::now();
        let mut text = String::new();
        if let Some(dir) = self.modules {
            list_modules(&mut text, &dir, now)?;
        }
        if let Some(dir) = self.results {
            list_results(&mut text, dir, now)?;
        }
        Ok(text)
    }

    fn clear(self) -> anyhow::Result<String> {
        let mut text = String::new();
        if let Some(dir) = self.modules {
            let cleared = Cache::open(&dir)?.map(|cache| cache.clear()).transpose()?.unwrap_or_default();
            text += &removed(cleared.entries, MODULE, cleared.size_bytes);
        }
        if let Some(dir) = self.results {
            let cleared = ResultCache::at(dir).clear()?;
            text += &removed(cleared.entries, RESULT, cleared.size_bytes);
        }
        Ok(text)
    }
}

const MODULE: &str = "compiled module";
const RESULT: &str = "result";

fn list_modules(text: &mut String, dir: &Path, now: SystemTime) -> anyhow::Result<()> {
    let entries = Cache::open(dir)?.map(|cache| cache.list()).transpose()?.unwrap_or_default();
    for entry in &entries {
        let note = if entry.current { "" } else { "  (of another version of wrun, or another CPU)" };
        line(text, "module", entry.size_bytes, entry.used, now, &format!("{}{note}", name(&entry.module)));
    }
    total(text, entries.iter().map(|entry| entry.size_bytes), MODULE);
    Ok(())
}

fn list_results(text: &mut String, dir: PathBuf, now: SystemTime) -> anyhow::Result<()> {
    let entries = ResultCache::at(dir).list()?;
    for entry in &entries {
        let what = format!("{} {}", name(&entry.module), name(&entry.function));
        line(text, "result", entry.size_bytes, entry.used, now, &what);
    }
    total(text, entries.iter().map(|entry| entry.size_bytes), RESULT);
    Ok(())
}

fn line(text: &mut String, kind: &str, size: u64, used: SystemTime, now: SystemTime, what: &str) {
    let age = now.duration_since(used).unwrap_or_default();
    let used = if age.as_secs() < 60 { "just now".to_owned() } else { format!("{} ago", HumanDuration(age)) };
    let _ = writeln!(text, "{kind}  {:>11}  {used:<14}  {what}", HumanBytes(size).to_string());
}

fn total(text: &mut String, sizes: impl ExactSizeIterator<Item = u64>, what: &str) {
    let entries = count(sizes.len() as u64, what);
    let _ = writeln!(text, "total   {:>11}  in {entries}", HumanBytes(sizes.sum()).to_string());
}

fn removed(entries: u64, what: &str, size: u64) -> String {
    format!("removed {}, {}\n", count(entries, what), HumanBytes(size))
}

fn count(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
