//! Guest modules: read, compiled once in a process of their own, kept in a cache, described.
//!
//! ```text
//! source -> cache? -> compile (this process) -> helper (the compiler process) -> artifact -> cache
//!                                                                             -> description -> entry, imports
//! ```

pub(crate) mod artifact;
pub mod cache;
mod compile;
pub(crate) mod debug;
pub(crate) mod description;
mod entry;
pub(crate) mod explain;
mod fingerprint;
mod helper;
mod imports;
mod source;
mod wasi_imports;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use cache::Cache;
pub use description::{Description, Extern, Memory, Number, Scalar};
pub use entry::Entry;
pub(crate) use helper::{ROLE as HELPER_ROLE, helper_main};
pub use imports::Grant;

use crate::error::Kind;
use crate::guest::engine::Fuel;
use crate::{Error, Result, Sandbox};
use fingerprint::Target;
use source::{Format, Source};

/// A compiled module: its machine code as an open file, and its description. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Module(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    /// Unique in this process.
    id: u64,
    /// The hash of what was read.
    content: [u8; 32],
    name: String,
    description: Description,
    code: File,
    origin: Origin,
    cache_problem: Option<String>,
    fuel: Fuel,
}

/// Where a module's machine code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was found in the cache.
    Cache,
    /// It was compiled now.
    Compiled,
    /// It was given as precompiled code.
    Precompiled,
}

/// Settings for reading and compiling modules.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// let compiler = wrun::Compiler { timeout: std::time::Duration::from_secs(5), ..wrun::Compiler::default() };
/// let module = compiler.load("sqrt.wat")?;
/// assert_eq!(module.name(), "sqrt.wat");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The `wrun` executable that compiles, in a process of its own; this program where it called [`crate::init`].
    pub exe: Option<PathBuf>,
    /// Where compiled modules are kept; `None` keeps nothing. [`Cache::default_dir`] unless set.
    pub cache_dir: Option<PathBuf>,
    /// How long one compilation may take (60 s unless set).
    pub timeout: Duration,
    /// Bytes of private memory that one compilation may use (4 GiB unless set).
    pub memory_bytes: u64,
    /// Whether `.cwasm` files (precompiled code, which is trusted code) are accepted.
    pub allow_precompiled: bool,
    /// Whether code counts the fuel that it uses, for [`Limits::fuel`](crate::Limits::fuel); it takes up to 2.5 times as long.
    pub count_fuel: bool,
    /// How much confinement of the compiler process by the system is insisted on.
    pub sandbox: Sandbox,
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler {
            exe: None,
            cache_dir: Cache::default_dir(),
            timeout: Duration::from_secs(60),
            memory_bytes: 4 << 30,
            allow_precompiled: false,
            count_fuel: false,
            sandbox: Sandbox::Default,
        }
    }
}

impl Compiler {
    /// Reads, compiles (or finds in the cache) and describes the module in a `.wasm` or `.wat` file, or in a `.cwasm` file
    /// where these are allowed. What the file holds decides, not its name.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, is no module, is not valid, or takes too long or too much memory to compile, and
    /// where there is no program to compile with. A cache that cannot be used is not an error; see
    /// [`Module::cache_problem`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Module> {
        self.load_source(Source::read(path.as_ref())?)
    }

    /// Does the same with a module in memory; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`Compiler::load`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Module> {
        self.load_source(Source::from_bytes(name, bytes.to_vec(), None)?)
    }

    fn load_source(&self, source: Source) -> Result<Module> {
        let content = *blake3::hash(&source.bytes).as_bytes();
        if source.format == Format::Precompiled {
            return self.load_precompiled(source, content);
        }
        let target = Target::new(Fuel::new(self.count_fuel))?;
        let Target { fuel, fingerprint } = target;
        let key = fingerprint::cache_key(fingerprint, &content);
        let (cache, mut cache_problem) = self.open_cache();
        let (code, meta, origin) = match cache.as_ref().and_then(|cache| cache.get(&key, fingerprint)) {
            Some((code, meta)) => (code, meta, Origin::Cache),
            None => {
                let (code, meta) = compile::compile(self, &source, target)?;
                if let Some(dir) = self.cache_dir.as_deref().filter(|_| cache_problem.is_none()) {
                    cache_problem = keep(dir, &key, &code).err();
                }
                (code, meta, Origin::Compiled)
            }
        };
        let (name, description) = (source.name, meta.description);
        Ok(Module(Arc::new(Compiled { id: next_id(), content, name, description, code, origin, cache_problem, fuel })))
    }

    /// The cache where there is one, or why it is not used.
    fn open_cache(&self) -> (Option<Cache>, Option<String>) {
        match self.cache_dir.as_deref().map(Cache::open).transpose() {
            Ok(cache) => (cache.flatten(), None),
            Err(error) => (None, Some(error.to_string())),
        }
    }

    fn load_precompiled(&self, source: Source, content: [u8; 32]) -> Result<Module> {
        if !self.allow_precompiled {
            return Err(Error::module(format!(
                "{} is precompiled code, which is trusted code: allow it with --allow-precompiled, or name the .wasm file",
                source.label
            )));
        }
        let code = match &source.file {
            Some(file) => file.try_clone().and_then(artifact::loadable),
            None => crate::sys::memory_file::sealed(&source.bytes),
        };
        let code = code.map_err(|error| Error::system("cannot hold precompiled code", error))?;
        // What this very compiler wrote needs no second look; anything else is checked where a fault does no harm.
        let (description, fuel) = match artifact::read_trailer(&code).ok().flatten() {
            Some(meta) if meta.compiler == Target::new(Fuel::NotCounted)?.fingerprint => {
                (meta.description, Fuel::NotCounted)
            }
            Some(meta) if meta.compiler == Target::new(Fuel::Counted)?.fingerprint => (meta.description, Fuel::Counted),
            _ => {
                let target = Target::new(Fuel::new(self.count_fuel))?;
                (compile::describe(self, &source, target, &code)?, target.fuel)
            }
        };
        let (name, origin) = (source.name, Origin::Precompiled);
        let cache_problem = None;
        Ok(Module(Arc::new(Compiled { id: next_id(), content, name, description, code, origin, cache_problem, fuel })))
    }
}

/// Keeps compiled code in the cache, or says why not.
fn keep(dir: &Path, key: &str, code: &File) -> Result<(), String> {
    let cache = Cache::create(dir).map_err(|error| error.to_string())?;
    cache.put(key, code).map_err(|error| format!("cannot write to cache directory {}: {error}", dir.display()))
}

/// A number that no other module of this process has.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only the numbers have to differ.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Module {
    /// Reads, compiles (or finds in the cache) and describes the module in a `.wasm` or `.wat` file, with default settings.
    ///
    /// # Errors
    ///
    /// As [`Compiler::load`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Module> {
        Compiler::default().load(path)
    }

    /// Does the same with a module in memory; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`Compiler::load`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Module> {
        Compiler::default().load_bytes(name, bytes)
    }

    /// The module's name for messages: the file's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it offers and needs.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Where its machine code came from.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Whether its code counts fuel, as [`Limits::fuel`](crate::Limits::fuel) needs it.
    pub fn counts_fuel(&self) -> bool {
        self.0.fuel == Fuel::Counted
    }

    /// Why the cache could not be used, where it was to be: the directory is not private, the disk is full.
    pub fn cache_problem(&self) -> Option<&str> {
        self.0.cache_problem.as_deref()
    }

    /// What a task calls: the function named `call`, or the only one there is besides the one named `reduce`.
    ///
    /// # Errors
    ///
    /// Where there is no such function, or several to choose from; the message lists them.
    pub fn entry(&self, call: Option<&str>, reduce: Option<&str>) -> Result<Entry> {
        self.0.description.choose(call, reduce).map_err(|problem| self.error(&problem))
    }

    /// Checks that wrun gives all that the module imports.
    ///
    /// # Errors
    ///
    /// Where it does not, or where the module's memory has no room for what its imports put there.
    pub fn check_imports(&self) -> Result<()> {
        self.0.description.find_import_problem().map_or(Ok(()), |problem| Err(self.error(&problem)))
    }

    fn error(&self, problem: &str) -> Error {
        Error::module(format!("module {} {problem}", self.name()))
    }

    /// Writes the compiled module to a `.cwasm` file, in one step: an earlier file is replaced by a whole one or stays.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        artifact::save(self.code(), path)
            .map_err(|source| Kind::File { what: "cannot write", path: path.to_path_buf(), source }.into())
    }

    /// A number that no other module of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// The hash of the module as it was read.
    pub(crate) fn content(&self) -> &[u8; 32] {
        &self.0.content
    }

    /// What its code depends on besides the module: the compiler with its settings, this CPU and this version of wrun.
    pub(crate) fn compiler(&self) -> Result<&'static str> {
        fingerprint::fingerprint(self.0.fuel)
    }

    /// The compiled code, for handing to a worker.
    pub(crate) fn code(&self) -> &File {
        &self.0.code
    }
}

#[cfg(test)]
mod tests;
