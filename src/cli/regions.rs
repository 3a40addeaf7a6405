//! What tasks write in place: `--out` with a slice for each task, `--shared` areas, and inputs that are copied on write.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::{FailedSlice, InputMode, Job, OutputFile, SharedArea};

use super::parse;

/// The options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Writing in place")]
pub struct RegionArgs {
    /// Give each task a slice of FILE to write in place: task k has the bytes from k*BYTES on; what else is in FILE stays
    #[arg(short, long, value_name = "FILE", requires = "slice")]
    out: Option<PathBuf>,

    /// Make each task's slice of --out this long
    #[arg(long, value_name = "BYTES", value_parser = parse::size_above_0, requires = "out")]
    slice: Option<u64>,

    /// Make the slice of a task that failed zeros, or leave it as it is; another attempt begins with that
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Failed::Zero)]
    failed_slice: Failed,

    /// Map the first SIZE bytes of a file, which is made where there is none, writable into every task under a name, for
    /// counters that all tasks add to; repeatable
    #[arg(long, value_name = "NAME=PATH:SIZE", value_parser = OsStringValueParser::new().try_map(shared))]
    shared: Vec<Shared>,

    /// Map inputs read-only (ro), or let tasks write: to private copies of pages, which count against --memory when they are written (cow)
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Ro, help_heading = "Task")]
    input_mode: Mode,
}

/// The values of `--failed-slice`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Failed {
    /// Zeros
    Zero,
    /// As it is
    Leave,
}

/// The values of `--input-mode`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// Read-only
    Ro,
    /// Copy on write
    Cow,
}

/// A value of `--shared`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shared {
    name: String,
    path: PathBuf,
    bytes: u64,
}

/// What the options open.
#[derive(Debug)]
pub struct Regions {
    out: Option<OutputFile>,
    shared: Vec<(String, SharedArea)>,
    input_mode: InputMode,
}

impl RegionArgs {
    /// Opens the files, and makes those that are not there.
    pub fn open(&self) -> anyhow::Result<Regions> {
        let out = match (&self.out, self.slice) {
            (Some(path), Some(bytes)) => {
                let failed = match self.failed_slice {
                    Failed::Zero => FailedSlice::Zero,
                    Failed::Leave => FailedSlice::Leave,
                };
                Some(OutputFile::create(path, bytes).context("--out")?.failed_slice(failed))
            }
            _ => None,
        };
        let open = |Shared { name, path, bytes }: &Shared| {
            let area = SharedArea::create(path, *bytes).with_context(|| format!("--shared {name}"))?;
            anyhow::Ok((name.clone(), area))
        };
        let shared = self.shared.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Regions { out, shared, input_mode: self.input_mode() })
    }

    /// As [`open`](Self::open), where nothing will run: memory stands for files that are not there or not long enough.
    pub fn open_to_look(&self) -> anyhow::Result<Regions> {
        let has_bytes = |path: &Path, bytes: u64| match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Ok(metadata) if metadata.is_file() => metadata.len() >= bytes,
            // It is opened for the reason why it cannot be.
            _ => true,
        };
        let out = match (&self.out, self.slice) {
            (Some(path), Some(bytes)) if has_bytes(path, 0) => Some(OutputFile::create(path, bytes).context("--out")?),
            (_, Some(bytes)) => Some(OutputFile::in_memory(bytes)?),
            _ => None,
        };
        let open = |Shared { name, path, bytes }: &Shared| {
            let area = match has_bytes(path, *bytes) {
                true => SharedArea::create(path, *bytes),
                false => SharedArea::in_memory(*bytes),
            };
            anyhow::Ok((name.clone(), area.with_context(|| format!("--shared {name}"))?))
        };
        let shared = self.shared.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Regions { out, shared, input_mode: self.input_mode() })
    }

    fn input_mode(&self) -> InputMode {
        match self.input_mode {
            Mode::Ro => InputMode::ReadOnly,
            Mode::Cow => InputMode::CopyOnWrite,
        }
    }
}

impl Regions {
    /// Lets the job's tasks write there.
    pub fn apply(self, job: &mut Job) {
        (job.out, job.shared, job.input_mode) = (self.out, self.shared, self.input_mode);
    }
}

/// Reads `NAME=PATH:SIZE`.
fn shared(text: OsString) -> Result<Shared, String> {
    let wrong = "give NAME=PATH:SIZE, such as counts=counts.bin:64K";
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or(wrong)?;
    let colon = bytes.iter().rposition(|byte| *byte == b':').filter(|at| *at > equals + 1).ok_or(wrong)?;
    let name = std::str::from_utf8(&bytes[..equals]).map_err(|_| "the name is not UTF-8")?.to_owned();
    let size = std::str::from_utf8(&bytes[colon + 1..]).map_err(|_| wrong)?;
    let path = PathBuf::from(OsString::from_vec(bytes[equals + 1..colon].to_vec()));
    Ok(Shared { name, path, bytes: parse::size_above_0(size)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_have_a_name_a_path_and_a_size() {
        let read = |text: &str| shared(text.into()).map(|Shared { name, path, bytes }| (name, path, bytes));
        assert_eq!(read("a=b=c:d:4K"), Ok(("a".into(), "b=c:d".into(), 4096)));
        for text in ["a", "=b:1", "a=:1", "a=b", "a:1=b", "a=b:", "a=b:x", "a=b:0"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
