//! Checks a module's imports: whether wrun provides them, and what a user would have to grant.

use super::component;
use super::description::{Description, Extern, Memory, func_type};
use super::explain::one_line;
use super::wasi_imports::{self, WASI_MODULE};
use crate::{Error, Result};

/// The contract's imports that map a window into the guest's memory.
const MAPPING: &[&str] = &[wrun_abi::import::INPUT_MAP, wrun_abi::import::OUTPUT_MAP, wrun_abi::import::REGION_MAP];

/// The contract's imports that read or write the guest's memory.
const COPYING: &[&str] = &[
    wrun_abi::import::ARG_READ,
    wrun_abi::import::INPUT_FIND,
    wrun_abi::import::OUTPUT_WRITE,
    wrun_abi::import::REGION_FIND,
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
        let package = interface.split('/').next().unwrap_or_default();
        match package {
            "wasi:filesystem" => Some(Grant::Files),
            "wasi:clocks" => Some(Grant::Clock),
            "wasi:random" => Some(Grant::Random),
            "wasi:sockets" => Some(Grant::Sockets),
            _ if interface.starts_with("wasi:cli/environment") => Some(Grant::Environment),
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
        self.find_import_problem().map_or(Ok(()), |problem| Err(Error::module(format!("the module {problem}"))))
    }

    /// What the module's WASI imports could use if it were granted.
    pub fn grants(&self) -> Vec<Grant> {
        let wasi = self.imports.iter().filter(|import| import.module == WASI_MODULE);
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
        if self.component {
            return self.imports.iter().find_map(|import| component::import_problem(&import.name));
        }
        self.imports.iter().find_map(Extern::import_problem).or_else(|| self.memory_problem())
    }

    fn memory_problem(&self) -> Option<String> {
        let imports = |names: &[&str]| self.wrun_imports.iter().find(|import| names.contains(&import.as_str()));
        let mapping = imports(MAPPING);
        let Some(import) = mapping.or_else(|| imports(COPYING)) else {
            let needs_memory = self.wasi && self.memory.is_none();
            return needs_memory.then(|| {
                "imports WASI but exports no memory named \"memory\": export it (wasm-ld does unless told otherwise)".into()
            });
        };
        let Some(memory) = &self.memory else {
            return Some(format!(
                "imports wrun_v1::{import} but exports no memory named \"memory\": export it (wasm-ld does unless told otherwise)"
            ));
        };
        if memory.is_64 {
            return Some(format!("imports wrun_v1::{import}, which works with 32-bit memories: build it for wasm32"));
        }
        if memory.shared {
            return Some(format!(
                "imports wrun_v1::{import}, which does not work with a shared memory: build it without threads"
            ));
        }
        (mapping.is_some() && memory.room_pages() == 0).then(|| no_room(import, memory))
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

impl Extern {
    /// Why wrun does not provide this import, or `None` if it does. The text continues a sentence that begins with the module.
    pub fn import_problem(&self) -> Option<String> {
        let shown = format!("{}::{}", one_line(&self.module), one_line(&self.name));
        let expected = match self.module.as_str() {
            wrun_abi::MODULE => contract_type(&self.name),
            WASI_MODULE => wasi_imports::func_type(&self.name),
            _ => None,
        };
        match expected {
            Some(expected) if expected == self.ty => None,
            Some(expected) => Some(format!(
                "imports {shown} as {}, but it is {expected}: correct the declaration, or build it with the current SDK",
                self.ty
            )),
            None => Some(format!("imports {shown}, which wrun does not provide: {}", advice(&self.module, &self.name))),
        }
    }
}

/// The type of an import of the guest contract, in the form of [`Extern::ty`].
fn contract_type(name: &str) -> Option<String> {
    let import = wrun_abi::IMPORTS.iter().find(|import| import.name == name)?;
    let text = |ty: &wrun_abi::ValueType| match ty {
        wrun_abi::ValueType::I32 => "i32",
        wrun_abi::ValueType::I64 => "i64",
    };
    Some(func_type(import.params.iter().map(text), import.results.iter().map(text)))
}

/// What to do about an import that wrun does not provide.
fn advice(module: &str, name: &str) -> &'static str {
    match (module, name) {
        (wrun_abi::MODULE | WASI_MODULE, _) => "there is no such function; build it with the current SDK",
        ("wasi_unstable", _) => "that is the version of WASI before preview 1; build it with a current wasi-libc",
        ("wasi", "thread-spawn") => "tasks have no threads; build it without them",
        ("env", "memory") | (_, "__linear_memory") => {
            "a module brings its own memory; link it without --import-memory and --shared-memory"
        }
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
