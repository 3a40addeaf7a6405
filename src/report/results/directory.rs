//! `--results`: files with each task's result, failure and log.
//!
//! Each file is written under another name and renamed when it is complete, so that nobody sees half a file.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wrun::Outcome;

use crate::report::text::{Keep, describe, escape, stderr_lines};
use crate::report::{ItemKind, RunStart};

/// How many bytes of an item's file name are kept. With the rest of the name, every file system accepts this many.
const MAX_NAME_BYTES: usize = 150;

/// The beginning of the name of a file that is being written.
const TEMPORARY_PREFIX: &str = ".wrun-";

/// The number of random characters that follow.
const TEMPORARY_RANDOM: usize = 6;

/// Writes the files of a run. No other run writes to the directory meanwhile.
#[derive(Debug)]
pub struct ResultsDir {
    path: PathBuf,
    /// The directory itself, which is locked as long as this is open.
    _lock: File,
    item_kind: ItemKind,
}

impl ResultsDir {
    /// Opens the directory, and creates it if needed. Only a resumed run accepts one that is not empty; files that an earlier run was
    /// writing when it was killed are removed.
    ///
    /// # Errors
    ///
    /// If it is not empty, if another run uses it, or if it cannot be created or read.
    pub fn open(path: &Path, start: RunStart, item_kind: ItemKind) -> anyhow::Result<ResultsDir> {
        fs::create_dir_all(path).with_context(|| format!("cannot create results directory {path:?}"))?;
        let problem = || format!("cannot read results directory {path:?}");
        let directory = File::open(path).with_context(problem)?;
        let is_locked = match directory.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                bail!("results directory {path:?} is in use by another run; give each run its own")
            }
            // The file system has no locks.
            Err(TryLockError::Error(_)) => false,
        };
        let mut entries = fs::read_dir(path).with_context(problem)?;
        if start == RunStart::Fresh && entries.next().is_some() {
            bail!(
                "results directory {path:?} is not empty; name another, or resume its run with --joblog FILE --resume"
            );
        }
        if is_locked {
            remove_temporary(entries).with_context(problem)?;
        }
        Ok(ResultsDir { path: path.to_owned(), _lock: directory, item_kind })
    }

    /// Writes the files of a finished task, and removes those that an earlier run has left of it.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let name = self.name(outcome);
        let (result, partial, failure) = match &outcome.result {
            Ok(output) => (Some(&output[..]), None, None),
            Err(error) => (None, error.stdout.as_deref().map(|stdout| &stdout[..]), Some(describe(error) + "\n")),
        };
        // An outcome from a job log has no log lines, so the file with them stays if it belongs to this result.
        if outcome.ran_earlier && !outcome.stats.cached && self.holds(&name, result, failure.as_deref()) {
            return Ok(());
        }
        let lines = outcome.log.iter().map(|line| line.text.clone()).chain(stderr_lines(outcome));
        let log = lines.map(|line| escape(line.as_bytes(), Keep::Layout) + "\n").collect::<String>();
        let log = Some(log).filter(|log| !log.is_empty());
        let files = [
            ("out", result),
            ("partial", partial),
            ("err", failure.as_ref().map(String::as_bytes)),
            ("log", log.as_ref().map(String::as_bytes)),
        ];
        for (extension, bytes) in files {
            self.put(&format!("{name}.{extension}"), bytes)
                .with_context(|| format!("results directory {:?} cannot be written", self.path))?;
        }
        Ok(())
    }

    /// Whether the files with this name already have this result and this failure.
    fn holds(&self, name: &str, result: Option<&[u8]>, failure: Option<&str>) -> bool {
        let wanted = [("out", result), ("err", failure.map(str::as_bytes))];
        wanted.into_iter().all(|(extension, bytes)| {
            let path = self.path.join(format!("{name}.{extension}"));
            match (fs::symlink_metadata(&path), bytes) {
                // Nothing else is opened: opening a pipe would wait for its writer.
                (Ok(found), Some(bytes)) if found.is_file() && found.len() == bytes.len() as u64 => {
                    fs::read(path).is_ok_and(|found| found == bytes)
                }
                (Err(error), None) => error.kind() == io::ErrorKind::NotFound,
                _ => false,
            }
        })
    }

    /// `7`, or `7-data.csv` if the item is a file or a piece of one.
    fn name(&self, outcome: &Outcome) -> String {
        match self.item_kind {
            ItemKind::Text => outcome.index.to_string(),
            ItemKind::File => {
                let argument = &outcome.task.argument[..];
                let file = argument.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                // The name may contain anything, so it is made harmless text.
                let file = escape(file, Keep::Identity);
                format!("{}-{}", outcome.index, &file[..file.floor_char_boundary(MAX_NAME_BYTES)])
            }
        }
    }

    /// Writes the file with these bytes, or removes it.
    fn put(&self, name: &str, bytes: Option<&[u8]>) -> io::Result<()> {
        let path = self.path.join(name);
        let Some(bytes) = bytes else {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let usual = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .rand_bytes(TEMPORARY_RANDOM)
            .permissions(usual)
            .tempfile_in(&self.path)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }
}

/// Removes files that a run was writing when it was killed.
fn remove_temporary(entries: fs::ReadDir) -> io::Result<()> {
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_temporary = name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())
            && name.len() == TEMPORARY_PREFIX.len() + TEMPORARY_RANDOM;
        if is_temporary && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
