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

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use wasmtime::component::Component;

use super::description::Description;
use super::engine::{self, CodeSettings, Fuel, WorkerSettings};
use super::needs::Needs;
use super::{code_file, component, debug, describe, explain, fingerprint, source};
use crate::sandbox::{self, MissingLayer, Sandbox};
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
    /// Check and describe precompiled code. It is loaded, so it must be trusted.
    Describe,
}

/// The result.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// The code was written, followed by `debug_bytes` for backtraces, or the precompiled code is usable.
    Done {
        /// What it offers and needs.
        description: Description,
        debug_bytes: u64,
    },
    /// The module is at fault. The text continues a sentence that begins with its name, such as `is not valid: ...`.
    Refused(String),
    /// This program cannot do it.
    Unable(String),
}

impl CompilerRequest {
    /// The arguments of the process.
    pub fn to_args(&self) -> [String; 9] {
        let work = match self.work {
            Work::Compile => "code",
            Work::Describe => "description",
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
                "description" => Work::Describe,
                _ => return None,
            },
        })
    }
}

/// Runs the compiler process. Call it if the program was started with [`ROLE`] after the hidden argument.
pub(crate) fn helper_main() -> ! {
    let answer = match CompilerRequest::from_args(std::env::args().skip(1)) {
        None => Answer::Unable("it does not understand its arguments; is it another version of wrun?".into()),
        Some(order) => obey(&order).unwrap_or_else(|error| Answer::Unable(error.to_string())),
    };
    let answer = serde_json::to_vec(&answer).expect("strings and numbers are always JSON");
    let written = io::stderr().write_all(&answer);
    std::process::exit(if written.is_ok() { 0 } else { 1 })
}

fn obey(order: &CompilerRequest) -> io::Result<Answer> {
    // Reads and keeps it now: that takes a system call which is not allowed later.
    rlimit::address_space();
    compiler_process::confine(order.parent, order.memory_bytes, order.output_bytes)?;
    // Like a worker, except for the limits above and for making code. Missing layers are reported by workers, not here.
    let missing = if order.sandbox == Sandbox::Off { Vec::new() } else { sandbox::confine(&[]) };
    if order.sandbox == Sandbox::Strict && !missing.is_empty() {
        return Ok(Answer::Unable(format!(
            "the sandbox is strict, and this machine lacks {}",
            MissingLayer::list(&missing)
        )));
    }
    if fingerprint::fingerprint(order.fuel).map_err(io::Error::other)? != order.fingerprint {
        return Ok(Answer::Unable("it is another version of wrun than this one: use the same for both".into()));
    }
    match order.work {
        Work::Compile => compile(order.fuel),
        Work::Describe => load(order.fuel, io::stdin().as_fd().try_clone_to_owned()?.into()),
    }
}

/// Makes an engine with a worker's settings, pool included, so that a module that would not fit there is refused here. The size of
/// the stack does not matter for that.
fn engine(code: CodeSettings, table_elements: u64, components: bool) -> Result<wasmtime::Engine, String> {
    let most = u64::from(engine::MAX_TABLE_ELEMENTS);
    let table_elements = table_elements.clamp(u64::from(engine::USUAL_TABLE_ELEMENTS), most) as u32;
    let settings = WorkerSettings { code, stack_bytes: STACK_BYTES, table_elements, core_dumps: false, components };
    let mut config = engine::worker_config(&settings);
    // wasmtime would start these threads itself, and panic if there is no room for them.
    static HAS_THREADS: LazyLock<bool> = LazyLock::new(|| rayon::ThreadPoolBuilder::new().build_global().is_ok());
    config.parallel_compilation(*HAS_THREADS);
    engine::engine(&config).map_err(|error| explain::one_line(&format!("{error:#}")))
}

fn compile(fuel: Fuel) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let binary = match wat::parse_bytes(&bytes) {
        Ok(binary) => binary,
        Err(error) => return Ok(Answer::Refused(explain::compile_error(&error.to_string()))),
    };
    let needs = Needs::of(&binary);
    let settings = CodeSettings { fuel, large_memories: needs.large_memories };
    let is_component = source::is_component(&binary);
    let engine = match engine(settings, needs.table_elements, is_component) {
        Ok(engine) => engine,
        Err(error) => return Ok(Answer::Unable(error)),
    };
    let compiled = match is_component {
        true => Component::from_binary(&engine, &binary).and_then(|component| {
            let description = Description { large_memories: needs.large_memories, ..component::describe(&component) };
            Ok((component.serialize()?, description))
        }),
        false => wasmtime::Module::from_binary(&engine, &binary)
            .and_then(|module| Ok((module.serialize()?, describe::describe(&module, needs.large_memories)))),
    };
    let (code, description) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => {
            let text = format!("{error:#}");
            return Ok(match engine::lack_of_room(settings, &text) {
                Some(lack) => Answer::Unable(lack),
                None => Answer::Refused(explain::compile_error(&text)),
            });
        }
    };
    let debug = debug::collect(&binary);
    // Not through `stdout()`, which searches what it writes for line ends.
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    file.write_all(&code)?;
    file.write_all(&debug)?;
    Ok(Answer::Done { description, debug_bytes: debug.len() as u64 })
}

/// Loads precompiled code as that of a module without 64-bit memories, or else as that of one with them.
fn load(fuel: Fuel, code: File) -> io::Result<Answer> {
    let is_component = wasmtime::Engine::detect_precompiled(&header(&code)?) == Some(wasmtime::Precompiled::Component);
    let mut refused = None;
    for large_memories in [false, true] {
        let engine = match engine(CodeSettings { fuel, large_memories }, u64::MAX, is_component) {
            Ok(engine) => engine,
            Err(error) => return Ok(refused.unwrap_or(Answer::Unable(error))),
        };
        let described = match is_component {
            true => code_file::load_component(&engine, &code)
                .map(|component| Description { large_memories, ..component::describe(&component) }),
            false => code_file::load_module(&engine, code.try_clone()?)
                .map(|module| describe::describe(&module, large_memories)),
        };
        match described {
            Ok(description) => return Ok(Answer::Done { description, debug_bytes: 0 }),
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

/// The start of a file, which says what it is.
fn header(file: &File) -> io::Result<Vec<u8>> {
    let mut start = vec![0; 64];
    let len = file.read_at(&mut start, 0)?;
    start.truncate(len);
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_command_line() {
        for work in [Work::Compile, Work::Describe] {
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
