//! Core dumps of failed tasks, as files.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wrun::{Grants, Output};

use super::usage;

/// Where core dumps go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Failure")]
pub struct CoreDumpArgs {
    /// Write a core dump of each task that a trap ends to a file in DIR (memory, globals and stack, without mapped inputs)
    #[arg(long = "coredump", value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl CoreDumpArgs {
    /// The directory, which is made where it is not there.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, or tasks may write in it by these `grants`: they could put links to elsewhere there.
    pub fn open(self, grants: &Grants) -> anyhow::Result<Option<CoreDumps>> {
        let Some(dir) = self.dir else { return Ok(None) };
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make directory {:?} for core dumps", dir.display()))?;
        if grants.directories.iter().any(|granted| granted.is_writable_at(&dir)) {
            let dir = dir.display().to_string();
            return Err(usage(format!(
                "--coredump {dir:?} lies in a directory that tasks may write; name another one"
            )));
        }
        Ok(Some(CoreDumps(dir)))
    }
}

/// A directory for core dumps.
#[derive(Debug)]
pub struct CoreDumps(PathBuf);

impl CoreDumps {
    /// Writes the core dump of a task, and says where.
    pub fn write(&self, module: &str, index: u64, dump: &Output) -> String {
        // A module's name is a file's name, but a guest of that name may come from elsewhere.
        let module = Path::new(module).file_stem().map_or_else(|| "module".into(), |stem| stem.to_string_lossy());
        let mut path = self.0.join(format!("{module}.{index}.coredump"));
        let mut written = write_new(&path, dump);
        // One that is there already stays: nothing is written over, and no link is followed.
        for number in 1..MOST_OF_A_NAME {
            if !written.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
                break;
            }
            path = self.0.join(format!("{module}.{index}.{number}.coredump"));
            written = write_new(&path, dump);
        }
        let name = format!("{:?}", path.display().to_string());
        match written {
            Ok(()) => format!("core dump of task {index}: {name}"),
            Err(error) => format!("warning: cannot write the core dump of task {index} to {name}: {error}"),
        }
    }
}

/// Core dumps of the same task that are kept.
const MOST_OF_A_NAME: u32 = 1000;

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().write(true).create_new(true).open(path)?.write_all(bytes)
}
