//! A compiled module.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::artifact;
use super::description::Description;
use super::engine::Fuel;
use super::fingerprint;
use crate::Result;
use crate::error::Repr;
use wrun_ipc::entry::Entry;

/// A compiled module: its machine code as an open file, and its description. Cheap to clone.
///
/// ```no_run
/// use wrun::Module;
///
/// wrun::init();
/// let module = Module::from_file("count.wasm")?;
/// println!("{} has the tasks {:?}", module.name(), module.description().tasks);
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Module(Arc<Numbered>);

#[derive(Debug)]
struct Numbered {
    /// Unique in this process.
    id: u64,
    compiled: Compiled,
}

/// What a [`Module`] is made of.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The hash of the module as it was read.
    pub content: [u8; 32],
    pub name: String,
    pub description: Description,
    pub code: File,
    pub origin: Origin,
    /// Why the cache could not be used.
    pub cache_problem: Option<String>,
    /// The cache's entry was damaged.
    pub replaces_damaged: bool,
    pub fuel: Fuel,
}

/// Where a module's machine code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// It was found in the cache.
    Cache,
    /// It was compiled now.
    Compiled,
    /// It was given as precompiled code.
    Precompiled,
}

impl Module {
    pub(super) fn new(compiled: Compiled) -> Module {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the numbers have to differ.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Module(Arc::new(Numbered { id, compiled }))
    }

    /// The module's name for messages: the file's name.
    pub fn name(&self) -> &str {
        &self.0.compiled.name
    }

    /// What the module offers and needs.
    pub fn description(&self) -> &Description {
        &self.0.compiled.description
    }

    /// Where its machine code came from.
    pub fn origin(&self) -> Origin {
        self.0.compiled.origin
    }

    /// Whether its code counts fuel, as [`Limits::fuel`](crate::Limits::fuel) needs it.
    pub fn counts_fuel(&self) -> bool {
        self.0.compiled.fuel == Fuel::Counted
    }

    /// Why the cache could not be used, if it was meant to be: for example, the directory is not private or the disk is full.
    pub fn cache_problem(&self) -> Option<&str> {
        self.0.compiled.cache_problem.as_deref()
    }

    /// Whether its entry in the cache was damaged (its checksum did not match). The entry was removed, and the module compiled again.
    pub fn replaces_damaged(&self) -> bool {
        self.0.compiled.replaces_damaged
    }

    /// What a task calls: the function named `call`, or the only one besides the one named `reduce`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such function, or if there are several to choose from; the message lists them.
    pub fn entry(&self, call: Option<&str>, reduce: Option<&str>) -> Result<Entry> {
        self.0
            .compiled
            .description
            .choose(call, reduce)
            .map_err(|refused| refused.into_error(&format!("module {}", self.name())))
    }

    /// Checks that wrun provides everything that the module imports.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not, or if the module's memory has no room for what its imports map there.
    pub fn check_imports(&self) -> Result<()> {
        self.description().check_imports_of(&format!("module {}", self.name()))
    }

    /// Does the same, but accepts functions that wrun does not know, for
    /// [`UnknownImports::Trap`](crate::job::UnknownImports::Trap).
    ///
    /// # Errors
    ///
    /// Like [`Module::check_imports`].
    pub fn check_known_imports(&self) -> Result<()> {
        self.description().check_known_imports_of(&format!("module {}", self.name()))
    }

    /// Writes the compiled module to a `.cwasm` file, atomically: an earlier file is either replaced or stays as it was.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        artifact::save(self.code(), path)
            .map_err(|source| Repr::File { what: "cannot write", path: path.to_path_buf(), source }.into())
    }

    /// A number that no other module of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// The hash of the module as it was read.
    pub(crate) fn content(&self) -> &[u8; 32] {
        &self.0.compiled.content
    }

    /// The fingerprint of what its code depends on besides the module: the compiler and its settings, this CPU and this version of wrun.
    pub(crate) fn compiler(&self) -> Result<&'static str> {
        fingerprint::fingerprint(self.0.compiled.fuel)
    }

    /// The compiled code, for handing to a worker.
    pub(crate) fn code(&self) -> &File {
        &self.0.compiled.code
    }
}
