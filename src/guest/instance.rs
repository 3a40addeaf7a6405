//! One task in one instance: from the descriptor to the result.

use std::fs::File;
use std::sync::Arc;

use wasmtime::{Engine, Extern, Func, Instance, Module, ModuleExport, Store, TypedFunc, Val, WasmCoreDump};
use wasmtime_wasi::I32Exit;

use super::host_error::HostError;
use super::job_context::JobContext;
use super::linked_job::{LinkedJob, TaskFunction};
use super::open_files::{FileTable, GuestInput};
use super::outcome::{Returned, conclude};
use super::stack_trace::Symbols;
use super::state::State;
use super::task_result::TaskResult;
use super::{code_file, scalar_text, signals, wasi};
use crate::Access;
use crate::ipc::wire::{InputRange, JobSpec, MAP, REDUCE, TaskSlot, WindowBytes, max_core_dump_bytes};
use crate::job::Limits;
use crate::module::WASI_MODULE;
use crate::module::engine::{self, Fuel};

/// Runs the tasks of a worker.
pub(crate) struct Guest {
    engine: Engine,
    settings: EngineSettings,
    module: Option<LoadedModule>,
    job: Option<LinkedJob>,
    /// The data of the last fresh instance, for its buffers.
    spare: Option<Box<State>>,
    /// The instance that lives on, where instances are reused.
    kept: Option<Live>,
}

/// Code that is loaded.
#[derive(Clone)]
struct LoadedModule {
    /// Its number in the pool.
    number: u64,
    module: Module,
    symbols: Arc<Symbols>,
}

/// What an engine is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct EngineSettings {
    stack_bytes: u64,
    fuel: Fuel,
    core_dumps: bool,
}

/// An instance and its store, whose windows are given back whenever it goes (see `window.rs`).
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
    /// Makes the engine for the usual settings, before any job is known.
    pub fn new() -> wasmtime::Result<Guest> {
        Guest::with(EngineSettings {
            stack_bytes: Limits::default().stack_bytes,
            fuel: Fuel::NotCounted,
            core_dumps: false,
        })
    }

    fn with(settings: EngineSettings) -> wasmtime::Result<Guest> {
        let mut config = engine::worker_config(settings.stack_bytes as usize, settings.fuel);
        config.coredump_on_trap(settings.core_dumps);
        signals::ask_about_faults();
        let engine = engine::engine(&config)?;
        Ok(Guest { engine, settings, module: None, job: None, spare: None, kept: None })
    }

    /// Runs tasks of this job from now on. `code` is loaded if it is not what is loaded already.
    ///
    /// # Errors
    ///
    /// A text for the user: the code does not fit this program, or an import or a function is missing.
    pub fn load(
        &mut self,
        code: File,
        spec: JobSpec,
        files: &FileTable,
        stdio: Option<[File; 3]>,
        directories: &[(File, Access)],
    ) -> Result<(), String> {
        (self.kept, self.spare, self.job) = (None, None, None);
        let fuel = Fuel::new(spec.counts_fuel);
        let settings = EngineSettings { stack_bytes: spec.stack_bytes, fuel, core_dumps: spec.core_dumps };
        if settings != self.settings {
            *self = Guest::with(settings).map_err(|error| format!("cannot set wasmtime up: {error:#}"))?;
        }
        let LoadedModule { module, symbols, .. } = match &self.module {
            Some(loaded) if loaded.number == spec.module => loaded.clone(),
            _ => {
                // For backtraces, which do without where there is no descriptor left.
                let file = code.try_clone().ok();
                let loaded = code_file::load(&self.engine, code);
                let module = loaded.map_err(|error| format!("cannot load the compiled module: {error:#}"))?;
                let symbols = Arc::new(Symbols::new(module.clone(), file));
                signals::set_loaded(symbols.clone());
                self.module.insert(LoadedModule { number: spec.module, module, symbols }).clone()
            }
        };
        let uses_wasi = module.imports().any(|import| import.module() == WASI_MODULE);
        let context = JobContext::new(spec, uses_wasi, symbols, files, stdio, directories);
        self.job = Some(LinkedJob::link(&module, context)?);
        Ok(())
    }

    /// Runs one task; what became of it replaces what is in `result`.
    ///
    /// # Panics
    ///
    /// Where there is no job, which the pool's protocol excludes.
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
            // Most tasks that import WASI never call it: theirs is made when they do.
            if job.uses_wasi && (matches!(function, TaskFunction::Command(_)) || !job.preopens.is_empty()) {
                let argv = argv(store.data(), function)?;
                store.data_mut().wasi = Some(wasi::context(&store.data().wasi_settings(), &argv)?);
            }
            let instance = match live.instance {
                Some(instance) => instance,
                None => signals::while_instantiating(|| instantiate(linked, store))?,
            };
            live.instance = Some(instance);
            call(slot.function, function, store, instance, &mut live.task)
        };
        let ended = signals::watch(&mut live.store, linked.code.clone(), |store| {
            let ended = run(store);
            // Those of a task that failed, too: what becomes of them is not decided here.
            let written = store.data_mut().windows.write_edges_back();
            let refused = |error| HostError::Limit(format!("its slice cannot be written back: {error}")).into();
            ended.and_then(|returned| written.map(|()| returned).map_err(refused))
        });
        let unharmed = ended.is_ok() && live.store.data().windows.recorded().is_none();
        result.clear();
        if job.spec.counts_fuel {
            result.fuel = live.store.get_fuel().map_or(0, |left| fuel - left);
        }
        conclude(&ended, function, live.store.data_mut(), result);
        result.windows = live.store.data().window_bytes;
        result.peak_memory_bytes = live.store.data().usage.peak_bytes();
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
}

impl Live {
    /// A store without an instance, with the data of an earlier one where it is there.
    fn new(engine: &Engine, job: &Arc<JobContext>, spare: Option<Box<State>>) -> Live {
        let state = spare.unwrap_or_else(|| Box::new(State::new(job.clone())));
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(usize::try_from(job.spec.host_call_bytes).unwrap_or(usize::MAX));
        signals::install_handler(&mut store);
        Live { store, instance: None, task: None }
    }

    /// Puts a core dump, where the error has one, in the place of the result.
    fn dump(&mut self, error: &wasmtime::Error, result: &mut TaskResult) {
        let Some(dump) = error.downcast_ref::<WasmCoreDump>().filter(|_| !error.is::<I32Exit>()) else { return };
        // What is mapped is the user's data and not the guest's; and some of it cannot be read.
        self.store.data_mut().windows.restore();
        let spec = &self.store.data().job.spec;
        let (name, most) = (spec.module_name.clone(), max_core_dump_bytes(spec.memory_bytes));
        let dump = dump.serialize(&mut self.store, &name);
        if dump.len() as u64 <= most {
            result.output = dump;
        }
    }

    /// Ends the instance, and gives its data back for the next one.
    fn into_state(mut self) -> Box<State> {
        self.store.data_mut().windows.restore();
        let mut state = self.store.into_data();
        state.usage.reset();
        state.memory = None;
        state
    }
}

/// Sets the state up for a task.
///
/// # Errors
///
/// Where the system has no room for its argument.
fn prepare(state: &mut State, slot: &TaskSlot, payload: &[u8], files: &FileTable) -> Result<(), HostError> {
    let (ranges, argument) = payload.split_at(slot.input_count as usize * InputRange::BYTES);
    state.index = slot.index;
    state.merges = slot.function == REDUCE;
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
        let refused = |error| HostError::Limit(format!("its argument of {len} bytes cannot be mapped: {error}"));
        return state.argument.map(&file, len).map_err(refused);
    }
    state.argument.copy(argument);
    Ok(())
}

/// The words that a WASI program sees: its name and, for a command, the item or the words with the item in them.
///
/// # Errors
///
/// Where a long item makes more words than could ever be in the program's memory.
fn argv(state: &State, function: &TaskFunction) -> Result<Vec<String>, HostError> {
    let spec = &state.job.spec;
    let mut argv = vec![spec.module_name.clone()];
    if let TaskFunction::Command(_) = function {
        let item = String::from_utf8_lossy(&state.argument);
        if state.argument.is_mapped() {
            let places =
                spec.argv.as_ref().map_or(1, |words| words.iter().map(|word| word.matches("{}").count()).sum());
            let bytes = (item.len() as u64).saturating_mul(places as u64);
            let limit = spec.memory_bytes;
            if bytes > limit {
                let message = format!(
                    "its words have {bytes} bytes, and its memory may have {limit}; raise that with --memory, \
                     or pass them as an input"
                );
                return Err(HostError::Limit(message));
            }
        }
        match &spec.argv {
            Some(words) => argv.extend(words.iter().map(|word| word.replace("{}", &item))),
            None => argv.push(item.into_owned()),
        }
    }
    Ok(argv)
}

fn instantiate(job: &LinkedJob, store: &mut Store<Box<State>>) -> wasmtime::Result<Instance> {
    let instance = job.pre.instantiate(&mut *store)?;
    if let Some(export) = &job.memory {
        store.data_mut().memory = instance.get_module_export(&mut *store, export).and_then(Extern::into_memory);
    }
    if let Some(export) = &job.initialize {
        function(store, instance, export)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
    }
    Ok(instance)
}

/// Calls the job's function with that number; `last` remembers a task function.
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

fn function(store: &mut Store<Box<State>>, instance: Instance, export: &ModuleExport) -> wasmtime::Result<Func> {
    let found = instance.get_module_export(store, export).and_then(Extern::into_func);
    found.ok_or_else(|| wasmtime::format_err!("the export is no function"))
}
