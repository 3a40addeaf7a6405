//! `--results`: a file for each task's result, and for what else it left.
//!
//! Each file is written under another name and renamed when it is whole, so that nobody sees half a file.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wrun::Outcome;

use super::ItemsAre;
use super::ToContinue;
use super::text::{Keep, describe, escape};

/// Bytes of a file's name that are kept of an item's; with the rest of the name, no file system refuses so many.
const MAX_NAME_BYTES: usize = 150;

/// Writes the files of a run.
#[derive(Debug)]
pub struct ResultsDir {
    path: PathBuf,
    items: ItemsAre,
}

impl ResultsDir {
    /// Makes the directory, where it does not exist; one that holds something is taken only `to_continue`.
    ///
    /// # Errors
    ///
    /// Where it holds something, or cannot be made or read.
    pub fn open(path: &Path, to_continue: ToContinue, items: ItemsAre) -> anyhow::Result<ResultsDir> {
        let name = path.display().to_string();
        fs::create_dir_all(path).with_context(|| format!("cannot make results directory {name:?}"))?;
        let mut entries = fs::read_dir(path).with_context(|| format!("cannot read results directory {name:?}"))?;
        if to_continue == ToContinue::No && entries.next().is_some() {
            bail!(
                "results directory {name:?} is not empty; name another, or go on with its run by --joblog FILE --resume"
            );
        }
        Ok(ResultsDir { path: path.to_owned(), items })
    }

    /// Writes the files of a task that has ended, and takes those away that an earlier attempt in another run has left.
    ///
    /// # Errors
    ///
    /// Where the directory takes no more.
    pub fn write(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let name = self.name(outcome);
        let (result, failure) = match &outcome.result {
            Ok(output) => (Some(&output[..]), None),
            Err(error) => (None, Some(describe(error) + "\n")),
        };
        // A job log has no log lines; those that stand beside this result are its own.
        if outcome.ran_earlier && !outcome.stats.cached && self.holds(&name, result, failure.as_deref()) {
            return Ok(());
        }
        let log = outcome.log.iter().map(|(_, line)| escape(line.as_bytes(), Keep::Layout) + "\n").collect::<String>();
        let log = Some(log).filter(|log| !log.is_empty());
        let files = [
            ("out", result),
            ("err", failure.as_ref().map(String::as_bytes)),
            ("log", log.as_ref().map(String::as_bytes)),
        ];
        for (extension, bytes) in files {
            self.put(&format!("{name}.{extension}"), bytes).with_context(|| {
                format!("results directory {:?} cannot be written", self.path.display().to_string())
            })?;
        }
        Ok(())
    }

    /// Whether the files of this name have this result and this failure already.
    fn holds(&self, name: &str, result: Option<&[u8]>, failure: Option<&str>) -> bool {
        let wanted = [("out", result), ("err", failure.map(str::as_bytes))];
        wanted.into_iter().all(|(extension, bytes)| {
            match (fs::read(self.path.join(format!("{name}.{extension}"))), bytes) {
                (Ok(there), Some(bytes)) => there == bytes,
                (Err(error), None) => error.kind() == io::ErrorKind::NotFound,
                _ => false,
            }
        })
    }

    /// `7`, or `7-data.csv` where the item is a file or a piece of one.
    fn name(&self, outcome: &Outcome) -> String {
        match self.items {
            ItemsAre::Text => outcome.index.to_string(),
            ItemsAre::Files => {
                let argument = &outcome.task.argument[..];
                let file = argument.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                // Whatever a file may be called, this name is text, and no command to a terminal.
                let file = escape(file, Keep::Nothing);
                format!("{}-{}", outcome.index, &file[..file.floor_char_boundary(MAX_NAME_BYTES)])
            }
        }
    }

    /// Makes the file with these bytes, or takes it away.
    fn put(&self, name: &str, bytes: Option<&[u8]>) -> io::Result<()> {
        let path = self.path.join(name);
        let Some(bytes) = bytes else {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let usual = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().prefix(".wrun-").permissions(usual).tempfile_in(&self.path)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }
}
