//! The compiler process: reads one module, compiles or describes it, and reports the result.
//!
//! | descriptor | holds |
//! |---|---|
//! | 0 | the module, a file |
//! | 1 | an empty file for the code |
//! | 2 | an empty file for one [`Answer`] as JSON, or for the message of a crash |
//!
//! The arguments are those of [`CompilerRequest::to_args`]. Everything that reads the module, text or binary, runs here, so that
//! a module that exploits a parser or a compiler takes over a process that has access to nothing.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use wasmparser::WasmFeatures;
use wasmtime::component::Component;
use wasmtime_wizer::Wizer;

use super::binary::{self, BinaryModule, Threads};
use super::component::BinaryComponent;
use super::describe::Declarations;
use super::description::Description;
use super::engine::{self, CodeSettings, Fuel, WorkerSettings};
use super::source::is_component;
use super::{code_file, component, debug, explain, fingerprint, memory_use, proposals, resources};
use crate::sandbox::{self, Sandbox};
use crate::sys::{compiler_process, rlimit, self_exe};

/// The second hidden argument, which distinguishes this process from a worker.
pub(crate) const ROLE: &str = "compile";

/// Any size will do, because no code of a module runs.
const STACK_BYTES: u64 = 512 << 10;

/// What the process must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CompilerRequest {
    /// The compiler's fingerprint. A program with another one refuses.
    pub fingerprint: String,
    /// Whether the code must count fuel.
    pub fuel: Fuel,
    /// How strictly it confines itself.
    pub sandbox: Sandbox,
    /// The process that waits for the answer.
    pub parent: u32,
    /// The memory limit, in bytes.
    pub memory_bytes: u64,
    /// The limit on written bytes.
    pub output_bytes: u64,
    /// What to do with the module.
    pub work: Work,
}

/// What to do with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Compile and describe a `.wasm` or `.wat`.
    Compile,
    /// The same, but of a module that has an initializer, compile the form of which a snapshot can be made.
    CompileUnlessInitializer,
    /// Compile that form, and describe the module itself.
    Instrument,
    /// Compile and describe a module that is a snapshot.
    CompileSnapshot,
    /// Check and describe a `.wasm` or `.wat`, without compiling it.
    Inspect,
    /// Check and describe precompiled code. It is loaded, so it must be trusted.
    Load,
}

impl Work {
    /// What takes time and memory.
    pub fn verb(self) -> &'static str {
        match self {
            Work::Compile | Work::CompileUnlessInitializer | Work::Instrument | Work::CompileSnapshot => "compile",
            Work::Inspect | Work::Load => "read",
        }
    }
}

/// The result.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The code was written, followed by `debug_bytes` for backtraces, or the module needed no code.
    Done {
        /// What it offers and needs.
        description: Box<Description>,
        debug_bytes: u64,
    },
    /// The module is at fault. The text continues a sentence that begins with its name, such as `is not valid: ...`.
    Refused(String),
    /// The module can be run, but it has no snapshot: why.
    NoSnapshot(String),
    /// This program cannot do it.
    Unable(String),
}

impl CompilerRequest {
    /// The arguments of the process.
    pub fn to_args(&self) -> [String; 9] {
        let work = match self.work {
            Work::Compile => "code",
            Work::CompileUnlessInitializer => "code-unless-initializer",
            Work::Instrument => "instrumented",
            Work::CompileSnapshot => "snapshot",
            Work::Inspect => "description",
            Work::Load => "precompiled",
        };
        [
            self_exe::HIDDEN_ARGUMENT.to_owned(),
            ROLE.to_owned(),
            self.fingerprint.clone(),
            (self.fuel == Fuel::Counted).to_string(),
            self.sandbox.as_str().to_owned(),
            self.parent.to_string(),
            self.memory_bytes.to_string(),
            self.output_bytes.to_string(),
            work.to_owned(),
        ]
    }

    /// Parses the arguments, without the program's name.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Option<Self> {
        let args: Vec<String> = args.into_iter().collect();
        let [hidden, role, fingerprint, count_fuel, sandbox, parent, memory_bytes, output_bytes, work] =
            args.try_into().ok()?;
        if hidden != self_exe::HIDDEN_ARGUMENT || role != ROLE {
            return None;
        }
        Some(CompilerRequest {
            fingerprint,
            fuel: Fuel::new(count_fuel.parse().ok()?),
            sandbox: Sandbox::from_word(&sandbox)?,
            parent: parent.parse().ok()?,
            memory_bytes: memory_bytes.parse().ok()?,
            output_bytes: output_bytes.parse().ok()?,
            work: match &*work {
                "code" => Work::Compile,
                "code-unless-initializer" => Work::CompileUnlessInitializer,
                "instrumented" => Work::Instrument,
                "snapshot" => Work::CompileSnapshot,
                "description" => Work::Inspect,
                "precompiled" => Work::Load,
                _ => return None,
            },
        })
    }
}

/// Runs the compiler process. Call it if the program was started with [`ROLE`] after the hidden argument.
pub(crate) fn helper_main() -> ! {
    let answer = match CompilerRequest::from_args(std::env::args().skip(1)) {
        None => Answer::Unable(UNKNOWN_ARGUMENTS.into()),
        Some(order) => obey(&order).unwrap_or_else(|error| Answer::Unable(error.to_string())),
    };
    give_answer(&answer)
}

/// Why a process that the compiler starts does nothing: it is not the program that started it.
pub(crate) const UNKNOWN_ARGUMENTS: &str = "it does not understand its arguments; is it another version of wrun?";
pub(crate) const OTHER_VERSION: &str = "it is another version of wrun than this one: use the same for both";

/// Writes the answer of such a process, and ends it.
pub(crate) fn give_answer(answer: &impl Serialize) -> ! {
    let answer = serde_json::to_vec(answer).expect("strings and numbers are always JSON");
    let written = io::stderr().write_all(&answer);
    std::process::exit(if written.is_ok() { 0 } else { 1 })
}

fn obey(order: &CompilerRequest) -> io::Result<Answer> {
    // Reads and keeps it now: that takes a system call which is not allowed later.
    rlimit::address_space();
    compiler_process::confine(order.parent, order.memory_bytes, order.output_bytes)?;
    // Like a worker, except for the limits above and for making code. Missing layers are reported by workers, not here.
    let missing = if order.sandbox == Sandbox::Off { Vec::new() } else { sandbox::confine(&[]) };
    if let Some(refusal) = sandbox::refusal(order.sandbox, &missing) {
        return Ok(Answer::Unable(refusal));
    }
    if fingerprint::fingerprint(order.fuel).map_err(io::Error::other)? != order.fingerprint {
        return Ok(Answer::Unable(OTHER_VERSION.into()));
    }
    // rayon would start its threads when they are first needed, and panic if there is no room for them.
    let threads = match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => Threads::Many,
        Err(_) => Threads::One,
    };
    match order.work {
        Work::Inspect => inspect(threads),
        Work::Compile | Work::CompileUnlessInitializer | Work::Instrument | Work::CompileSnapshot => {
            compile(order.work, order.fuel, threads)
        }
        Work::Load => load(order.fuel, io::stdin().as_fd().try_clone_to_owned()?.into()),
    }
}

/// Reads the module into `bytes`, and makes it binary.
fn binary_module(bytes: &mut Vec<u8>) -> io::Result<Result<Cow<'_, [u8]>, String>> {
    io::stdin().lock().read_to_end(bytes)?;
    Ok(wat::parse_bytes(bytes).map_err(|error| explain::text_error(&error.to_string())))
}

/// Checks a module's declarations, and that a worker has room for what it declares.
fn declared(binary: &[u8], threads: Threads) -> Result<(BinaryModule<'_>, Declarations), String> {
    let module = binary::read(binary, threads)?;
    let declarations = module.declarations();
    declarations.resources.problem().map_or(Ok((module, declarations)), Err)
}

fn inspect(threads: Threads) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let binary = match binary_module(&mut bytes)? {
        Ok(binary) => binary,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    if is_component(&binary) {
        let described = BinaryComponent::read(&binary, threads).and_then(|component| {
            let description = component.describe();
            let checked = component.check_bodies(threads);
            checked.map(|()| description).map_err(|error| proposals::explain(&binary, &error, threads))
        });
        return Ok(match described {
            Ok(description) => Answer::Done { description: description.into(), debug_bytes: 0 },
            Err(refusal) => Answer::Refused(refusal),
        });
    }
    Ok(match declared(&binary, threads) {
        Ok((module, declarations)) => match module.check_bodies(threads) {
            Ok(()) => Answer::Done {
                description: memory_use::examine(&binary, declarations.describe()).into(),
                debug_bytes: 0,
            },
            Err(error) => Answer::Refused(proposals::explain(&binary, &error, threads)),
        },
        Err(refusal) => Answer::Refused(refusal),
    })
}

fn compile(work: Work, fuel: Fuel, threads: Threads) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let binary = match binary_module(&mut bytes)? {
        Ok(binary) => binary,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let described = match is_component(&binary) {
        true => BinaryComponent::read(&binary, threads).map(|component| component.describe()),
        false => {
            declared(&binary, threads).map(|(_, declarations)| memory_use::examine(&binary, declarations.describe()))
        }
    };
    let mut description = match described {
        Ok(description) => description,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let is_instrumented = match work {
        Work::Instrument => true,
        Work::CompileUnlessInitializer => description.initializer,
        Work::Compile | Work::CompileSnapshot | Work::Inspect | Work::Load => false,
    };
    if work == Work::CompileSnapshot {
        (description.initializer, description.snapshot) = (true, true);
    }
    let binary = match is_instrumented.then(|| instrumented(&binary, &description, threads)) {
        None => binary,
        Some(Ok(instrumented)) => Cow::Owned(instrumented),
        Some(Err(answer)) => return Ok(answer),
    };
    let settings = CodeSettings { fuel, large_memories: description.large_memories };
    let engine = match engine_with_pool(settings, &description, threads) {
        Ok(engine) => engine,
        Err(error) => return Ok(Answer::Unable(error)),
    };
    let compiled = match description.component {
        true => Component::from_binary(&engine, &binary).and_then(|component| component.serialize()),
        false => wasmtime::Module::from_binary(&engine, &binary).and_then(|module| module.serialize()),
    };
    let code = match compiled {
        Ok(code) => code,
        Err(error) => return Ok(not_compiled(&binary, settings, &format!("{error:#}"), threads)),
    };
    let debug = debug::collect(&binary);
    // Not through `stdout()`, which searches what it writes for line ends.
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    file.write_all(&code)?;
    file.write_all(&debug)?;
    Ok(Answer::Done { description: description.into(), debug_bytes: debug.len() as u64 })
}

/// The module with exports for all that a snapshot keeps.
fn instrumented(binary: &[u8], description: &Description, threads: Threads) -> Result<Vec<u8>, Answer> {
    if description.component {
        return Err(Answer::NoSnapshot("it is a component, and snapshots are made of core modules".to_owned()));
    }
    // The crate takes proposals that wrun does not run, and no invalid module.
    proposals::check(binary, WasmFeatures::empty(), threads)
        .map_err(|error| Answer::Refused(proposals::explain(binary, &error, threads)))?;
    if let Some(import) = description.imports.iter().find(|import| !import.ty.starts_with("func ")) {
        let (module, name) = (explain::one_line(&import.module), explain::one_line(&import.name));
        let kind = import.ty.split(' ').next().unwrap_or_default();
        return Err(Answer::NoSnapshot(format!("it imports a {kind} ({module}::{name}), whose state is not its own")));
    }
    match Wizer::new().instrument(binary) {
        Ok((_, instrumented)) => Ok(instrumented),
        Err(error) => Err(Answer::NoSnapshot(explain::one_line(&format!("{error:#}")))),
    }
}

/// Makes an engine with a worker's settings, pool included, so that a module that would not fit there is refused here. The size of
/// the stack does not matter for that.
fn engine_with_pool(
    code: CodeSettings,
    description: &Description,
    threads: Threads,
) -> Result<wasmtime::Engine, String> {
    let table_elements = engine::table_elements(description.table_elements);
    let components = description.component;
    let settings = WorkerSettings { code, stack_bytes: STACK_BYTES, table_elements, core_dumps: false, components };
    let mut config = engine::worker_config(&settings);
    config.parallel_compilation(threads == Threads::Many);
    engine::engine(&config).map_err(|error| explain::one_line(&format!("{error:#}")))
}

/// Why wasmtime, which says `message`, does not compile a module whose declarations are valid.
fn not_compiled(binary: &[u8], settings: CodeSettings, message: &str, threads: Threads) -> Answer {
    if let Some(lack) = engine::lack_of_room(settings, message) {
        return Answer::Unable(lack);
    }
    let not_compiled = || format!("cannot be compiled: {}", explain::one_line(message));
    // wasmtime has checked the bodies of functions while it compiled them.
    Answer::Refused(match proposals::check(binary, WasmFeatures::empty(), threads) {
        Err(error) => proposals::explain(binary, &error, threads),
        Ok(()) => resources::instance_too_large(message).unwrap_or_else(not_compiled),
    })
}

/// Loads precompiled code as that of a module without 64-bit memories, or else as that of one with them.
fn load(fuel: Fuel, code: File) -> io::Result<Answer> {
    let is_component = code_file::is_component(&code)?;
    let mut refused = None;
    for large_memories in [false, true] {
        // Without a pool, which would refuse a module that is too large in words of its own.
        let engine = match engine::engine(&engine::config(CodeSettings { fuel, large_memories })) {
            Ok(engine) => engine,
            Err(error) => {
                let unable = Answer::Unable(explain::one_line(&format!("{error:#}")));
                return Ok(refused.unwrap_or(unable));
            }
        };
        let described = match is_component {
            true => code_file::load_component(&engine, &code, None)
                .map(|component| Ok(Description { large_memories, ..component::describe(&component) })),
            false => code_file::load_module(&engine, code.try_clone()?).map(|module| {
                let declarations = Declarations::of_module(&module, large_memories);
                declarations.resources.problem().map_or(Ok(declarations.describe()), Err)
            }),
        };
        match described {
            Ok(described) => {
                return Ok(match described {
                    Ok(description) => Answer::Done { description: description.into(), debug_bytes: 0 },
                    Err(problem) => Answer::Refused(problem),
                });
            }
            Err(error) => {
                let error = explain::one_line(&format!("{error:#}"));
                refused.get_or_insert(Answer::Refused(format!(
                    "was precompiled for another wrun, wasmtime or CPU; compile it again ({error})"
                )));
            }
        }
    }
    Ok(refused.expect("it was refused twice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_command_line() {
        let compilations = [Work::Compile, Work::CompileUnlessInitializer, Work::Instrument, Work::CompileSnapshot];
        for work in compilations.into_iter().chain([Work::Inspect, Work::Load]) {
            for fuel in [Fuel::Counted, Fuel::NotCounted] {
                let fingerprint = "f".to_owned();
                let sandbox = Sandbox::Strict;
                let order = CompilerRequest {
                    fingerprint,
                    fuel,
                    sandbox,
                    parent: 1,
                    memory_bytes: u64::MAX,
                    output_bytes: 2,
                    work,
                };
                assert_eq!(CompilerRequest::from_args(order.to_args()), Some(order));
            }
        }
        assert_eq!(CompilerRequest::from_args(["__wrun".into(), "compile".into()]), None);
    }
}
