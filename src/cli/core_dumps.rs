//! Core dumps of failed tasks, as files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wrun::Output;

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
    /// Where it cannot be made.
    pub fn open(self) -> anyhow::Result<Option<CoreDumps>> {
        let Some(dir) = self.dir else { return Ok(None) };
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make directory {:?} for core dumps", dir.display()))?;
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
        let path = self.0.join(format!("{module}.{index}.coredump"));
        let name = format!("{:?}", path.display().to_string());
        match std::fs::write(&path, &**dump) {
            Ok(()) => format!("core dump of task {index}: {name}"),
            Err(error) => format!("warning: cannot write the core dump of task {index} to {name}: {error}"),
        }
    }
}
