//! `wrun cache`: where compiled modules are kept, which, and how to be rid of them.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanDuration};
use wrun::module::Cache;
use wrun::module::cache::CacheEntry;

use super::print;
use crate::report::name;

/// Show or clear the compiled modules that are kept
///
/// They are kept in $WRUN_CACHE_DIR, else in $XDG_CACHE_HOME/wrun/modules, else in ~/.cache/wrun/modules. Those that were
/// not used for 90 days go by themselves.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    /// What to do
    #[arg(value_enum, value_name = "ACTION", default_value_t = Action::List)]
    action: Action,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Action {
    /// Print the directory
    Path,
    /// Print size, last use and name of each compiled module
    List,
    /// Remove all compiled modules
    Clear,
}

impl CacheArgs {
    /// Prints or clears.
    ///
    /// # Errors
    ///
    /// Where there is no place for a cache, where it is not safe to use, or where it cannot be listed or cleared.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let dir = Cache::default_dir().context("there is no cache: set WRUN_CACHE_DIR, XDG_CACHE_HOME or HOME")?;
        let text = match self.action {
            Action::Path => format!("{}\n", dir.display()),
            Action::List => {
                let entries = Cache::open(&dir)?.map(|cache| cache.list()).transpose()?;
                table(&entries.unwrap_or_default(), SystemTime::now())
            }
            Action::Clear => {
                let cleared = Cache::open(&dir)?.map(|cache| cache.clear()).transpose()?.unwrap_or_default();
                format!("removed {}, {}\n", modules(cleared.entries), HumanBytes(cleared.size_bytes))
            }
        };
        print::to_stdout(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(entries: &[CacheEntry], now: SystemTime) -> String {
    let mut text = String::new();
    for entry in entries {
        let age = now.duration_since(entry.used).unwrap_or_default();
        let used = if age.as_secs() < 60 { "just now".to_owned() } else { format!("{} ago", HumanDuration(age)) };
        let note = if entry.current { "" } else { "  (of another version of wrun, or another CPU)" };
        let size = HumanBytes(entry.size_bytes).to_string();
        let _ = writeln!(text, "{size:>11}  {used:<14}  {}{note}", name(&entry.module));
    }
    let total = entries.iter().map(|entry| entry.size_bytes).sum();
    let _ = writeln!(text, "{:>11}  in {}", HumanBytes(total).to_string(), modules(entries.len() as u64));
    text
}

fn modules(count: u64) -> String {
    if count == 1 { "1 compiled module".into() } else { format!("{count} compiled modules") }
}
