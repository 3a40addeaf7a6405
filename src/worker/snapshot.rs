//! The snapshot process: runs a module's initializer, confined like a worker, and writes the module as it has left it.
//!
//! | descriptor | holds |
//! |---|---|
//! | 0 | a socket with the messages of a worker: directories, the module as file 0, and a job |
//! | 1 | an empty file for the module |
//! | 2 | an empty file for one [`SnapshotAnswer`] as JSON, or for the message of a crash |

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::thread;

use super::{STACK_BYTES, read_spec};
use crate::guest::{self, FileTable, Guest, TaskResult};
use crate::ipc::Setting;
use crate::ipc::channel::ToWorker;
use crate::ipc::wire::{JobSpec, decode_log};
use crate::module::{
    FailedInitializer, OTHER_VERSION, SnapshotAnswer, SnapshotRequest, UNKNOWN_ARGUMENTS, give_answer, is_this_compiler,
};
use crate::result::Status;
use crate::sandbox::{self, MissingLayer, Sandbox};
use crate::sys::path_access::Access;
use crate::sys::process::become_worker;
use crate::sys::socket::{Socket, SocketWait};
use crate::sys::window::page_size;
use crate::sys::{compiler_process, rlimit};

/// Runs the snapshot process.
pub(crate) fn main() -> ! {
    let answer = match SnapshotRequest::from_args(std::env::args().skip(1)) {
        None => SnapshotAnswer::Unable(UNKNOWN_ARGUMENTS.into()),
        Some(request) => obey(&request).unwrap_or_else(|error| SnapshotAnswer::Unable(error.to_string())),
    };
    give_answer(&answer)
}

fn obey(request: &SnapshotRequest) -> io::Result<SnapshotAnswer> {
    let socket = become_worker(request.parent)?;
    // Read and kept now: that takes system calls which are not allowed later.
    rlimit::address_space();
    page_size();
    compiler_process::limit(request.memory_bytes, request.output_bytes)?;
    let mut directories = Vec::new();
    for _ in 0..request.directories {
        let ToWorker::Directory { access, directory } = receive(&socket)? else {
            return Err(io::Error::other("a directory is missing"));
        };
        directories.push((File::from(directory), access));
    }
    let missing = if request.sandbox == Sandbox::Off { Vec::new() } else { sandbox::confine(&directories) };
    if let Some(refusal) = sandbox::refusal(request.sandbox, &missing) {
        return Ok(SnapshotAnswer::Unable(refusal));
    }
    if !is_this_compiler(&request.fingerprint) {
        return Ok(SnapshotAnswer::Unable(OTHER_VERSION.into()));
    }
    let ToWorker::File { file: module, .. } = receive(&socket)? else {
        return Err(io::Error::other("the module is missing"));
    };
    let ToWorker::Job { code, spec } = receive(&socket)? else { return Err(io::Error::other("the job is missing")) };
    let spec = read_spec(&File::from(spec)).map_err(io::Error::other)?;
    let (module, code) = (File::from(module), File::from(code));
    let run = || {
        guest::this_thread_runs_guests()?;
        snapshot(request, module, code, spec, &directories)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("guest".into()).stack_size(STACK_BYTES).spawn_scoped(scope, run)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread has panicked")))
    })
}

fn receive(socket: &Socket) -> io::Result<ToWorker<std::os::fd::OwnedFd>> {
    ToWorker::receive(socket, SocketWait::Block)?.ok_or_else(|| io::Error::other("its parent is gone"))
}

fn snapshot(
    request: &SnapshotRequest,
    mut module: File,
    code: File,
    spec: JobSpec,
    directories: &[(File, Access)],
) -> io::Result<SnapshotAnswer> {
    let mut bytes = Vec::new();
    module.rewind()?;
    module.read_to_end(&mut bytes)?;
    let binary = wat::parse_bytes(&bytes).map_err(|error| io::Error::other(error.to_string()))?;
    // What searches the memory for contents uses this thread alone: no other can start once code is closed.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().map_err(io::Error::other)?;
    let initializer = spec.initializer.clone().ok_or_else(|| io::Error::other("the job names no initializer"))?;
    let mut guest = Guest::new().map_err(|error| io::Error::other(format!("cannot set up wasmtime: {error:#}")))?;
    if let Err(problem) = guest.load(code, spec, &FileTable::default(), None, directories) {
        return Ok(SnapshotAnswer::Unable(problem));
    }
    if request.sandbox != Sandbox::Off {
        let missing: Vec<MissingLayer> = sandbox::close_code(directories).err().into_iter().collect();
        if let Some(refusal) = sandbox::refusal(request.sandbox, &missing) {
            return Ok(SnapshotAnswer::Unable(refusal));
        }
    }
    let mut result = TaskResult::new();
    let taken = guest.snapshot(&binary, &initializer, &mut result);
    let log = decode_log(result.log.finish());
    Ok(match taken {
        Some(Ok(snapshot)) => {
            // Not through `stdout()`, which searches what it writes for line ends.
            File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(&snapshot)?;
            SnapshotAnswer::Done { log: with_stderr(log, &result) }
        }
        Some(Err(problem)) => SnapshotAnswer::Refused(format!("cannot have a snapshot: {problem}")),
        None => SnapshotAnswer::Failed(FailedInitializer {
            status: result.status.to_string(),
            message: message_of(&result),
            setting: Setting::encode(result.setting),
            backtrace: result.backtrace.clone(),
            log,
        }),
    })
}

/// The log, with what the initializer wrote to standard error at its end.
fn with_stderr(mut log: Vec<(u8, String)>, result: &TaskResult) -> Vec<(u8, String)> {
    const LEVEL_INFO: u8 = 3;
    log.extend(String::from_utf8_lossy(&result.stderr).lines().map(|line| (LEVEL_INFO, line.to_owned())));
    log
}

/// Why it failed.
fn message_of(result: &TaskResult) -> String {
    let message = match result.status {
        // It has no input that could change.
        Status::InputFault => "it used memory that it does not have".into(),
        _ => String::from_utf8_lossy(&result.message),
    };
    match &*result.hint {
        "" => message.into_owned(),
        hint => format!("{message}; {hint}"),
    }
}
