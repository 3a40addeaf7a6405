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

use serde::{Deserialize, Serialize};

use super::description::Description;
use super::engine::{self, Fuel};
use super::{debug, describe, explain, fingerprint, memory_use};
use crate::sandbox::{self, MissingLayer, Sandbox};
use crate::sys::{compiler_process, rlimit, self_exe};

/// The second hidden argument, which distinguishes this process from a worker.
pub(crate) const ROLE: &str = "compile";

/// Any size will do, because no code of a module runs.
const STACK_BYTES: usize = 512 << 10;

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
    // A worker's settings, pool included, so that a module that would not fit there is refused here. The stack's size does not
    // matter for that.
    let mut config = engine::worker_config(STACK_BYTES, order.fuel);
    // wasmtime would start these threads itself, and panic if there is no room for them.
    config.parallel_compilation(rayon::ThreadPoolBuilder::new().build_global().is_ok());
    let engine = match engine::engine(&config) {
        Ok(engine) => engine,
        Err(error) => return Ok(Answer::Unable(explain::one_line(&format!("{error:#}")))),
    };
    match order.work {
        Work::Compile => compile(&engine),
        Work::Describe => Ok(load(&engine, io::stdin().as_fd().try_clone_to_owned()?.into())),
    }
}

fn compile(engine: &wasmtime::Engine) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let module = match wasmtime::Module::new(engine, &bytes) {
        Ok(module) => module,
        Err(error) => {
            let text = format!("{error:#}");
            return Ok(match engine::lack_of_room(&text) {
                Some(lack) => Answer::Unable(lack),
                None => Answer::Refused(explain::compile_error(&text)),
            });
        }
    };
    let code = module.serialize().map_err(|error| io::Error::other(format!("{error:#}")))?;
    // Text was parsed above without an error, so this succeeds as well.
    let binary = wat::parse_bytes(&bytes).map_err(io::Error::other)?;
    let debug = debug::collect(&binary);
    let description = memory_use::examine(&binary, describe::describe(&module));
    // Not through `stdout()`, which searches what it writes for line ends.
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    file.write_all(&code)?;
    file.write_all(&debug)?;
    Ok(Answer::Done { description, debug_bytes: debug.len() as u64 })
}

#[expect(unsafe_code, reason = "precompiled code is loaded on the user's word")]
fn load(engine: &wasmtime::Engine, code: File) -> Answer {
    // SAFETY: the code must be wasmtime's own and stay unchanged while it is loaded. The user asserts the first by
    // `Compiler::allow_precompiled`. wasmtime checks its version and settings, and no instruction of it runs here.
    match unsafe { wasmtime::Module::deserialize_open_file(engine, code) } {
        Ok(module) => Answer::Done { description: describe::describe(&module), debug_bytes: 0 },
        Err(error) => Answer::Refused(format!(
            "was precompiled for another wrun, wasmtime or CPU; compile it again ({})",
            explain::one_line(&format!("{error:#}"))
        )),
    }
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
