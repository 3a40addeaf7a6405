//! Checks a module's imports: whether wrun provides them, and what a user would have to grant.

use super::component;
use super::description::{Description, Extern, Memory, func_type};
use super::explain::one_line;
use super::task_world::Interface;
use super::wasi_imports::{self, WASI_MODULE, WASI_UNSTABLE_MODULE, is_wasi};
use crate::ipc::Setting;
use crate::{Error, Result};

/// The contract's imports that map a window into the guest's memory.
const MAPPING: &[&str] = &[wrun_abi::import::INPUT_MAP, wrun_abi::import::OUTPUT_MAP, wrun_abi::import::REGION_MAP];

/// The contract's imports by which a task gets the bytes of inputs.
const READING: &[&str] = &[wrun_abi::import::INPUT_READ, wrun_abi::import::INPUT_MAP, wrun_abi::import::INPUT_MAP_AT];

/// The contract's imports by which a task gets the memory of regions.
const REGIONS: &[&str] = &[wrun_abi::import::REGION_MAP, wrun_abi::import::REGION_MAP_AT];

/// The contract's imports that read or write the guest's memory.
const COPYING: &[&str] = &[
    wrun_abi::import::ARG_READ,
    wrun_abi::import::INPUT_FIND,
    wrun_abi::import::INPUT_READ,
    wrun_abi::import::INPUT_MAP_AT,
    wrun_abi::import::OUTPUT_WRITE,
    wrun_abi::import::REGION_FIND,
    wrun_abi::import::REGION_MAP_AT,
    wrun_abi::import::FAIL,
    wrun_abi::import::LOG,
];

/// Something that a WASI module imports and that does nothing real unless a user grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Directories and the files in them.
    Files,
    /// Environment variables.
    Environment,
    /// The real time.
    Clock,
    /// Real randomness.
    Random,
    /// Sockets, which are never granted.
    Sockets,
}

impl Grant {
    fn needed_for(function: &str) -> Option<Self> {
        match function {
            "fd_readdir" | "fd_prestat_get" | "fd_prestat_dir_name" => Some(Grant::Files),
            "environ_get" | "environ_sizes_get" => Some(Grant::Environment),
            "random_get" => Some(Grant::Random),
            _ if function.starts_with("path_") => Some(Grant::Files),
            _ if function.starts_with("clock_") => Some(Grant::Clock),
            _ if function.starts_with("sock_") => Some(Grant::Sockets),
            _ => None,
        }
    }
}

impl Grant {
    fn needed_for_interface(interface: &str) -> Option<Self> {
        match interface.split_once('/')? {
            ("wasi:filesystem", _) => Some(Grant::Files),
            ("wasi:clocks", _) => Some(Grant::Clock),
            ("wasi:random", _) => Some(Grant::Random),
            ("wasi:sockets", _) => Some(Grant::Sockets),
            ("wasi:cli", name) if name.starts_with("environment") => Some(Grant::Environment),
            _ => None,
        }
    }
}

impl Description {
    /// Checks that wrun provides everything that the module imports, with the types that it expects, and that its memory has room for what
    /// these imports map there.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first import that is not provided, or what is wrong with the memory, and says what to do.
    pub fn check_imports(&self) -> Result<()> {
        self.check_imports_of("the module")
    }

    /// Does the same, but accepts functions that wrun does not know, for
    /// [`UnknownImports::Trap`](crate::job::UnknownImports::Trap).
    ///
    /// # Errors
    ///
    /// Like [`Description::check_imports`].
    pub fn check_known_imports(&self) -> Result<()> {
        self.check_known_imports_of("the module")
    }

    /// As [`Description::check_imports`], in words about `module`.
    pub(super) fn check_imports_of(&self, module: &str) -> Result<()> {
        let Some(problem) = self.find_import_problem() else { return Ok(()) };
        let error = Error::module(format!("{module} {problem}"));
        Err(match self.find_known_import_problem() {
            None => error.because_of(Setting::UnknownImports),
            Some(_) => error,
        })
    }

    /// As [`Description::check_known_imports`], in words about `module`.
    pub(super) fn check_known_imports_of(&self, module: &str) -> Result<()> {
        let problem = self.find_known_import_problem();
        problem.map_or(Ok(()), |problem| Err(Error::module(format!("{module} {problem}"))))
    }

    /// Whether it has an import by which tasks get the bytes of inputs.
    pub fn reads_inputs(&self) -> bool {
        self.imported(READING).is_some() || self.imports_task_interface(Interface::Inputs)
    }

    /// Whether it has an import by which tasks write to output slices.
    pub fn writes_slices(&self) -> bool {
        self.imported(REGIONS).is_some() || self.imports_task_interface(Interface::OutputSlice)
    }

    /// Whether it has an import by which tasks use shared memory.
    pub fn uses_shared_memory(&self) -> bool {
        self.imported(REGIONS).is_some() || self.imports_task_interface(Interface::Shared)
    }

    /// The first of these imports of the contract that it has.
    fn imported(&self, names: &[&str]) -> Option<&String> {
        self.wrun_imports.iter().find(|import| names.contains(&import.as_str()))
    }

    /// What the module's WASI imports could use if it were granted.
    pub fn grants(&self) -> Vec<Grant> {
        let wasi = self.imports.iter().filter(|import| is_wasi(&import.module));
        let of_functions = wasi.filter_map(|import| Grant::needed_for(&import.name));
        let interfaces = self.imports.iter().filter(|_| self.component);
        let of_interfaces = interfaces.filter_map(|import| Grant::needed_for_interface(&import.name));
        let mut grants: Vec<Grant> = of_functions.chain(of_interfaces).collect();
        grants.sort_unstable();
        grants.dedup();
        grants
    }

    /// The first problem. The text continues a sentence that begins with the module.
    pub(super) fn find_import_problem(&self) -> Option<String> {
        let imports = self.imports.iter().find_map(|import| self.problem_of_import(import));
        imports.or_else(|| self.memory_problem())
    }

    /// The first problem that remains if unknown functions trap when they are called.
    fn find_known_import_problem(&self) -> Option<String> {
        let mut known = self.imports.iter().filter(|import| !self.is_unknown_function(import));
        known.find_map(|import| self.problem_of_import(import)).or_else(|| self.memory_problem())
    }

    fn memory_problem(&self) -> Option<String> {
        let mapping = self.imported(MAPPING);
        let Some(import) = mapping.or_else(|| self.imported(COPYING)) else {
            let needs_memory = self.wasi && self.memory.is_none() && !self.component;
            return needs_memory.then(|| {
                "imports WASI but exports no memory named \"memory\": export it (wasm-ld does unless told otherwise)".into()
            });
        };
        let Some(memory) = &self.memory else {
            return Some(format!(
                "imports wrun_v1::{import} but exports no memory named \"memory\": export it (wasm-ld does unless told otherwise)"
            ));
        };
        if memory.shared {
            return Some(format!(
                "imports wrun_v1::{import}, which does not work with a shared memory: build it without threads"
            ));
        }
        if let (Some(language), Some(import)) = (&self.owns_memory, mapping) {
            return Some(format!(
                "imports wrun_v1::{import}, and {language}'s allocator would take the mapped pages for its own: call {} instead",
                instead_of(import)
            ));
        }
        (mapping.is_some() && memory.room_pages() == 0).then(|| no_room(import, memory))
    }
}

/// What to call instead of an import that maps new pages, where the guest's allocator takes all memory for its own.
fn instead_of(import: &str) -> &'static str {
    match import {
        wrun_abi::import::OUTPUT_MAP => "output_write",
        wrun_abi::import::REGION_MAP => "region_map_at",
        _ => "input_read or input_map_at",
    }
}

fn no_room(import: &str, memory: &Memory) -> String {
    format!(
        "imports wrun_v1::{import} but its memory has no room for a window: it starts with {} pages of 64 KiB, and its \
         maximum is {}; raise the maximum (wasm-ld --max-memory=BYTES) or declare none",
        memory.minimum,
        memory.maximum.unwrap_or(Memory::MAX_PAGES)
    )
}

impl Description {
    /// Why wrun does not provide this import of the module, or `None` if it does. The text continues a sentence that begins with the module.
    pub fn problem_of_import(&self, import: &Extern) -> Option<String> {
        let Extern { module, name, ty } = import;
        if self.component {
            return component::import_problem(import);
        }
        let shown = format!("{}::{}", one_line(module), one_line(name));
        match self.expected_type(import) {
            Some(expected) if expected == *ty => None,
            Some(expected) => Some(format!(
                "imports {shown} as {ty}, but it is {expected}: correct the declaration, or build it with the current SDK"
            )),
            None => Some(format!("imports {shown}, which wrun does not provide: {}", advice(module, name))),
        }
    }

    /// Whether this import is a function that wrun does not know.
    fn is_unknown_function(&self, import: &Extern) -> bool {
        import.ty.starts_with("func ") && self.expected_type(import).is_none()
    }

    /// The type of the import that wrun provides under this name.
    fn expected_type(&self, import: &Extern) -> Option<String> {
        match import.module.as_str() {
            wrun_abi::MODULE => contract_type(&import.name, self.memory.as_ref().is_some_and(|memory| memory.is_64)),
            module if is_wasi(module) => wasi_imports::func_type(&import.name),
            _ => None,
        }
    }
}

/// The type of an import of the guest contract, in the form of [`Extern::ty`], for a module with 64-bit memory or another one.
fn contract_type(name: &str, memory_is_64: bool) -> Option<String> {
    let import = wrun_abi::IMPORTS.iter().find(|import| import.name == name)?;
    let text = |ty: &wrun_abi::ValueType| match ty {
        wrun_abi::ValueType::I32 => "i32",
        wrun_abi::ValueType::I64 => "i64",
        wrun_abi::ValueType::Address if memory_is_64 => "i64",
        wrun_abi::ValueType::Address => "i32",
    };
    Some(func_type(import.params.iter().map(text), import.results.iter().map(text)))
}

/// What to do about an import that wrun does not provide.
fn advice(module: &str, name: &str) -> &'static str {
    match (module, name) {
        (wrun_abi::MODULE | WASI_MODULE | WASI_UNSTABLE_MODULE, _) => {
            "there is no such function; build it with the current SDK"
        }
        ("wasi", "thread-spawn") => "tasks have no threads; build it without them",
        ("env", "memory") | (_, "__linear_memory") => {
            "a module brings its own memory; link it without --import-memory and --shared-memory"
        }
        ("env", "abort") => "AssemblyScript calls it when something is wrong; build it with --use abort=",
        ("env" | "GOT.func" | "GOT.mem", _) => "link the library that defines it, or remove its use",
        _ if module.starts_with("__wbindgen") || module == "wbg" => {
            "it was made for JavaScript by wasm-bindgen; build it for wasm32-wasip1"
        }
        ("gojs" | "go", _) => "it was made for JavaScript; build it with GOOS=wasip1",
        ("a", _) => "it was made for JavaScript by Emscripten; build it with -sSTANDALONE_WASM or wasi-sdk",
        _ => "only functions of wrun_v1 and wasi_snapshot_preview1 are",
    }
}

#[cfg(test)]
#[path = "imports_tests.rs"]
mod tests;
