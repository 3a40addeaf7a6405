//! Snapshots as files of their own.

use std::path::Path;

use crate::Result;
use crate::job::grants::Directory;
use crate::module::compiler::Compiler;
use crate::module::snapshot::{self, Order, Taken};
use crate::module::source::ModuleSource;
use crate::result::LogLine;

/// What the initializer of a module is, and what it may use.
///
/// It is neither shown what a task works on, nor the time or random numbers: what it leaves behind would differ from run to run.
#[derive(Clone, Debug)]
pub struct SnapshotOptions {
    /// The export that is the initializer: a function without parameters and results (`wizer-initialize` unless set). `_initialize`
    /// is called before it.
    pub initializer: String,
    /// Directories that it may use.
    pub directories: Vec<Directory>,
    /// Environment variables for it.
    pub environment: Vec<(String, String)>,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        let initializer = wrun_abi::INITIALIZER_EXPORT.to_owned();
        SnapshotOptions { initializer, directories: Vec::new(), environment: Vec::new() }
    }
}

/// A module whose instances begin as its initializer has left them, in the binary format.
///
/// ```no_run
/// use wrun::{Compiler, SnapshotOptions};
///
/// wrun::init();
/// let snapshot = Compiler::default().snapshot("dictionary.wasm", &SnapshotOptions::default())?;
/// snapshot.save("dictionary.snapshot.wasm")?;
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Debug)]
pub struct Snapshot(Taken);

impl Snapshot {
    /// What the initializer logged, and wrote to standard output and standard error.
    pub fn log(&self) -> Vec<LogLine> {
        self.0.log.iter().cloned().map(LogLine::from_wire).collect()
    }

    /// The module.
    ///
    /// # Errors
    ///
    /// Returns an error if there is not enough memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.0.to_bytes()
    }

    /// Writes the module to a file, atomically: an earlier file is either replaced or stays as it was.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.0.save(path.as_ref())
    }
}

impl Compiler {
    /// Runs the initializer of the module in a `.wasm` or `.wat` file once, and returns the module as that has left it.
    ///
    /// The initializer runs in a process of its own, confined like a worker, within [`Compiler::timeout`] and a quarter of
    /// [`Compiler::memory_bytes`].
    ///
    /// # Errors
    ///
    /// Like [`Compiler::load`]; and if the initializer fails, or if the module has state that a snapshot cannot hold: imported
    /// memories, tables that its code changes, globals that are references.
    pub fn snapshot(&self, path: impl AsRef<Path>, options: &SnapshotOptions) -> Result<Snapshot> {
        self.snapshot_of(&ModuleSource::read(path.as_ref())?, options)
    }

    /// Does the same with a module in memory. Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Like [`Compiler::snapshot`].
    pub fn snapshot_bytes(&self, name: &str, bytes: &[u8], options: &SnapshotOptions) -> Result<Snapshot> {
        self.snapshot_of(&ModuleSource::from_bytes(name, bytes.to_vec(), None)?, options)
    }

    fn snapshot_of(&self, source: &ModuleSource, options: &SnapshotOptions) -> Result<Snapshot> {
        let SnapshotOptions { initializer, directories, environment } = options;
        let directories = directories.iter().map(|it| (it.guest_path(), it.file(), it.access())).collect();
        snapshot::take(self, source, &Order { initializer, directories, environment }).map(Snapshot)
    }
}
