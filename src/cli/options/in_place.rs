//! Options about files that tasks write in place: output slices, shared memory, and inputs that are copied on write.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::job::{FailedSlice, InputMode};
use wrun::{Job, OutputFile, SharedMemory};

use super::values;
use crate::cli::file_roles::FileRoles;

/// What tasks may write without copying.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Writing in place")]
pub struct InPlaceArgs {
    /// Let each task write its own slice of FILE in place: with --slice BYTES, task K gets BYTES from offset K*BYTES, and
    /// the rest of FILE is kept
    #[arg(short, long, value_name = "FILE", requires = "slice")]
    out: Option<PathBuf>,

    /// Set the length of each task's output slice in bytes (64K, 16M, 1G)
    #[arg(long, value_name = "BYTES", value_parser = values::size_above_0, requires = "out")]
    slice: Option<u64>,

    /// Fill the output slice of a failed task with zeros, or leave it as it is; a retry starts with that
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = FailedSliceChoice::Zero)]
    failed_slice: FailedSliceChoice,

    /// Map the first SIZE bytes of a file writable into every task under a name, as shared memory for counters and the like; the file
    /// is created if needed; repeatable
    #[arg(long, value_name = "NAME=PATH:SIZE", value_parser = OsStringValueParser::new().try_map(shared_file))]
    shared: Vec<SharedFile>,

    /// Map inputs read-only (ro), or copy-on-write (cow): a task then writes to private copies of pages, which count against --memory
    #[arg(long, value_name = "MODE", value_enum, default_value_t = InputModeChoice::Ro, help_heading = "Task")]
    input_mode: InputModeChoice,
}

/// The values of `--failed-slice`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FailedSliceChoice {
    /// Fill it with zeros
    Zero,
    /// Leave it as it is
    Leave,
}

/// The values of `--input-mode`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum InputModeChoice {
    /// Read-only
    Ro,
    /// Copy-on-write
    Cow,
}

/// A value of `--shared`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SharedFile {
    name: String,
    path: PathBuf,
    len_bytes: u64,
}

/// The open files.
#[derive(Debug)]
pub struct InPlaceFiles {
    out: Option<OutputFile>,
    shared: Vec<(String, SharedMemory)>,
    input_mode: InputMode,
}

impl InPlaceArgs {
    /// Notes the files as written.
    ///
    /// # Errors
    ///
    /// If one of them has another role as well.
    pub fn note_roles(&self, roles: &mut FileRoles) -> anyhow::Result<()> {
        if let Some(path) = &self.out {
            roles.write("--out", path)?;
        }
        self.shared.iter().try_for_each(|file| roles.share(&format!("--shared {}", file.name), &file.path))
    }

    /// Opens the files, and creates missing ones.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened, or is too short and cannot be extended.
    pub fn open(&self) -> anyhow::Result<InPlaceFiles> {
        self.open_with(|out| out)
    }

    /// As [`open`](Self::open), but for one task: other tasks may be run at the same time, each by a command of its own.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_for_one_task(&self) -> anyhow::Result<InPlaceFiles> {
        self.open_with(OutputFile::concurrent)
    }

    fn open_with(&self, settings: impl Fn(OutputFile) -> OutputFile) -> anyhow::Result<InPlaceFiles> {
        let out = match (&self.out, self.slice) {
            (Some(path), Some(slice_bytes)) => {
                let out = OutputFile::create(path, slice_bytes).context("--out")?;
                Some(settings(out.failed_slice(self.failed_slice())))
            }
            _ => None,
        };
        self.with_files(out, |file| SharedMemory::create(&file.path, file.len_bytes))
    }

    /// As [`open`](Self::open), but for a dry run, which changes nothing: memory stands in for files that are missing or too short.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_for_dry_run(&self) -> anyhow::Result<InPlaceFiles> {
        let out = match (&self.out, self.slice) {
            (Some(path), Some(slice_bytes)) if is_usable(path, 0) => {
                Some(OutputFile::create(path, slice_bytes).context("--out")?)
            }
            (_, Some(slice_bytes)) => Some(OutputFile::in_memory(slice_bytes)?),
            _ => None,
        };
        self.with_files(out, |file| match is_usable(&file.path, file.len_bytes) {
            true => SharedMemory::create(&file.path, file.len_bytes),
            false => SharedMemory::in_memory(file.len_bytes),
        })
    }

    fn with_files(
        &self,
        out: Option<OutputFile>,
        open_shared: impl Fn(&SharedFile) -> wrun::Result<SharedMemory>,
    ) -> anyhow::Result<InPlaceFiles> {
        let mut shared = Vec::with_capacity(self.shared.len());
        for file in &self.shared {
            let opened = open_shared(file).with_context(|| format!("--shared {}", file.name))?;
            shared.push((file.name.clone(), opened));
        }
        Ok(InPlaceFiles { out, shared, input_mode: self.input_mode() })
    }

    fn failed_slice(&self) -> FailedSlice {
        match self.failed_slice {
            FailedSliceChoice::Zero => FailedSlice::Zero,
            FailedSliceChoice::Leave => FailedSlice::Leave,
        }
    }

    fn input_mode(&self) -> InputMode {
        match self.input_mode {
            InputModeChoice::Ro => InputMode::ReadOnly,
            InputModeChoice::Cow => InputMode::CopyOnWrite,
        }
    }
}

/// Whether opening the file as it is changes nothing: it is there and has this many bytes.
fn is_usable(path: &Path, len_bytes: u64) -> bool {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Ok(metadata) if metadata.is_file() => metadata.len() >= len_bytes,
        // Opening it fails, and gives the reason.
        _ => true,
    }
}

impl InPlaceFiles {
    /// Passes the files to the job.
    pub fn apply(self, job: &mut Job) {
        job.out = self.out;
        job.shared = self.shared;
        job.input_mode = self.input_mode;
    }
}

/// Parses `NAME=PATH:SIZE`.
fn shared_file(text: OsString) -> Result<SharedFile, String> {
    let wrong = "give NAME=PATH:SIZE, such as counts=counts.bin:64K";
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or(wrong)?;
    let colon = bytes.iter().rposition(|byte| *byte == b':').filter(|at| *at > equals + 1).ok_or(wrong)?;
    let name = std::str::from_utf8(&bytes[..equals]).map_err(|_| "the name is not UTF-8")?.to_owned();
    let size = std::str::from_utf8(&bytes[colon + 1..]).map_err(|_| wrong)?;
    let path = PathBuf::from(OsString::from_vec(bytes[equals + 1..colon].to_vec()));
    Ok(SharedFile { name, path, len_bytes: values::size_above_0(size)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_files_have_a_name_a_path_and_a_size() {
        let parse =
            |text: &str| shared_file(text.into()).map(|SharedFile { name, path, len_bytes }| (name, path, len_bytes));
        assert_eq!(parse("a=b=c:d:4K"), Ok(("a".into(), "b=c:d".into(), 4096)));
        for text in ["a", "=b:1", "a=:1", "a=b", "a:1=b", "a=b:", "a=b:x", "a=b:0"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
