//! The option for core dumps of failed tasks, and the files that it writes.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wrun::{Grants, Output};

use crate::cli::errors::usage;

/// Where core dumps go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Failure")]
pub struct CoreDumpArgs {
    /// Write a core dump of each task that traps to a file in DIR (memory, globals and stack, without mapped inputs)
    #[arg(long = "coredump", value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl CoreDumpArgs {
    /// Opens the directory, and creates it if needed.
    ///
    /// # Errors
    ///
    /// If it cannot be created, or if these `grants` let tasks write in it: a task could put links to other places there.
    pub fn open(&self, grants: &Grants) -> anyhow::Result<Option<CoreDumps>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create directory {dir:?} for core dumps"))?;
        if grants.directories.iter().any(|granted| granted.is_writable_at(dir)) {
            return Err(usage(format!("--coredump {dir:?} is in a directory that tasks may write; name another one")));
        }
        Ok(Some(CoreDumps(dir.clone())))
    }
}

/// A directory for core dumps.
#[derive(Debug)]
pub struct CoreDumps(PathBuf);

impl CoreDumps {
    /// Writes the core dump of a task; gives a message that says where it is, or why it is not there.
    pub fn write(&self, module: &str, index: u64, dump: &Output) -> String {
        // A module may have any name; only the last part of a path is used.
        let module = Path::new(module).file_stem().map_or_else(|| "module".into(), |stem| stem.to_string_lossy());
        let mut path = self.0.join(format!("{module}.{index}.coredump"));
        let mut written = write_new(&path, dump);
        // An existing file stays: nothing is overwritten, and no link is followed.
        for number in 1..MAX_DUMPS_PER_TASK {
            if !written.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
                break;
            }
            path = self.0.join(format!("{module}.{index}.{number}.coredump"));
            written = write_new(&path, dump);
        }
        let name = format!("{path:?}");
        match written {
            Ok(()) => format!("core dump of task {index}: {name}"),
            Err(error) => format!("warning: cannot write the core dump of task {index} to {name}: {error}"),
        }
    }
}

/// How many core dumps of one task are kept in a directory.
const MAX_DUMPS_PER_TASK: u32 = 1000;

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().write(true).create_new(true).open(path)?.write_all(bytes)
}
