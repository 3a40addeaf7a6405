//! A job whose tasks can be run: its module is loaded, its imports are linked, its functions are found.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::{InstancePre, Linker, MemoryType, Module, ModuleExport};

use super::imports;
use super::job_context::JobContext;
use super::state::State;
use crate::module::{Entry, Scalar};

/// A job whose tasks can be run.
pub(super) struct LinkedJob {
    pub context: Arc<JobContext>,
    pub pre: InstancePre<Box<State>>,
    pub functions: Vec<TaskFunction>,
    pub initialize: Option<ModuleExport>,
    pub memory: Option<ModuleExport>,
    /// Where the module's machine code lies.
    pub code: Range<usize>,
}

/// A task function.
pub(super) enum TaskFunction {
    Task(ModuleExport),
    Scalar(ModuleExport, Scalar),
    Command(ModuleExport),
}

impl LinkedJob {
    /// Links a module.
    ///
    /// # Errors
    ///
    /// Returns a text for the user if an import or a function is missing.
    pub fn link(module: &Module, context: JobContext) -> Result<LinkedJob, String> {
        let mut linker = Linker::new(module.engine());
        let memory_is_64 =
            module.get_export(wrun_abi::MEMORY_EXPORT).is_some_and(|it| it.memory().is_some_and(MemoryType::is_64));
        imports::add_contract(&mut linker, memory_is_64).map_err(|error| format!("cannot link: {error:#}"))?;
        if context.uses_wasi {
            imports::enter_runtime().map_err(|error| format!("cannot start the runtime of WASI: {error}"))?;
            imports::add_wasi(&mut linker)
                .and_then(|()| imports::refuse_wasi(&mut linker, module))
                .map_err(|error| format!("cannot link: {error:#}"))?;
        }
        if context.spec.traps_unknown_imports {
            linker.define_unknown_imports_as_traps(module).map_err(|error| format!("cannot link: {error:#}"))?;
        }
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| format!("the module has no export `{name}` (any more)"))
        };
        let function = |entry: &Entry| {
            Ok(match entry {
                Entry::Task(name) => TaskFunction::Task(export(&format!("{}{name}", wrun_abi::TASK_EXPORT_PREFIX))?),
                Entry::Scalar(scalar) => TaskFunction::Scalar(export(&scalar.name)?, scalar.clone()),
                Entry::Command => TaskFunction::Command(export(entry.name())?),
                other => return Err(format!("this version of wrun cannot call {:?}", other.name())),
            })
        };
        let functions = context.spec.functions.iter().map(function).collect::<Result<_, String>>()?;
        let text = module.text().as_ptr_range();
        Ok(LinkedJob {
            pre: linker.instantiate_pre(module).map_err(|error| format!("cannot link the module: {error:#}"))?,
            functions,
            initialize: module.get_export_index(wrun_abi::INITIALIZE_EXPORT),
            memory: module.get_export_index(wrun_abi::MEMORY_EXPORT),
            code: text.start as usize..text.end as usize,
            context: Arc::new(context),
        })
    }
}
