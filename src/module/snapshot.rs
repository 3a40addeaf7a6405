//! Snapshots: modules whose instances begin after their initializer.
//!
//! ```text
//! module -> compiler process: exports for memories and globals are added, and that is compiled
//!        -> snapshot process: runs the initializer, and writes the module with the contents of memories and globals
//!        -> compiler process: compiles that
//! ```
//!
//! The middle one is in `worker`, because it runs a guest. Its output is a module as untrusted as its input.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::artifact::{self, Meta};
use super::compile::{self, Ended};
use super::compiler::Compiler;
use super::description::Description;
use super::engine::{self, Fuel};
use super::explain::one_line;
use super::fingerprint::Target;
use super::helper::Work;
use super::source::{Format, MAX_MODULE_BYTES, ModuleSource};
use crate::error::Repr;
use crate::ipc::Setting;
use crate::ipc::channel::ToWorker;
use crate::ipc::wire::JobSpec;
use crate::sandbox::Sandbox;
use crate::sys::path_access::Access;
use crate::sys::socket::{Socket, SocketWait};
use crate::sys::{memory_file, self_exe};
use crate::{Error, Result};

/// The second hidden argument of the snapshot process.
pub(crate) const ROLE: &str = "snapshot";

/// What an initializer may use, and which export it is.
#[derive(Clone, Debug)]
pub(crate) struct Order<'a> {
    pub initializer: &'a str,
    /// The guest's names of directories, and the directories.
    pub directories: Vec<(&'a str, &'a File, Access)>,
    pub environment: &'a [(String, String)],
}

/// A snapshot, and what the initializer logged: level and text of each line.
#[derive(Debug)]
pub(crate) struct Taken {
    pub module: File,
    pub log: Vec<(u8, String)>,
}

impl Taken {
    /// The module's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let len = memory_file::len(&self.module).map_err(hold)?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.module.read_exact_at(&mut bytes, 0).map_err(hold)?;
        Ok(bytes)
    }

    /// Writes the module to a file as [`artifact::save`] does.
    pub fn save(&self, path: &Path) -> Result<()> {
        artifact::save(&self.module, path)
            .map_err(|source| Repr::File { what: "cannot write", path: path.to_path_buf(), source }.into())
    }
}

/// The arguments of the snapshot process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotRequest {
    /// As that of the compiler.
    pub fingerprint: String,
    pub sandbox: Sandbox,
    /// The process that waits for the answer.
    pub parent: u32,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    /// How many directories come through the socket.
    pub directories: u32,
}

/// The answer of the snapshot process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SnapshotAnswer {
    /// The module was written.
    Done { log: Vec<(u8, String)> },
    /// The initializer failed.
    Failed(FailedInitializer),
    /// The module is at fault. The text continues a sentence that begins with its name.
    Refused(String),
    /// This program cannot do it.
    Unable(String),
}

/// How an initializer failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FailedInitializer {
    pub status: String,
    pub message: String,
    /// An encoded [`Setting`].
    pub setting: u8,
    pub backtrace: String,
    pub log: Vec<(u8, String)>,
}

impl SnapshotRequest {
    fn to_args(&self) -> [String; 8] {
        [
            self_exe::HIDDEN_ARGUMENT.to_owned(),
            ROLE.to_owned(),
            self.fingerprint.clone(),
            self.sandbox.as_str().to_owned(),
            self.parent.to_string(),
            self.memory_bytes.to_string(),
            self.output_bytes.to_string(),
            self.directories.to_string(),
        ]
    }

    /// Parses the arguments, without the program's name.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Option<Self> {
        let args: Vec<String> = args.into_iter().collect();
        let [hidden, role, fingerprint, sandbox, parent, memory_bytes, output_bytes, directories] =
            args.try_into().ok()?;
        if hidden != self_exe::HIDDEN_ARGUMENT || role != ROLE {
            return None;
        }
        Some(SnapshotRequest {
            fingerprint,
            sandbox: Sandbox::from_word(&sandbox)?,
            parent: parent.parse().ok()?,
            memory_bytes: memory_bytes.parse().ok()?,
            output_bytes: output_bytes.parse().ok()?,
            directories: directories.parse().ok()?,
        })
    }
}

/// Compiles a module. One that has an initializer becomes a snapshot first, with nothing granted, unless the compiler's settings say
/// otherwise.
pub(super) fn compile(compiler: &Compiler, source: &ModuleSource, target: Target) -> Result<(File, Meta)> {
    if !compiler.snapshot {
        return compile::compile(compiler, source, target, Work::Compile);
    }
    let (code, meta) = compile::compile(compiler, source, target, Work::CompileUnlessInitializer)?;
    if !meta.description.initializer {
        return Ok((code, meta));
    }
    let order = Order { initializer: wrun_abi::INITIALIZER_EXPORT, directories: Vec::new(), environment: &[] };
    let taken = run_initializer(compiler, source, target, &code, &meta.description, &order)?;
    let snapshot = source.with_bytes(taken.to_bytes()?);
    compile::compile(compiler, &snapshot, target, Work::CompileSnapshot)
}

/// Makes a snapshot of a module.
pub(crate) fn take(compiler: &Compiler, source: &ModuleSource, order: &Order<'_>) -> Result<Taken> {
    if source.format == Format::Precompiled {
        return Err(Error::module(format!("{} is precompiled code: name the .wasm or .wat file", source.label)));
    }
    let target = Target::new(Fuel::NotCounted)?;
    let (code, meta) = compile::compile(compiler, source, target, Work::Instrument)?;
    run_initializer(compiler, source, target, &code, &meta.description, order)
}

/// Runs the initializer of a module with this description, whose instrumented form is compiled to `code`.
fn run_initializer(
    compiler: &Compiler,
    source: &ModuleSource,
    target: Target,
    code: &File,
    description: &Description,
    order: &Order<'_>,
) -> Result<Taken> {
    let name = one_line(order.initializer);
    let export = description.exports.iter().find(|export| export.name == order.initializer);
    let problem = match export {
        Some(export) if export.ty == "func () -> ()" => None,
        Some(export) => Some(format!("exports `{name}` as {}, and an initializer is a func () -> ()", export.ty)),
        None => Some(format!("has no initializer: it exports no `{name}`{}", old_name(description))),
    };
    if let Some(problem) = problem {
        return Err(Error::module(format!("{} {problem}", source.label)).because_of(Setting::Initializer));
    }
    description.check_known_imports_of(&source.label)?;
    let module = memory_file::sealed(source.bytes()?).map_err(hold)?;
    let snapshot = memory_file::growing("wrun-snapshot").map_err(hold)?;
    let spec = postcard::to_stdvec(&job(compiler, target, description, source, order))
        .map_err(|error| Error::system("cannot describe the snapshot", std::io::Error::other(error)))?;
    let spec = memory_file::sealed(&spec).map_err(hold)?;

    let (ours, theirs) = Socket::pair().map_err(hold)?;
    // The messages wait there for the process.
    let send = |message: ToWorker<&File>| {
        message.send(&ours, SocketWait::Never).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => {
                let count = order.directories.len();
                Error::request(format!(
                    "{count} directories are more than an initializer can have: grant one above them"
                ))
            }
            _ => hold(error),
        })
    };
    for (_, directory, access) in &order.directories {
        send(ToWorker::Directory { access: *access, directory })?;
    }
    send(ToWorker::File { number: 0, file: &module })?;
    send(ToWorker::Job { code, spec: &spec })?;
    let request = SnapshotRequest {
        fingerprint: target.fingerprint.to_owned(),
        sandbox: compiler.sandbox,
        parent: std::process::id(),
        memory_bytes: compiler.memory_bytes,
        output_bytes: compile::MAX_CODE_BYTES.min(compiler.memory_bytes.max(artifact::MAX_META_BYTES)),
        directories: order.directories.len() as u32,
    };
    const VERB: &str = "initialize";
    let Ended { exe, status, text } =
        compile::start_and_wait(compiler, source, VERB, &request.to_args(), theirs.into_fd().into(), &snapshot)?;
    match serde_json::from_slice(&text) {
        Ok(SnapshotAnswer::Done { log }) if status.success() => {
            // From here on nobody can change it.
            memory_file::seal(&snapshot).map_err(hold)?;
            let len = memory_file::len(&snapshot).map_err(hold)?;
            if len > MAX_MODULE_BYTES {
                let (len, most) = (len >> 20, MAX_MODULE_BYTES >> 20);
                let label = &source.label;
                let what = format!("{label} would have a snapshot of {len} MiB, and modules have at most {most} MiB");
                return Err(Error::module(format!("{what}: keep less in memory")));
            }
            Ok(Taken { module: snapshot, log })
        }
        Ok(SnapshotAnswer::Failed(how)) => Err(failed(source, &name, &how)),
        Ok(SnapshotAnswer::Refused(reason)) => Err(Error::module(format!("{} {}", source.label, one_line(&reason)))),
        Ok(SnapshotAnswer::Unable(reason)) if compile::is_out_of_memory(&reason) => {
            Err(compile::out_of_memory(compiler, source, VERB))
        }
        Ok(SnapshotAnswer::Unable(reason)) => {
            let reason = one_line(&reason);
            Err(Error::backend(format!("the snapshot process ({}) failed: {reason}", exe.display())))
        }
        Ok(SnapshotAnswer::Done { .. }) | Err(_) => {
            Err(compile::crashed(compiler, source, VERB, status, &String::from_utf8_lossy(&text)))
        }
    }
}

/// Says so if the module has an initializer by the name that Wizer used to have for it.
fn old_name(description: &Description) -> &'static str {
    let is_old = description.exports.iter().any(|export| export.name == "wizer.initialize");
    if is_old { ", but `wizer.initialize`" } else { "" }
}

fn failed(source: &ModuleSource, name: &str, how: &FailedInitializer) -> Error {
    let FailedInitializer { status, message, setting, backtrace, log } = how;
    let text = format!("{}: its initializer `{name}` failed: {}: {message}", source.label, one_line(status));
    let frames = backtrace.lines().take(MAX_LINES).map(|frame| format!(" {frame}"));
    let logged = log.iter().skip(log.len().saturating_sub(MAX_LINES)).map(|(_, line)| format!("    | {line}"));
    let lines: Vec<String> = frames.chain(logged).collect();
    let error: Error = Repr::Initializer(text, lines.join("\n")).into();
    // The answer is as untrusted as the module.
    match Setting::decode(*setting).flatten() {
        // Its memory is a part of that of the process.
        Some(Setting::Memory) => error.because_of(Setting::CompileMemory),
        Some(setting @ Setting::InitializerDirectories) => error.because_of(setting),
        // Settings of tasks, which are not its own.
        _ => error,
    }
}

/// How many lines of a stack and of a log an error shows.
const MAX_LINES: usize = 20;

/// What the process has to know, in the words of a worker's job.
fn job(
    compiler: &Compiler,
    target: Target,
    description: &Description,
    source: &ModuleSource,
    order: &Order<'_>,
) -> JobSpec {
    JobSpec {
        number: 0,
        module: 0,
        module_name: source.name.clone(),
        file_count: 1,
        functions: Vec::new(),
        inputs: Vec::new(),
        copy_on_write: false,
        slices: None,
        shared_memories: Vec::new(),
        argv: None,
        ok_exit_codes: vec![0],
        fresh_instances: true,
        attached: false,
        argument_bytes: 0,
        // The process holds the contents a few times.
        memory_bytes: compiler.memory_bytes / 4,
        output_bytes: 64 << 10,
        large_memories: description.large_memories,
        table_elements: engine::table_elements(description.table_elements),
        stack_bytes: STACK_BYTES,
        log_bytes: 64 << 10,
        component: false,
        counts_fuel: target.fuel == Fuel::Counted,
        fuel: None,
        core_dumps: false,
        open_files: 1024,
        host_call_bytes: 128 << 20,
        scratch_bytes: 0,
        directories: order.directories.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        environment: order.environment.to_vec(),
        real_clock: false,
        clock_start_ns: 0,
        real_random: false,
        seed: 0,
        traps_unknown_imports: true,
        initial_data: description.initial_data(),
        guards: true,
        initializer: Some(order.initializer.to_owned()),
    }
}

/// The stack of an initializer, in bytes: that of a task, unless its job says otherwise.
const STACK_BYTES: u64 = 1 << 20;

fn hold(error: std::io::Error) -> Error {
    Error::system("cannot hold a module in memory", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_command_line() {
        let request = SnapshotRequest {
            fingerprint: "f".to_owned(),
            sandbox: Sandbox::Strict,
            parent: 1,
            memory_bytes: u64::MAX,
            output_bytes: 2,
            directories: 3,
        };
        assert_eq!(SnapshotRequest::from_args(request.to_args()), Some(request));
        assert_eq!(SnapshotRequest::from_args(["__wrun".into(), ROLE.into()]), None);
    }
}
