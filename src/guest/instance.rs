//! One task in one instance: from the descriptor to the result.

use std::fs::File;
use std::sync::Arc;

use wasmtime::component::ResourceTableError;
use wasmtime::{Engine, Extern, Func, Instance, Module, ModuleExport, Store, Trap, Val, WasmBacktrace, WasmCoreDump};
use wasmtime_wasi::I32Exit;

use super::abi::{Stop, fault_stop, memory_limit, truncated};
use super::engine::{self, Fuel};
use super::fault;
use super::files::FileTable;
use super::job::{Callable, LoadedJob, deserialize};
use super::place;
use super::refusals::{Refused, Said};
use super::result::TaskResult;
use super::scalar;
use super::state::State;
use super::symbols::Symbols;
use super::wasi;
use super::window::Recorded;
use crate::Access;
use crate::event::Status;
use crate::ipc::wire::{InputRange, JobSpec, TaskSlot, max_core_dump_bytes};
use crate::job::Limits;

/// Runs the tasks of a worker.
pub(crate) struct Guest {
    engine: Engine,
    settings: Settings,
    /// The code that is loaded, by its number in the pool.
    module: Option<(u64, Module, Arc<Symbols>)>,
    job: Option<Arc<LoadedJob>>,
    /// The data of the last fresh instance, for its buffers.
    spare: Option<Box<State>>,
    /// The instance that lives on, where instances are reused.
    kept: Option<Live>,
}

/// What an engine is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Settings {
    stack_bytes: u64,
    fuel: Fuel,
    core_dumps: bool,
}

/// An instance and its store, whose windows are given back whenever it goes (see `window.rs`).
struct Live {
    store: Store<Box<State>>,
    instance: Option<Instance>,
}

/// How a call ended that did not trap.
enum Returned {
    /// The task function's code, 0 for success.
    Code(i32),
    /// The argument is not what the function takes.
    BadArgument(String),
}

impl Guest {
    /// Makes the engine for the usual settings, before any job is known.
    pub fn new() -> wasmtime::Result<Guest> {
        Guest::with(Settings { stack_bytes: Limits::default().stack_bytes, fuel: Fuel::NotCounted, core_dumps: false })
    }

    fn with(settings: Settings) -> wasmtime::Result<Guest> {
        let mut config = engine::worker_config(settings.stack_bytes as usize, settings.fuel);
        config.coredump_on_trap(settings.core_dumps);
        let engine = fault::with_handlers(|| Engine::new(&config))?;
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
        let settings = Settings { stack_bytes: spec.stack_bytes, fuel, core_dumps: spec.core_dumps };
        if settings != self.settings {
            *self = Guest::with(settings).map_err(|error| format!("cannot set wasmtime up: {error:#}"))?;
        }
        let (module, symbols) = match &self.module {
            Some((number, module, symbols)) if *number == spec.module => (module.clone(), symbols.clone()),
            _ => {
                // For backtraces, which do without where there is no descriptor left.
                let file = code.try_clone().ok();
                let loaded = deserialize(&self.engine, code);
                let module = loaded.map_err(|error| format!("cannot load the compiled module: {error:#}"))?;
                let symbols = Arc::new(Symbols::new(module.clone(), file));
                place::set_loaded(symbols.clone());
                self.module = Some((spec.module, module.clone(), symbols.clone()));
                (module, symbols)
            }
        };
        self.job = Some(Arc::new(LoadedJob::link(&module, symbols, spec, files, stdio, directories)?));
        Ok(())
    }

    /// Runs one task; what became of it replaces what is in `result`.
    ///
    /// # Panics
    ///
    /// Where there is no job, which the pool's protocol excludes.
    pub fn run(&mut self, slot: &TaskSlot, payload: &[u8], files: &FileTable, result: &mut TaskResult) {
        let job = self.job.clone().expect("a job comes before its tasks");
        let function = &job.functions[slot.function as usize];
        let mut live = self.kept.take().unwrap_or_else(|| self.new_store(&job));
        let fuel = job.spec.fuel.unwrap_or(u64::MAX);
        prepare(live.store.data_mut(), slot, payload, files);
        let ended = fault::watch(&mut live.store, job.code.clone(), |store| {
            if job.spec.counts_fuel {
                store.set_fuel(fuel)?;
            }
            if job.uses_wasi {
                let argv = argv(store.data(), function);
                store.data_mut().wasi = Some(wasi::context(store.data(), &argv)?);
            }
            let instance = match live.instance {
                Some(instance) => instance,
                None => place::while_instantiating(|| instantiate(&job, store))?,
            };
            live.instance = Some(instance);
            call(function, store, instance)
        });
        let unharmed = ended.is_ok() && live.store.data().windows.recorded().is_none();
        result.clear();
        if job.spec.counts_fuel {
            result.fuel = live.store.get_fuel().map_or(0, |left| fuel - left);
        }
        conclude(&ended, function, live.store.data_mut(), result);
        if let Err(error) = &ended {
            live.dump(error, result);
        }
        if unharmed && !job.spec.fresh_instances {
            live.store.data_mut().windows.free_all();
            self.kept = Some(live);
        } else {
            self.spare = Some(live.into_state());
        }
    }

    fn new_store(&mut self, job: &Arc<LoadedJob>) -> Live {
        let state = self.spare.take().unwrap_or_else(|| Box::new(State::new(job.clone())));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(usize::try_from(job.spec.host_call_bytes).unwrap_or(usize::MAX));
        fault::install_handler(&mut store);
        Live { store, instance: None }
    }
}

impl Live {
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

fn prepare(state: &mut State, slot: &TaskSlot, payload: &[u8], files: &FileTable) {
    let (ranges, argument) = payload.split_at(slot.input_count as usize * InputRange::BYTES);
    state.index = slot.index;
    state.argument.clear();
    state.argument.extend_from_slice(argument);
    state.own_inputs.clear();
    state.own_inputs.extend(ranges.chunks(InputRange::BYTES).map(|range| files.input(&InputRange::decode(range))));
    state.failure = None;
    state.output_file = None;
    state.refused = None;
    state.usage.start_task();
}

/// The words that a WASI program sees: its name and, for a command, the item or the words with the item in them.
fn argv(state: &State, function: &Callable) -> Vec<String> {
    let spec = &state.job.spec;
    let mut argv = vec![spec.module_name.clone()];
    if let Callable::Command(_) = function {
        let item = String::from_utf8_lossy(&state.argument);
        match &spec.argv {
            Some(words) => argv.extend(words.iter().map(|word| word.replace("{}", &item))),
            None => argv.push(item.into_owned()),
        }
    }
    argv
}

fn instantiate(job: &LoadedJob, store: &mut Store<Box<State>>) -> wasmtime::Result<Instance> {
    let instance = job.pre.instantiate(&mut *store)?;
    if let Some(export) = &job.memory {
        store.data_mut().memory = instance.get_module_export(&mut *store, export).and_then(Extern::into_memory);
    }
    if let Some(export) = &job.initialize {
        function(store, instance, export)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
    }
    Ok(instance)
}

fn call(callable: &Callable, store: &mut Store<Box<State>>, instance: Instance) -> wasmtime::Result<Returned> {
    match callable {
        Callable::Task(export) => {
            let code = function(store, instance, export)?.typed::<(), i32>(&*store)?.call(&mut *store, ())?;
            Ok(Returned::Code(code))
        }
        Callable::Command(export) => {
            function(store, instance, export)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
            Ok(Returned::Code(0))
        }
        Callable::Scalar(export, scalar) => {
            let arguments = match scalar::parse(scalar, &store.data().argument) {
                Ok(arguments) => arguments,
                Err(message) => return Ok(Returned::BadArgument(message)),
            };
            let mut results = vec![Val::I32(0); scalar.results.len()];
            function(store, instance, export)?.call(&mut *store, &arguments, &mut results)?;
            scalar::print(&results, &mut store.data_mut().output);
            Ok(Returned::Code(0))
        }
    }
}

fn function(store: &mut Store<Box<State>>, instance: Instance, export: &ModuleExport) -> wasmtime::Result<Func> {
    let found = instance.get_module_export(store, export).and_then(Extern::into_func);
    found.ok_or_else(|| wasmtime::format_err!("the export is no function"))
}

/// Decides what became of the task, and moves what it made to `result`.
fn conclude(ended: &wasmtime::Result<Returned>, function: &Callable, state: &mut State, result: &mut TaskResult) {
    std::mem::swap(&mut state.output, &mut result.output);
    std::mem::swap(&mut state.log, &mut result.log);
    result.output_file = state.output_file.take();
    let program = if let Callable::Command(_) = function { Program::Command } else { Program::Task };
    let stderr = streams(program, state, result);
    if let Err(error) = ended {
        let trace = error.downcast_ref::<WasmBacktrace>();
        result.backtrace = trace.map(|trace| state.job.symbols.backtrace(trace)).unwrap_or_default();
    }
    decide(ended, program, &stderr, state, result);
    name_refusal(state, result);
    // Of a command that failed it is the message.
    if program == Program::Command && result.status == Status::Ok {
        let limit = state.job.spec.log_bytes;
        stderr.lines().for_each(|line| result.log.push(LEVEL_INFO, line, limit));
    }
}

/// What became of the task, by the first of these that speaks: a fault in an input, a file that is too short now, the
/// guest's own end.
fn decide(
    ended: &wasmtime::Result<Returned>,
    program: Program,
    stderr: &str,
    state: &mut State,
    result: &mut TaskResult,
) {
    if let Some(recorded) = state.windows.recorded() {
        match fault_stop(state, recorded) {
            Some(fault) => result.fail(Status::InputFault, fault.encode()),
            None if recorded == Recorded::NoMemory => {
                result.fail(Status::Limit, "there is no memory left for its result")
            }
            None => result.fail(Status::Trap, "it used memory outside of its windows, or a window that it gave back"),
        }
        return;
    }
    if let Some(fault) = state.windows.ends().find_map(|end| truncated(state, end)) {
        return result.fail(Status::InputFault, fault.encode());
    }
    match ended {
        Ok(Returned::Code(0)) => {}
        Ok(Returned::Code(code)) => {
            let message = state.failure.take().unwrap_or_else(|| format!("the task function returned {code}"));
            result.fail(Status::Error, message);
        }
        Ok(Returned::BadArgument(message)) => result.fail(Status::Error, message.as_str()),
        Err(error) => stopped(error, program, stderr, state, result),
    }
}

/// Where a task failed that asked for something which it may not have, that is the reason that helps its user.
fn name_refusal(state: &State, result: &mut TaskResult) {
    if !state.job.uses_wasi || !matches!(result.status, Status::Error | Status::Trap) {
        return;
    }
    let own_words = String::from_utf8_lossy(&result.message);
    if Refused::too_much_at_once(&own_words) {
        let limit = state.job.spec.host_call_bytes;
        let why = "one call of WASI takes over at most";
        result.message = format!("{own_words}; {why} {limit} bytes; raise it with --max-host-call").into();
        result.status = Status::Limit;
        return;
    }
    let said = || Refused::said_by(&own_words, !state.job.preopens.is_empty());
    match state.refused.map(Said::Clearly).or_else(said) {
        Some(Said::Clearly(refused)) => {
            result.message = format!("{own_words}; {}", refused.advice()).into();
            result.status = Status::Denied;
        }
        Some(Said::Perhaps(refused)) => {
            result.message = format!("{own_words} (if that is about a file: {})", refused.advice()).into();
        }
        None => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Task,
    Command,
}

/// Sorts what went to standard output and error: a command's output is its result, everything else is log. Gives the text that
/// a command wrote to standard error.
fn streams(program: Program, state: &mut State, result: &mut TaskResult) -> String {
    let Some(wasi) = state.wasi.take() else { return String::new() };
    let (stdout, stderr) = (wasi.stdout.take(), wasi.stderr.take());
    let limit = state.job.spec.log_bytes;
    let mut log = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).lines().for_each(|line| result.log.push(LEVEL_INFO, line, limit));
    };
    match program {
        Program::Command if result.output_file.is_none() => result.output = stdout,
        Program::Command => log(&stdout),
        Program::Task => {
            log(&stderr);
            log(&stdout);
        }
    }
    String::from_utf8_lossy(&stderr).trim_end().to_owned()
}

const LEVEL_INFO: u8 = 3;

/// What an error that ended the guest means for the task.
fn stopped(error: &wasmtime::Error, program: Program, stderr: &str, state: &mut State, result: &mut TaskResult) {
    if let Some(&I32Exit(code)) = error.downcast_ref() {
        result.backtrace.clear();
        match code {
            0 if program == Program::Command => {}
            // A function's result is not whole before it returns.
            0 => result.fail(Status::Error, "exited with code 0 before it returned"),
            _ if stderr.is_empty() => result.fail(Status::Error, format!("exited with code {code}")),
            _ => result.fail(Status::Error, stderr),
        }
        if state.job.spec.attached {
            result.status = Status::Ok;
            result.output = code.to_le_bytes().into();
        }
        return;
    }
    match error.downcast_ref::<Stop>() {
        Some(Stop::Limit(message)) => return result.fail(Status::Limit, message.as_str()),
        Some(Stop::Input(fault)) => return result.fail(Status::InputFault, fault.encode()),
        None => {}
    }
    // A guest that cannot cope with a refused allocation ends itself by `unreachable`, or uses what it did not get; another
    // trap is its own affair.
    let gave_up = error
        .downcast_ref::<Trap>()
        .is_none_or(|trap| matches!(trap, Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds));
    if gave_up && let Some(message) = memory_limit(&state.usage) {
        return result.fail(Status::Limit, message);
    }
    if let Some(Trap::OutOfFuel) = error.downcast_ref() {
        let limit = state.job.spec.fuel.unwrap_or(u64::MAX);
        return result
            .fail(Status::Limit, format!("it needs more fuel than the limit of {limit}; raise it with --fuel"));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        let limit = state.job.spec.open_files;
        let message = format!(
            "it has more files, directories and events of WASI than the limit of {limit}; raise it with --max-open-files"
        );
        return result.fail(Status::Limit, message);
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref() {
        let limit = state.job.spec.stack_bytes;
        let message = format!("it needs more stack than the limit of {limit} bytes; raise it with --stack");
        return result.fail(Status::Limit, message);
    }
    let cause = error.root_cause().to_string();
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    // A panic's own text says more than the `unreachable` that follows it.
    let first_words = state.failure.take().unwrap_or_else(|| stderr.to_owned());
    let message = if first_words.is_empty() { cause.to_owned() } else { format!("{first_words} ({cause})") };
    result.fail(Status::Trap, message);
}
