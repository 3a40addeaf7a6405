//! `wrun man`: manual pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::{man_page, stdout};

/// Write the manual pages, or print the main one
///
/// For example: wrun man --output ~/.local/share/man/man1
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write wrun.1, wrun-map.1 and the pages of all other subcommands to DIR, which is created if needed [default: print wrun.1]
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
}

impl ManArgs {
    /// Writes the pages for `definition`, the definition of the whole command line.
    ///
    /// # Errors
    ///
    /// If the pages cannot be written.
    pub fn execute(self, definition: clap::Command) -> anyhow::Result<ExitCode> {
        match self.output {
            None => stdout::print(&man_page::main_page(&definition).text)?,
            Some(dir) => write_pages(&dir, &definition)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write_pages(dir: &Path, definition: &clap::Command) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create directory {dir:?}"))?;
    for page in man_page::all_pages(definition) {
        let path = dir.join(page.file_name);
        fs::write(&path, page.text).with_context(|| format!("cannot write man page {path:?}"))?;
    }
    Ok(())
}
