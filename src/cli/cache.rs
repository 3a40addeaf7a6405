//! `wrun cache`: where compiled modules and results are kept, which, and how to be rid of them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanDuration};
use wrun::ResultCache;
use wrun::module::Cache;

use super::print;
use crate::report::name;

/// Said where nothing can be kept.
pub const NO_PLACE: &str = "there is no cache: set WRUN_CACHE_DIR, XDG_CACHE_HOME or HOME";

/// Show or clear the compiled modules and the results that are kept
///
/// Modules are kept in $WRUN_CACHE_DIR, else in $XDG_CACHE_HOME/wrun/modules, else in ~/.cache/wrun/modules; those that were
/// not used for 90 days go by themselves. Results of --cache are kept in `results` in $WRUN_CACHE_DIR, else in $XDG_CACHE_HOME/wrun, else in
/// ~/.cache/wrun.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    /// What to do
    #[arg(value_enum, value_name = "ACTION", default_value_t = Action::List)]
    action: Action,

    /// Leave compiled modules, or results, out of it
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Cache")]
    only: Option<Only>,
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
enum Only {
    /// Compiled modules
    Modules,
    /// Results
    Results,
}

impl CacheArgs {
    /// Prints or clears.
    ///
    /// # Errors
    ///
    /// Where there is no place for a cache, where it is not safe to use, or where it cannot be listed or cleared.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let of = |kind, dir: Option<PathBuf>| match self.only {
            Some(only) if only != kind => Ok(None),
            _ => dir.context(NO_PLACE).map(Some),
        };
        let modules = of(Only::Modules, Cache::default_dir())?;
        let results = of(Only::Results, ResultCache::default_dir())?;
        let mut text = String::new();
        match self.action {
            Action::Path => {
                modules.iter().chain(&results).for_each(|dir| text += &format!("{}\n", dir.display()));
            }
            Action::List => {
                let now = SystemTime::now();
                if let Some(dir) = modules {
                    list_modules(&mut text, &dir, now)?;
                }
                if let Some(dir) = results {
                    list_results(&mut text, dir, now)?;
                }
            }
            Action::Clear => {
                if let Some(dir) = modules {
                    let cleared = Cache::open(&dir)?.map(|cache| cache.clear()).transpose()?.unwrap_or_default();
                    text +=
                        &format!("removed {}, {}\n", count(cleared.entries, MODULE), HumanBytes(cleared.size_bytes));
                }
                if let Some(dir) = results {
                    let cleared = ResultCache::at(dir).clear()?;
                    text +=
                        &format!("removed {}, {}\n", count(cleared.entries, RESULT), HumanBytes(cleared.size_bytes));
                }
            }
        }
        print::to_stdout(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

const MODULE: &str = "compiled module";
const RESULT: &str = "result";

fn list_modules(text: &mut String, dir: &std::path::Path, now: SystemTime) -> anyhow::Result<()> {
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

fn count(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
