//! Decides a task's outcome, from how its call ended and from what the host noticed meanwhile.

use wasmtime::component::ResourceTableError;
use wasmtime::{ThrownException, Trap, UnknownImportError, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::host_error::{HostError, LimitReached};
use super::input_faults::{input_fault, truncated};
use super::linked_job::TaskFunction;
use super::state::State;
use super::task_result::TaskResult;
use super::wasi::{Lookups, Refused, Said, Sees, Words};
use super::window::Recorded;
use crate::ipc::Setting;
use crate::module::explain::one_line;
use crate::result::Status;

/// How a call ended without a trap.
pub(super) enum Returned {
    /// The task function's code, 0 for success.
    Code(i32),
    /// The exit code of a program that returned.
    Exit(i32),
    /// The argument does not match the function's parameters.
    BadArgument(String),
}

/// Decides the task's outcome, and moves its output to `result`.
pub(super) fn decide_outcome(
    ended: &wasmtime::Result<Returned>,
    function: &TaskFunction,
    state: &mut State,
    result: &mut TaskResult,
) {
    std::mem::swap(&mut state.output, &mut result.output);
    std::mem::swap(&mut state.log, &mut result.log);
    result.output_file = state.output_file.take();
    let program = match function {
        function if function.is_command() => Program::Command,
        TaskFunction::Scalar(_, scalar) if scalar.results.is_empty() => Program::Procedure,
        _ => Program::Task,
    };
    let reader_is_gone = state.wasi.as_ref().is_some_and(|wasi| wasi.attached.reader_is_gone());
    let seen = Seen::take(state);
    let stderr = streams(program, state, result);
    if let Err(error) = ended {
        let trace = error.downcast_ref::<WasmBacktrace>();
        result.backtrace = trace.map(|trace| state.job.symbols.backtrace(trace)).unwrap_or_default();
    }
    // A program that fails keeps what it has printed, but not as its result.
    let stdout = if program == Program::Command { std::mem::take(&mut result.output) } else { Vec::new() };
    let words = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    let is_silent = words.is_empty() && state.failure.is_none();
    decide_status(ended, program, &words, state, result);
    name_refusal(state, &seen, is_silent, result);
    result.stderr = stderr;
    match result.status {
        // What the program printed went to the caller's own standard output.
        _ if state.job.spec.attached || program != Program::Command => {}
        Status::Ok => result.output = stdout,
        _ => result.stdout = stdout,
    }
    // Most programs cannot go on without the reader of their output, and end by a trap. There is nothing to say about that: a program of
    // the system is ended silently by SIGPIPE.
    if reader_is_gone && matches!(result.status, Status::Trap) {
        result.clear();
        exit_attached(result, EXIT_CODE_OF_SIGPIPE);
    }
}

/// Decides the status by the first of these that applies: a fault in a window, a file that is now too short, how the guest itself ended.
fn decide_status(
    ended: &wasmtime::Result<Returned>,
    program: Program,
    stderr: &str,
    state: &mut State,
    result: &mut TaskResult,
) {
    if let Some(recorded) = state.windows.recorded() {
        match input_fault(state, recorded) {
            Some(fault) => result.fail(Status::InputFault, fault.encode()),
            None if recorded == Recorded::NoMemory => {
                let message = "the system has no memory left for its result or for inputs that it writes to, \
                               or no mapping (vm.max_map_count)";
                result.fail(Status::Limit, message)
            }
            None if recorded == Recorded::MemoryLimit => {
                state.usage.refuse_write();
                if let Some(reached) = state.usage.limit_reached() {
                    result.fail_at(reached);
                }
            }
            None if recorded == Recorded::Guard => result.fail(Status::Trap, TOOK_WINDOW),
            None => result.fail(Status::Trap, "it used memory outside of its windows, or a window that it gave back"),
        }
        return;
    }
    if let Some(fault) = state.windows.ends().find_map(|end| truncated(state, end)) {
        return result.fail(Status::InputFault, fault.encode());
    }
    match ended {
        Ok(Returned::Code(0)) if program == Program::Command && !state.job.spec.attached => {
            exited(0, stderr, state, result);
        }
        Ok(Returned::Code(0)) => {}
        Ok(Returned::Exit(code)) if state.job.spec.attached => exit_attached(result, *code),
        Ok(Returned::Exit(code)) => exited(*code, stderr, state, result),
        Ok(Returned::Code(code)) => {
            let message = state.failure.take().unwrap_or_else(|| format!("the task function returned {code}"));
            result.fail(Status::Error, message);
        }
        Ok(Returned::BadArgument(message)) => result.fail(Status::Error, message.as_str()),
        Err(error) => stopped(error, program, stderr, state, result),
    }
}

/// Why a task failed that touched the pages around a window.
const TOOK_WINDOW: &str = "it used memory next to a window that the host has mapped: an allocator that takes all memory for its own needs \
                           input_read, input_map_at, region_map_at and output_write";

/// What was noticed about the files of a task while it ran.
#[derive(Default)]
struct Seen {
    lookups: Lookups,
    scratch_is_full: bool,
}

impl Seen {
    fn take(state: &mut State) -> Seen {
        let Some(wasi) = &mut state.wasi else { return Seen::default() };
        Seen { lookups: std::mem::take(&mut wasi.lookups), scratch_is_full: wasi.scratch_is_full() }
    }
}

/// If a failed task was refused something, adds that: it is the reason that helps the user. `is_silent` says that the task has not
/// said anything itself.
fn name_refusal(state: &State, seen: &Seen, is_silent: bool, result: &mut TaskResult) {
    if !state.job.uses_wasi || !matches!(result.status, Status::Error | Status::Trap) {
        return;
    }
    let own_words = String::from_utf8_lossy(&result.message);
    if Refused::too_much_at_once(&own_words) {
        let limit = state.job.spec.host_call_bytes;
        result.hint = format!("one call of WASI takes over at most {limit} bytes");
        (result.status, result.setting) = (Status::Limit, Some(Setting::HostCallSize));
        return;
    }
    if seen.scratch_is_full {
        if is_silent || Refused::no_space(&own_words) {
            result.status = Status::Limit;
        }
        let limit = state.job.spec.scratch_bytes;
        result.hint = format!("its scratch directory was full, at the limit of {limit} bytes");
        result.setting = Some(Setting::Scratch);
        return;
    }
    let words = match (is_silent, result.status) {
        (false, _) => Words::Of(&own_words),
        (true, Status::Error) => Words::None,
        (true, _) => return,
    };
    let sees = match (state.job.preopens.is_empty(), state.job.spec.component) {
        (false, _) => Sees::Directories,
        (true, true) => Sees::Nothing,
        (true, false) => Sees::OwnFiles,
    };
    let said = || Refused::said_by(words, &seen.lookups, sees);
    match state.refused.map(Said::Clearly).or_else(said) {
        Some(Said::Clearly(refused)) => {
            result.hint = refused.reason().into();
            (result.status, result.setting) = (Status::Denied, refused.setting());
        }
        Some(Said::Perhaps(refused)) => {
            result.hint = format!("if that is about a file: {}", refused.reason());
            result.setting = refused.setting();
        }
        None => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Task,
    /// A function without results.
    Procedure,
    Command,
}

/// Distributes standard output and standard error: a command's output is its result; what other tasks write is logged. Returns what
/// was written to standard error.
fn streams(program: Program, state: &mut State, result: &mut TaskResult) -> Vec<u8> {
    let Some(wasi) = state.wasi.take() else { return Vec::new() };
    let (stdout, stderr) = (wasi.stdout.take(), wasi.stderr.take());
    let limit = state.job.spec.log_bytes;
    let mut log = |bytes: &[u8]| {
        // Line by line, and only the beginning of one that is too long, because bytes that are not UTF-8 take three times their size.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let kept = line.len().min(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1));
            result.log.push(LEVEL_INFO, &String::from_utf8_lossy(&line[..kept]), limit);
        }
    };
    match program {
        Program::Command if result.output_file.is_none() => result.output = stdout,
        Program::Command | Program::Task | Program::Procedure => log(&stdout),
    }
    stderr
}

const LEVEL_INFO: u8 = 3;

/// The exit code that a shell reports of a program that SIGPIPE ended.
const EXIT_CODE_OF_SIGPIPE: i32 = 128 + 13;

/// Ends an attached program, whatever its exit code.
fn exit_attached(result: &mut TaskResult, code: i32) {
    result.status = Status::Ok;
    result.output = code.to_le_bytes().into();
}

/// Decides the status of a program that exited with this code.
fn exited(code: i32, stderr: &str, state: &State, result: &mut TaskResult) {
    // WASI's codes are below 126.
    result.exit_code = u8::try_from(code).unwrap_or(u8::MAX);
    match stderr {
        _ if state.job.spec.ok_exit_codes.contains(&result.exit_code) => {}
        "" => result.fail(Status::Error, format!("exited with code {code}")),
        _ => result.fail(Status::Error, format!("{stderr} (exit code {code})")),
    }
}

/// Decides the status of a task whose guest ended with an error.
fn stopped(error: &wasmtime::Error, program: Program, stderr: &str, state: &mut State, result: &mut TaskResult) {
    if let Some(&I32Exit(code)) = error.downcast_ref() {
        result.backtrace.clear();
        match program {
            _ if state.job.spec.attached => exit_attached(result, code),
            // A function's result is incomplete until it returns, unless the job says otherwise.
            Program::Task if code == 0 && state.job.spec.ok_exit_codes == [0] => {
                result.fail(Status::Error, "exited with code 0 before it returned")
            }
            Program::Command | Program::Task | Program::Procedure => exited(code, stderr, state, result),
        }
        return;
    }
    match error.downcast_ref::<HostError>() {
        Some(HostError::Limit(LimitReached { message, setting })) => {
            result.fail(Status::Limit, message.as_str());
            result.setting = *setting;
            return;
        }
        Some(HostError::Argument(LimitReached { message, setting })) => {
            result.fail(Status::Error, message.as_str());
            result.setting = *setting;
            return;
        }
        Some(HostError::Denied(LimitReached { message, setting })) => {
            result.fail(Status::Denied, message.as_str());
            result.setting = *setting;
            return;
        }
        Some(HostError::Input(fault)) => return result.fail(Status::InputFault, fault.encode()),
        None => {}
    }
    // A guest that cannot handle a refused allocation executes `unreachable`, or uses memory that it did not get. Other traps have
    // other causes.
    let gave_up = error
        .downcast_ref::<Trap>()
        .is_none_or(|trap| matches!(trap, Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds));
    if gave_up && let Some(reached) = state.usage.limit_reached() {
        return result.fail_at(reached);
    }
    if let Some(Trap::OutOfFuel) = error.downcast_ref() {
        let limit = state.job.spec.fuel.unwrap_or(u64::MAX);
        let message = format!("it needs more fuel than the limit of {limit}");
        return result.fail_at(LimitReached::of(Setting::Fuel, message));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        let limit = state.job.spec.open_files;
        let message = format!("it has more files, directories and events of WASI than the limit of {limit}");
        return result.fail_at(LimitReached::of(Setting::OpenFiles, message));
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref() {
        let limit = state.job.spec.stack_bytes;
        let message = format!("it needs more stack than the limit of {limit} bytes");
        return result.fail_at(LimitReached::of(Setting::Stack, message));
    }
    let cause = match error.downcast_ref::<UnknownImportError>() {
        Some(import) => {
            format!("it called {}::{}, which wrun does not provide", one_line(import.module()), one_line(import.name()))
        }
        None if error.is::<ThrownException>() => "it threw an exception that nothing caught".to_owned(),
        None => error.root_cause().to_string(),
    };
    if cause.starts_with(TOO_MUCH_IN_A_CALL) {
        let limit = state.job.spec.host_call_bytes;
        let message = format!("one call of it passes on more than the limit of {limit} bytes");
        return result.fail_at(LimitReached::of(Setting::HostCallSize, message));
    }
    if cause == TOO_MANY_HANDLES {
        let message = "it has more handles of resources than the limit of 100000; drop some".to_owned();
        return result.fail_at(LimitReached::fixed(message));
    }
    if wants_too_much_random(&cause) {
        let limit = state.job.spec.host_call_bytes;
        let message =
            format!("it wants more random bytes at once than the limit of {limit} bytes for one call of WASI");
        return result.fail_at(LimitReached::of(Setting::HostCallSize, message));
    }
    let cause = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    // The text of a panic says more than the `unreachable` that follows it.
    let first_words = state.failure.take().unwrap_or_else(|| stderr.to_owned());
    let message = if first_words.is_empty() { cause.to_owned() } else { format!("{first_words} ({cause})") };
    result.fail(Status::Trap, message);
}

/// How the error begins of a component's call that passes more on to the host than is allowed. wasmtime has no public type for it, nor for
/// the next one.
const TOO_MUCH_IN_A_CALL: &str = "too much data is being copied between the host and the guest";

/// The error of a component that has as many handles as wasmtime's `DEFAULT_MAX_COMPONENT_HANDLES`.
const TOO_MANY_HANDLES: &str = "cannot allocate another handle: store handle limit exceeded";

/// Whether `random_get` was called for more bytes than the limit. wasmtime-wasi has no type for that error.
fn wants_too_much_random(cause: &str) -> bool {
    cause.starts_with("requested len ") && cause.contains(" exceeds limit ")
}
