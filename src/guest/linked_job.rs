//! A job whose tasks can be run: its module is loaded, its imports are linked, its functions are found.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::component::ComponentExportIndex;
use wasmtime::{Engine, ExternType, InstancePre, Linker, MemoryType, Module, ModuleExport};
use wasmtime_wasi::p2::bindings::sync::CommandIndices;

use super::code::Code;
use super::component_function::ComponentFunction;
use super::job_context::JobContext;
use super::state::State;
use super::{component, imports};
use crate::module::{Entry, Scalar};

/// A job whose tasks can be run.
pub(super) struct LinkedJob {
    pub context: Arc<JobContext>,
    pub program: LinkedProgram,
    pub functions: Vec<TaskFunction>,
    /// Where its machine code lies.
    pub code: Range<usize>,
}

/// What an instance is made of.
pub(super) enum LinkedProgram {
    Module(LinkedModule),
    Component(component::Linked),
}

/// A module, linked.
pub(super) struct LinkedModule {
    pub pre: InstancePre<Box<State>>,
    pub initialize: Option<ModuleExport>,
    pub memory: Option<ModuleExport>,
    pub initializer: Option<Initializer>,
}

/// What is called in a new instance before its first task.
pub(super) struct Initializer {
    pub function: ModuleExport,
    /// What it may see.
    pub job: Arc<JobContext>,
}

/// A task function.
pub(super) enum TaskFunction {
    Task(ModuleExport),
    Scalar(ModuleExport, Scalar),
    Command(ModuleExport),
    /// The command that a component is.
    ComponentCommand(CommandIndices),
    /// A task of a component.
    ComponentTask(ComponentExportIndex),
    /// A function of a component, of plain values.
    ComponentFunction(ComponentFunction),
}

impl TaskFunction {
    /// Whether it is a program, with arguments and an exit code.
    pub fn is_command(&self) -> bool {
        matches!(self, TaskFunction::Command(_) | TaskFunction::ComponentCommand(_))
    }
}

impl LinkedJob {
    /// Links a module or a component.
    ///
    /// # Errors
    ///
    /// Returns a text for the user if an import or a function is missing.
    pub fn link(engine: &Engine, code: &Code, context: JobContext) -> Result<LinkedJob, String> {
        match code {
            Code::Module(module) => LinkedJob::link_module(module, code, context),
            Code::Component(component) => {
                if context.uses_wasi {
                    imports::enter_runtime()
                        .and_then(|()| imports::start_file_thread())
                        .map_err(|error| format!("cannot start the runtime of WASI: {error}"))?;
                }
                let linked = component::link(engine, component, &context)
                    .map_err(|error| format!("cannot link the component: {error:#}"))?;
                let functions = context.spec.functions.iter().map(|entry| component::function(&linked, entry));
                let functions = functions.collect::<wasmtime::Result<_>>().map_err(|error| format!("{error:#}"))?;
                Ok(LinkedJob {
                    program: LinkedProgram::Component(linked),
                    functions,
                    code: code.addresses(),
                    context: Arc::new(context),
                })
            }
        }
    }

    fn link_module(module: &Module, code: &Code, context: JobContext) -> Result<LinkedJob, String> {
        let mut linker = Linker::new(module.engine());
        let memory_is_64 =
            module.get_export(wrun_abi::MEMORY_EXPORT).is_some_and(|it| it.memory().is_some_and(MemoryType::is_64));
        imports::add_contract(&mut linker, memory_is_64).map_err(|error| format!("cannot link: {error:#}"))?;
        if context.uses_wasi {
            imports::enter_runtime().map_err(|error| format!("cannot start the runtime of WASI: {error}"))?;
            imports::add_wasi(&mut linker)
                .and_then(|()| imports::add_preview0(&mut linker, module))
                .and_then(|()| imports::refuse_wasi(&mut linker, module))
                .map_err(|error| format!("cannot link: {error:#}"))?;
        }
        if context.spec.traps_unknown_imports {
            linker.define_unknown_imports_as_traps(module).map_err(|error| format!("cannot link: {error:#}"))?;
        }
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| format!("the module has no export `{name}` (any more)"))
        };
        // Something else may have one of the two names that the task's export can have.
        let task = |name: &str| {
            let exports = wrun_abi::TASK_EXPORT_PREFIXES.map(|prefix| format!("{prefix}{name}"));
            let is_task = |name: &&String| match module.get_export(name) {
                Some(ExternType::Func(ty)) => {
                    ty.params().len() == 0 && ty.results().next().is_some_and(|ty| ty.is_i32())
                }
                _ => false,
            };
            export(exports.iter().find(is_task).unwrap_or(&exports[0]))
        };
        let function = |entry: &Entry| {
            Ok(match entry {
                Entry::Task(name) => TaskFunction::Task(task(name)?),
                Entry::Scalar(scalar) => TaskFunction::Scalar(export(&scalar.name)?, scalar.clone()),
                Entry::Command => TaskFunction::Command(export(entry.name())?),
                other => return Err(format!("this version of wrun cannot call {:?}", other.name())),
            })
        };
        let functions = context.spec.functions.iter().map(function).collect::<Result<_, String>>()?;
        let initializer = match &context.spec.initializer {
            Some(name) => Some(Initializer { function: export(name)?, job: Arc::new(context.for_initializer()) }),
            None => None,
        };
        let module = LinkedModule {
            pre: linker.instantiate_pre(module).map_err(|error| format!("cannot link the module: {error:#}"))?,
            initialize: module
                .get_export_index(wrun_abi::INITIALIZE_EXPORT)
                .filter(|_| context.spec.initializer.as_deref() != Some(wrun_abi::INITIALIZE_EXPORT)),
            memory: module.get_export_index(wrun_abi::MEMORY_EXPORT),
            initializer,
        };
        Ok(LinkedJob {
            program: LinkedProgram::Module(module),
            functions,
            code: code.addresses(),
            context: Arc::new(context),
        })
    }
}
