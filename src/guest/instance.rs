//! Runs one task in one instance, from its descriptor to its result.

use std::fs::File;
use std::sync::Arc;

use wasmtime::{Engine, Extern, Func, Instance, ModuleExport, Store, TypedFunc, Val, WasmCoreDump};
use wasmtime_wasi::I32Exit;

use super::argv::argv;
use super::code::Code;
use super::host_error::HostError;
use super::job_context::JobContext;
use super::linked_job::{LinkedJob, LinkedModule, LinkedProgram, TaskFunction};
use super::open_files::{FileTable, GuestInput};
use super::outcome::{Returned, decide_outcome};
use super::stack_trace::Symbols;
use super::state::State;
use super::task_result::TaskResult;
use super::{component, initializer, scalar_text, signals, wasi};
use crate::Access;
use crate::ipc::ring::MemoryNotes;
use crate::ipc::wire::{InputRange, JobSpec, MAP, REDUCE, TaskSlot, WindowBytes, max_core_dump_bytes};
use crate::job::Limits;
use crate::module::code_file::{self, CodeFiles};
use crate::module::engine::{self, CodeSettings, Fuel, WorkerSettings};
use crate::module::is_wasi;
use crate::result::Status;

/// Runs the tasks of a worker.
pub(crate) struct Guest {
    engine: Engine,
    /// Where the engine keeps the code of components, if it runs them.
    code_files: Option<Arc<CodeFiles>>,
    settings: WorkerSettings,
    module: Option<LoadedModule>,
    job: Option<LinkedJob>,
    /// The data of the last instance, kept for its buffers.
    spare: Option<Box<State>>,
    /// The instance of the last task, if instances are reused.
    kept: Option<Live>,
    /// Where the memory of the running task is noted.
    memory_notes: Option<MemoryNotes>,
}

/// A module whose code is loaded.
#[derive(Clone)]
struct LoadedModule {
    /// Its number in the pool.
    number: u64,
    code: Code,
    symbols: Arc<Symbols>,
}

/// An instance and its store. Dropping it unmaps its windows first (see `window`).
struct Live {
    store: Store<Box<State>>,
    instance: Option<Instance>,
    /// The task function that was called last: if instances are reused, it is looked up once.
    task: Option<CalledTask>,
}

/// A task function of an instance.
struct CalledTask {
    /// Its number in the job.
    number: u32,
    function: TypedFunc<(), i32>,
}

impl Guest {
    /// Makes an engine with the usual settings, before any job is known.
    pub fn new() -> wasmtime::Result<Guest> {
        let Limits { stack_bytes, table_elements, .. } = Limits::default();
        let code = CodeSettings::usual(Fuel::NotCounted);
        Guest::with(WorkerSettings { code, stack_bytes, table_elements, core_dumps: false, components: false })
    }

    fn with(settings: WorkerSettings) -> wasmtime::Result<Guest> {
        signals::ask_about_faults();
        let mut config = engine::worker_config(&settings);
        let code_files = settings.components.then(Arc::<CodeFiles>::default);
        if let Some(files) = &code_files {
            config.with_custom_code_memory(Some(files.clone()));
        }
        let engine = engine::engine(&config)?;
        Ok(Guest { engine, code_files, settings, module: None, job: None, spare: None, kept: None, memory_notes: None })
    }

    /// Notes the memory of each task there, as long as it runs.
    pub fn note_memory(&mut self, notes: MemoryNotes) {
        self.memory_notes = Some(notes);
    }

    /// Prepares for tasks of this job. Loads `code` unless it is loaded already.
    ///
    /// # Errors
    ///
    /// Returns a message for the user if the code does not fit this program, or if an import or a function is missing.
    pub fn load(
        &mut self,
        code: File,
        spec: JobSpec,
        files: &FileTable,
        stdio: Option<[File; 3]>,
        directories: &[(File, Access)],
    ) -> Result<(), String> {
        (self.kept, self.spare, self.job) = (None, None, None);
        let code_settings = CodeSettings { fuel: Fuel::new(spec.counts_fuel), large_memories: spec.large_memories };
        let settings = WorkerSettings {
            code: code_settings,
            stack_bytes: spec.stack_bytes,
            table_elements: spec.table_elements,
            core_dumps: spec.core_dumps,
            components: spec.component,
        };
        if settings != self.settings {
            if engine::is_cramped() {
                // There may be no room for two pools of memories at a time.
                self.module = None;
                self.engine = engine::engine(&engine::config(code_settings)).map_err(|error| error.to_string())?;
            }
            let guest = Guest::with(settings).map_err(|error| format!("cannot set up wasmtime: {error:#}"))?;
            *self = Guest { memory_notes: self.memory_notes.take(), ..guest };
        }
        let LoadedModule { code, symbols, .. } = match &self.module {
            Some(loaded) if loaded.number == spec.module => loaded.clone(),
            _ => {
                // Only backtraces need it, so running out of descriptors is no error here.
                let file = code.try_clone().ok();
                let loaded = match spec.component {
                    true => {
                        code_file::load_component(&self.engine, &code, self.code_files.as_deref()).map(Code::Component)
                    }
                    false => code_file::load_module(&self.engine, code).map(Code::Module),
                };
                let code = loaded.map_err(|error| {
                    let message = format!("cannot load the compiled module: {error:#}");
                    engine::lack_of_room(code_settings, &message).unwrap_or(message)
                })?;
                let symbols = Arc::new(Symbols::new(code.clone(), file));
                signals::set_loaded(symbols.clone());
                self.module.insert(LoadedModule { number: spec.module, code, symbols }).clone()
            }
        };
        let uses_wasi = match &code {
            Code::Module(module) => module.imports().any(|import| is_wasi(import.module())),
            Code::Component(component) => component::uses_wasi(component),
        };
        let context = JobContext::new(spec, uses_wasi, symbols, files, stdio, directories);
        let context = JobContext { memory_notes: self.memory_notes.clone(), ..context };
        self.job = Some(LinkedJob::link(&self.engine, &code, context)?);
        Ok(())
    }

    /// Runs one task. Its outcome replaces what is in `result`.
    ///
    /// # Panics
    ///
    /// Panics if no job was loaded, which the pool's protocol excludes.
    pub fn run(&mut self, slot: &TaskSlot, payload: &[u8], files: &FileTable, result: &mut TaskResult) {
        let Guest { engine, job: linked, spare, kept, .. } = self;
        let linked = linked.as_ref().expect("a job comes before its tasks");
        let job = &linked.context;
        let function = &linked.functions[slot.function as usize];
        let mut live = kept.take().unwrap_or_else(|| Live::new(engine, job, spare.take()));
        let fuel = job.spec.fuel.unwrap_or(u64::MAX);
        let prepared = prepare(live.store.data_mut(), slot, payload, files);
        let run = |store: &mut Store<Box<State>>| {
            prepared?;
            if job.spec.counts_fuel {
                store.set_fuel(fuel)?;
            }
            // Most tasks that import WASI never call it, so their context is made at the first call.
            if job.uses_wasi && (function.is_command() || job.needs_context()) {
                if function.is_command() || job.has_component_words() {
                    store.data_mut().argv = Some(argv(store.data())?);
                }
                store.data_mut().wasi = Some(wasi::context(&store.data().wasi_settings())?);
            }
            let module = match &linked.program {
                LinkedProgram::Module(module) => module,
                LinkedProgram::Component(linked) => return component::run(linked, function, store),
            };
            let instance = match live.instance {
                Some(instance) => instance,
                None => match &module.initializer {
                    None => signals::while_instantiating(|| instantiate(module, store))?,
                    Some(initializer) => {
                        // The limit of fuel is the task's.
                        let set_fuel = |store: &mut Store<Box<State>>, fuel| match job.spec.counts_fuel {
                            true => store.set_fuel(fuel),
                            false => Ok(()),
                        };
                        set_fuel(store, u64::MAX)?;
                        let initialized = initializer::run_before_task(module, initializer, store);
                        set_fuel(store, fuel)?;
                        initialized?
                    }
                },
            };
            live.instance = Some(instance);
            call(slot.function, function, store, instance, &mut live.task)
        };
        let ended = signals::watch(&mut live.store, linked.code.clone(), |store| {
            let ended = run(store);
            // Also if the task failed: what happens to its slice is the pool's decision.
            let written = store.data_mut().windows.write_edges_back();
            let refused = |error| HostError::fixed_limit(format!("its slice cannot be written back: {error}")).into();
            ended.and_then(|returned| written.map(|()| returned).map_err(refused))
        });
        let unharmed = ended.is_ok() && live.store.data().windows.recorded().is_none();
        result.clear();
        if job.spec.counts_fuel {
            result.fuel = live.store.get_fuel().map_or(0, |left| fuel - left);
        }
        decide_outcome(&ended, function, live.store.data_mut(), result);
        result.windows = live.store.data().window_bytes;
        result.peak_memory_bytes = live.store.data().usage.peak_bytes();
        result.refused_memory_bytes = live.store.data().usage.refused_bytes();
        if let Err(error) = &ended {
            live.dump(error, result);
        }
        live.store.data_mut().argument.end();
        if unharmed && !job.spec.fresh_instances {
            live.store.data_mut().windows.end_task();
            *kept = Some(live);
        } else {
            *spare = Some(live.into_state());
        }
    }

    /// Runs the initializer of the job's module in an instance of its own, which sees what the job grants. Its outcome replaces what is
    /// in `result`; if it passed, its instance is returned.
    ///
    /// # Panics
    ///
    /// Panics if no job of a module with an initializer was loaded.
    pub(super) fn initialize(&mut self, result: &mut TaskResult) -> Option<(Store<Box<State>>, Instance)> {
        let linked = self.job.as_ref().expect("a job was loaded");
        let LinkedProgram::Module(module) = &linked.program else {
            unreachable!("a component has no initializer here")
        };
        let initializer = module.initializer.as_ref().expect("the job names its initializer");
        let job = &linked.context;
        let mut live = Live::new(&self.engine, job, None);
        let ended = signals::watch(&mut live.store, linked.code.clone(), |store| {
            if job.spec.counts_fuel {
                store.set_fuel(u64::MAX)?;
            }
            if job.uses_wasi {
                store.data_mut().wasi = Some(wasi::context(&store.data().wasi_settings())?);
            }
            initializer::run(module, initializer, store)
        });
        result.clear();
        let (instance, ended) = match ended {
            Ok(instance) => (Some(instance), Ok(Returned::Code(0))),
            Err(error) => (None, Err(error)),
        };
        let function = TaskFunction::Task(initializer.function);
        decide_outcome(&ended, &function, live.store.data_mut(), result);
        instance.filter(|_| result.status == Status::Ok).map(|instance| (live.store, instance))
    }
}

impl Live {
    /// A store without an instance. It reuses the data of an earlier store if there is one.
    fn new(engine: &Engine, job: &Arc<JobContext>, spare: Option<Box<State>>) -> Live {
        let state = spare.unwrap_or_else(|| Box::new(State::new(job.clone())));
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(usize::try_from(job.spec.host_call_bytes).unwrap_or(usize::MAX));
        signals::install_handler(&mut store);
        Live { store, instance: None, task: None }
    }

    /// Makes the error's core dump, if it has one, the result.
    fn dump(&mut self, error: &wasmtime::Error, result: &mut TaskResult) {
        // A program that nobody reads any more ends by a trap, and has an exit code.
        if result.status == Status::Ok {
            return;
        }
        let Some(dump) = error.downcast_ref::<WasmCoreDump>().filter(|_| !error.is::<I32Exit>()) else { return };
        // Mapped files are the user's data and not the guest's, and parts of them may be unreadable.
        self.store.data_mut().windows.restore();
        let spec = &self.store.data().job.spec;
        let (name, most) = (spec.module_name.clone(), max_core_dump_bytes(spec.memory_bytes));
        let dump = dump.serialize(&mut self.store, &name);
        if dump.len() as u64 <= most {
            result.output = dump;
        }
    }

    /// Ends the instance, and returns its data for the next one.
    fn into_state(mut self) -> Box<State> {
        self.store.data_mut().windows.restore();
        let mut state = self.store.into_data();
        state.usage.reset();
        state.host_regions.forget();
        state.memory = None;
        state
    }
}

/// Sets up the state for a task.
///
/// # Errors
///
/// Returns an error if the system cannot map its argument.
fn prepare(state: &mut State, slot: &TaskSlot, payload: &[u8], files: &FileTable) -> Result<(), HostError> {
    let (ranges, argument) = payload.split_at(slot.input_count as usize * InputRange::BYTES);
    state.index = slot.index;
    state.function = slot.function;
    state.merges = slot.function == REDUCE;
    state.argv = None;
    state.own_inputs.clear();
    state.own_inputs.extend(ranges.chunks(InputRange::BYTES).map(|range| files.input(&InputRange::decode(range))));
    state.slice = match (&state.job.spec.slices, slot.function) {
        (Some(slices), MAP) => slices.range(slot.index).map(|range| files.input(&range)),
        _ => None,
    };
    state.failure = None;
    state.output_file = None;
    state.refused = None;
    state.usage.start_task();
    state.windows.begin_task(slot.input_count);
    state.window_bytes = WindowBytes::default();
    if slot.argument_is_file {
        let GuestInput { file, len, .. } = files.input(&InputRange::decode(argument));
        let refused = |error| HostError::fixed_limit(format!("its argument of {len} bytes cannot be mapped: {error}"));
        return state.argument.map(&file, len).map_err(refused);
    }
    state.argument.copy(argument);
    Ok(())
}

pub(super) fn instantiate(module: &LinkedModule, store: &mut Store<Box<State>>) -> wasmtime::Result<Instance> {
    let instance = module.pre.instantiate(&mut *store)?;
    if let Some(export) = &module.memory {
        store.data_mut().memory = instance.get_module_export(&mut *store, export).and_then(Extern::into_memory);
    }
    if let Some(export) = &module.initialize {
        function(store, instance, export)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
    }
    Ok(instance)
}

/// Calls the job's function with this number; `last` caches a task function.
fn call(
    number: u32,
    callable: &TaskFunction,
    store: &mut Store<Box<State>>,
    instance: Instance,
    last: &mut Option<CalledTask>,
) -> wasmtime::Result<Returned> {
    match callable {
        TaskFunction::Task(export) => {
            let task = match last {
                Some(task) if task.number == number => task,
                _ => last.insert(CalledTask { number, function: function(store, instance, export)?.typed(&*store)? }),
            };
            Ok(Returned::Code(task.function.call(&mut *store, ())?))
        }
        TaskFunction::Command(export) => {
            function(store, instance, export)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
            Ok(Returned::Code(0))
        }
        TaskFunction::ComponentCommand(_) | TaskFunction::ComponentTask(_) | TaskFunction::ComponentFunction(_) => {
            unreachable!("a component has no instance of a module")
        }
        TaskFunction::Scalar(export, scalar) => {
            let arguments = match scalar_text::parse(scalar, &store.data().argument) {
                Ok(arguments) => arguments,
                Err(message) => return Ok(Returned::BadArgument(message)),
            };
            let mut results = vec![Val::I32(0); scalar.results.len()];
            function(store, instance, export)?.call(&mut *store, &arguments, &mut results)?;
            let state = store.data_mut();
            scalar_text::print(&results, &mut state.output);
            let limit_bytes = state.job.spec.output_bytes;
            match state.output.len() as u64 > limit_bytes {
                true => Err(HostError::output_limit(limit_bytes).into()),
                false => Ok(Returned::Code(0)),
            }
        }
    }
}

pub(super) fn function(
    store: &mut Store<Box<State>>,
    instance: Instance,
    export: &ModuleExport,
) -> wasmtime::Result<Func> {
    let found = instance.get_module_export(store, export).and_then(Extern::into_func);
    found.ok_or_else(|| wasmtime::format_err!("the export is not a function"))
}
