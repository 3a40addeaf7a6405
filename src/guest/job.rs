//! A job in a worker: its module loaded, its imports linked, its functions found.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use wasmtime::{Engine, InstancePre, Linker, Module, ModuleExport};

use super::abi;
use super::files::{FileTable, GuestInput};
use super::refusals;
use super::state::State;
use super::symbols::Symbols;
use super::wasi::{self, Preopen};
use crate::Access;
use crate::ipc::wire::JobSpec;
use crate::module::{Entry, Scalar, artifact};
use crate::sys::read_only_map::ReadOnlyMap;

/// A job whose tasks can be run.
pub(crate) struct LoadedJob {
    pub(super) spec: JobSpec,
    /// The inputs that all tasks share.
    pub(super) inputs: Vec<GuestInput>,
    /// The areas that all tasks share.
    pub(super) areas: Vec<GuestInput>,
    pub(super) pre: InstancePre<Box<State>>,
    pub(super) functions: Vec<Callable>,
    pub(super) initialize: Option<ModuleExport>,
    pub(super) memory: Option<ModuleExport>,
    pub(super) uses_wasi: bool,
    /// Where the module's machine code lies.
    pub(super) code: Range<usize>,
    pub(super) symbols: Arc<Symbols>,
    /// The descriptors of a program that is attached to them.
    pub(super) stdio: Option<[Arc<File>; 3]>,
    /// The directories that tasks may use.
    pub(super) preopens: Vec<Preopen>,
}

/// A task function.
pub(super) enum Callable {
    Task(ModuleExport),
    Scalar(ModuleExport, Scalar),
    Command(ModuleExport),
}

impl LoadedJob {
    /// Links a module.
    ///
    /// # Errors
    ///
    /// A text for the user: an import or a function is missing.
    pub(super) fn link(
        module: &Module,
        symbols: Arc<Symbols>,
        spec: JobSpec,
        files: &FileTable,
        stdio: Option<[File; 3]>,
        directories: &[(File, Access)],
    ) -> Result<LoadedJob, String> {
        let engine = module.engine();
        let mut linker = Linker::new(engine);
        abi::add_to_linker(&mut linker).map_err(|error| format!("cannot link: {error:#}"))?;
        let uses_wasi = module.imports().any(|import| import.module() == "wasi_snapshot_preview1");
        if uses_wasi {
            wasi::enter_runtime().map_err(|error| format!("cannot start the runtime of WASI: {error}"))?;
            wasi::add_to_linker(&mut linker)
                .and_then(|()| refusals::add_to_linker(&mut linker, module, !directories.is_empty()))
                .map_err(|error| format!("cannot link: {error:#}"))?;
        }
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| format!("the module has no export `{name}` (any more)"))
        };
        let functions = spec
            .functions
            .iter()
            .map(|function| {
                Ok(match function {
                    Entry::Task(name) => Callable::Task(export(&format!("{}{name}", wrun_abi::TASK_EXPORT_PREFIX))?),
                    Entry::Scalar(scalar) => Callable::Scalar(export(&scalar.name)?, scalar.clone()),
                    Entry::Command => Callable::Command(export("_start")?),
                })
            })
            .collect::<Result<_, String>>()?;
        let text = module.text().as_ptr_range();
        Ok(LoadedJob {
            pre: linker.instantiate_pre(module).map_err(|error| format!("cannot link the module: {error:#}"))?,
            functions,
            initialize: module.get_export_index(wrun_abi::INITIALIZE_EXPORT),
            memory: module.get_export_index(wrun_abi::MEMORY_EXPORT),
            uses_wasi,
            code: text.start as usize..text.end as usize,
            symbols,
            inputs: spec.inputs.iter().map(|(_, range)| files.input(range)).collect(),
            areas: spec.areas.iter().map(|(_, range)| files.input(range)).collect(),
            stdio: stdio.map(|files| files.map(Arc::new)),
            preopens: spec
                .directories
                .iter()
                .zip(directories)
                .map(|(name, directory)| Preopen::new(name, directory))
                .collect(),
            spec,
        })
    }
}

#[expect(unsafe_code, reason = "precompiled code is trusted code")]
pub(super) fn deserialize(engine: &Engine, code: File) -> wasmtime::Result<Module> {
    // SAFETY: the file holds what this crate's compiler process wrote (kept in a cache directory that only this user can
    // write, or in sealed memory), or a file that the user declared as trusted by `--allow-precompiled`. wasmtime
    // checks that it was made by the same version with the same settings. Nobody changes the file afterwards: cache
    // entries are replaced by renaming, never rewritten.
    unsafe { Module::deserialize_open_file(engine, code) }
}

/// The part of that file that is for backtraces. It stays mapped as long as the process lives, which loads the code of one
/// module only; its pages are shared by all workers.
#[expect(unsafe_code, reason = "it is a part of the file with precompiled code")]
pub(super) fn debug_part(code: &File) -> Option<&'static [u8]> {
    let range = artifact::debug_range(code).ok()??;
    // SAFETY: as above: nobody changes the file afterwards.
    let map = unsafe { ReadOnlyMap::of_unchanging(code, range) }.ok()?;
    Some(Box::leak(Box::new(map)))
}

#[cfg(test)]
pub(super) mod for_tests {
    use super::*;

    /// A job of an empty module.
    pub fn empty(engine: &Engine) -> LoadedJob {
        let module = Module::new(engine, "(module)").expect("a valid module");
        let spec = JobSpec {
            number: 0,
            module: 0,
            module_name: "empty".into(),
            file_count: 0,
            functions: vec![],
            inputs: vec![],
            copy_on_write: false,
            slices: None,
            areas: vec![],
            argv: None,
            fresh_instances: true,
            attached: false,
            memory_bytes: 1 << 30,
            output_bytes: 1 << 20,
            stack_bytes: 1 << 20,
            log_bytes: 1 << 10,
            counts_fuel: false,
            fuel: None,
            core_dumps: false,
            open_files: 16,
            host_call_bytes: 1 << 20,
            directories: vec![],
            environment: vec![],
            real_clock: false,
            real_random: false,
            seed: 0,
        };
        let symbols = Arc::new(Symbols::new(module.clone(), None));
        LoadedJob::link(&module, symbols, spec, &FileTable::default(), None, &[]).expect("a job")
    }
}
