//! Loads modules from files or bytes, by the cache or by compiling them.

use std::fs::File;
use std::path::Path;

use super::cache::{Cache, Found};
use super::compiled::{Compiled, Module, Origin};
use super::compiler::Compiler;
use super::description::Described;
use super::engine::Fuel;
use super::fingerprint::{self, Target};
use super::source::{Format, ModuleSource};
use super::{artifact, compile, snapshot};
use crate::ipc::Setting;
use crate::{Error, Result};

impl Compiler {
    /// Reads, compiles (or finds in the cache) and describes the module in a `.wasm` or `.wat` file, or in a `.cwasm` file if these are
    /// allowed. The file's content decides, not its name.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is not a valid module, or takes too long or too much memory to compile, or if there is
    /// no program to compile with. A cache that cannot be used is not an error; see [`Module::cache_problem`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Module> {
        self.load_source(ModuleSource::read(path.as_ref())?)
    }

    /// Does the same with a module in memory. Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Like [`Compiler::load`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Module> {
        self.load_source(ModuleSource::from_bytes(name, bytes.to_vec(), None)?)
    }

    /// Describes the module in a file as [`Compiler::load`] does, but compiles nothing and changes no cache. What is in the cache is used.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is not a valid module or one that wrun does not run, or if there is no program to
    /// read it with.
    pub fn describe(&self, path: impl AsRef<Path>) -> Result<Described> {
        let source = ModuleSource::read(path.as_ref())?;
        if source.format == Format::Precompiled {
            let module = self.load_precompiled(source)?;
            return Ok(Described { name: module.name().to_owned(), description: module.description().clone() });
        }
        let target = Target::new(Fuel::new(self.count_fuel))?;
        let (cache, _) = self.open_cache();
        let content = match known_content(cache.as_ref(), &source) {
            Some(content) => content,
            None => *blake3::hash(source.bytes()?).as_bytes(),
        };
        let key = fingerprint::cache_key(target.fingerprint, &content);
        let known = cache.and_then(|cache| cache.description(&key, target.fingerprint));
        // That of a snapshot is not the module's own.
        let description = match known.filter(|known| !known.snapshot) {
            Some(description) => description,
            None => compile::inspect(self, &source, target)?,
        };
        Ok(Described { name: source.name, description })
    }

    fn load_source(&self, source: ModuleSource) -> Result<Module> {
        if source.format == Format::Precompiled {
            return self.load_precompiled(source);
        }
        let target = Target::new(Fuel::new(self.count_fuel))?;
        let Target { fuel, fingerprint } = target;
        let (cache, mut cache_problem) = self.open_cache();
        let look = |content: &[u8; 32]| match &cache {
            Some(cache) => self.look_into(cache, fingerprint, content),
            None => Found::Nothing,
        };
        let known = known_content(cache.as_ref(), &source).map(|content| (content, look(&content)));
        let recalled = known.as_ref().map(|(content, _)| *content);
        let (content, found) = match known {
            Some((content, found @ Found::Code(..))) => (content, found),
            // Without code, the module is read all the same. Then what was read counts.
            known => {
                let content = *blake3::hash(source.bytes()?).as_bytes();
                match known {
                    Some((known, found)) if known == content => (content, found),
                    _ => (content, look(&content)),
                }
            }
        };
        let replaces_damaged = matches!(found, Found::Damaged);
        let (code, meta, origin) = match found {
            Found::Code(code, meta) => (code, *meta, Origin::Cache),
            Found::Nothing | Found::Damaged => {
                let (code, meta) = snapshot::compile(self, &source, target)?;
                if let Some(dir) = self.cache_dir.as_deref().filter(|_| cache_problem.is_none()) {
                    let key = match meta.description.calls_initializer() {
                        true => fingerprint::cache_key_without_snapshot(fingerprint, &content),
                        false => fingerprint::cache_key(fingerprint, &content),
                    };
                    cache_problem = keep(dir, &key, &code).err();
                }
                (code, meta, Origin::Compiled)
            }
        };
        if recalled != Some(content) && cache_problem.is_none() {
            self.remember(&source, &content);
        }
        let (name, description) = (source.name, meta.description);
        Ok(Module::new(Compiled { content, name, description, code, origin, cache_problem, replaces_damaged, fuel }))
    }

    /// Looks for code of the module with this hash. Code of a module without an initializer is the same with and without snapshots.
    fn look_into(&self, cache: &Cache, fingerprint: &str, content: &[u8; 32]) -> Found {
        let key = fingerprint::cache_key(fingerprint, content);
        let other_key = fingerprint::cache_key_without_snapshot(fingerprint, content);
        match cache.get(&key, fingerprint) {
            Found::Code(_, meta) if meta.description.snapshot && !self.snapshot => cache.get(&other_key, fingerprint),
            Found::Nothing if !self.snapshot => cache.get(&other_key, fingerprint),
            found => found,
        }
    }

    /// The cache, if there is one, or why it cannot be used.
    fn open_cache(&self) -> (Option<Cache>, Option<String>) {
        match self.cache_dir.as_deref().map(Cache::open).transpose() {
            Ok(cache) => (cache.flatten(), None),
            Err(error) => (None, Some(error.to_string())),
        }
    }

    /// Notes the content of a large file. If that fails, the file is read again the next time.
    fn remember(&self, source: &ModuleSource, content: &[u8; 32]) {
        if let Some(file) = source.file.as_ref().filter(|file| file.is_large())
            && let Some(cache) = self.cache_dir.as_deref().and_then(|dir| Cache::create(dir).ok())
        {
            cache.remember(file, content);
        }
    }

    fn load_precompiled(&self, source: ModuleSource) -> Result<Module> {
        if !self.allow_precompiled {
            return Err(Error::module(format!("{} is precompiled code, which is trusted code", source.label))
                .because_of(Setting::Precompiled));
        }
        let no_code = |error| Error::system("cannot hold precompiled code", error);
        let code = match &source.file {
            Some(file) => file.file.try_clone().and_then(artifact::loadable).map_err(no_code)?,
            None => crate::sys::memory_file::sealed(source.bytes()?).map_err(no_code)?,
        };
        let trailer = artifact::read_trailer(&code).ok().flatten();
        let (cache, _) = self.open_cache();
        let content = match known_content(cache.as_ref(), &source) {
            Some(content) => content,
            None => {
                // The file's hash is needed anyway. Its first part is that of the code, unless something else made the file.
                let body = trailer.as_ref().map(|trailer| trailer.body);
                let Some(content) = artifact::checked_content(&code, body).map_err(no_code)? else {
                    let label = &source.label;
                    return Err(Error::module(format!(
                        "{label} is damaged: its checksum does not match; compile it again"
                    )));
                };
                self.remember(&source, &content);
                content
            }
        };
        // Code of this very compiler needs no other check. Anything else is checked in the compiler process, where a fault does no harm.
        let (description, fuel) = match trailer.map(|trailer| trailer.meta) {
            Some(meta) if meta.compiler == Target::new(Fuel::NotCounted)?.fingerprint => {
                (meta.description, Fuel::NotCounted)
            }
            Some(meta) if meta.compiler == Target::new(Fuel::Counted)?.fingerprint => (meta.description, Fuel::Counted),
            _ => {
                let target = Target::new(Fuel::new(self.count_fuel))?;
                (compile::load(self, &source, target, &code)?, target.fuel)
            }
        };
        let (name, origin) = (source.name, Origin::Precompiled);
        let (cache_problem, replaces_damaged) = (None, false);
        Ok(Module::new(Compiled { content, name, description, code, origin, cache_problem, replaces_damaged, fuel }))
    }
}

/// The hash of a large file's content, if it was hashed before.
fn known_content(cache: Option<&Cache>, source: &ModuleSource) -> Option<[u8; 32]> {
    let file = source.file.as_ref().filter(|file| file.is_large())?;
    cache?.recall(file)
}

/// Stores compiled code in the cache, or returns why it cannot.
fn keep(dir: &Path, key: &str, code: &File) -> Result<(), String> {
    let cache = Cache::create(dir).map_err(|error| error.to_string())?;
    cache.put(key, code).map_err(|error| format!("cannot write to cache directory {}: {error}", dir.display()))
}

impl Module {
    /// Reads, compiles (or finds in the cache) and describes the module in a `.wasm` or `.wat` file, with default settings.
    ///
    /// # Errors
    ///
    /// Like [`Compiler::load`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Module> {
        Compiler::default().load(path)
    }

    /// Does the same with a module in memory. Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Like [`Compiler::load`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Module> {
        Compiler::default().load_bytes(name, bytes)
    }
}
