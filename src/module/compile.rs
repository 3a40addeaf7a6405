//! Starts the compiler process, and checks everything that it returns.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use super::artifact::{self, Meta};
use super::compiler::Compiler;
use super::description::Description;
use super::explain::one_line;
use super::fingerprint::Target;
use super::helper::{Answer, CompilerRequest, Work};
use super::source::ModuleSource;
use crate::error::Repr;
use crate::ipc::Setting;
use crate::sys::compiler_process::Compiling;
use crate::sys::process::reason_for_kill;
use crate::sys::rlimit::{self, Resource};
use crate::sys::{memory_file, self_exe};
use crate::{Error, Result};

/// The most bytes of code for one module. This stops a compiler that is tricked into endless output; code usually has about five times
/// the size of its module.
pub(super) const MAX_CODE_BYTES: u64 = 2 << 30;

/// Compiles a module, as `work` says. Returns code and trailer in sealed memory, and the trailer's metadata.
pub(super) fn compile(compiler: &Compiler, source: &ModuleSource, target: Target, work: Work) -> Result<(File, Meta)> {
    let hold = |error| Error::system("cannot hold a module in memory", error);
    let mut module = memory_file::sealed(source.bytes()?).map_err(hold)?;
    module.rewind().map_err(hold)?;
    let mut code = memory_file::growing("wrun-code").map_err(hold)?;
    let (description, debug_len) = run(compiler, source, target, work, &module, &code)?;
    let finish = || {
        let whole_len = code.seek(SeekFrom::End(0))?;
        let code_len = whole_len.checked_sub(debug_len).filter(|len| *len > 0 && whole_len <= MAX_CODE_BYTES);
        let code_len = code_len.ok_or_else(|| {
            std::io::Error::other(format!("the compiler gave {whole_len} bytes, {debug_len} of them for backtraces"))
        })?;
        let meta = Meta { name: source.name.clone(), compiler: target.fingerprint.to_owned(), description };
        artifact::write_trailer(&mut code, code_len, debug_len, &meta)?;
        // From here on nobody can change the code, not even a process that the compiler process might have left behind.
        memory_file::seal(&code)?;
        Ok(meta)
    };
    let meta = finish().map_err(hold)?;
    Ok((code, meta))
}

/// Checks and describes a module without compiling it.
pub(super) fn inspect(compiler: &Compiler, source: &ModuleSource, target: Target) -> Result<Description> {
    let hold = |error| Error::system("cannot hold a module in memory", error);
    let mut module = memory_file::sealed(source.bytes()?).map_err(hold)?;
    module.rewind().map_err(hold)?;
    describe(compiler, source, target, Work::Inspect, &module)
}

/// Checks and describes precompiled code.
pub(super) fn load(compiler: &Compiler, source: &ModuleSource, target: Target, code: &File) -> Result<Description> {
    describe(compiler, source, target, Work::Load, code)
}

fn describe(
    compiler: &Compiler,
    source: &ModuleSource,
    target: Target,
    work: Work,
    module: &File,
) -> Result<Description> {
    let nothing =
        memory_file::growing("wrun-nothing").map_err(|error| Error::system("cannot make a memory file", error))?;
    run(compiler, source, target, work, module, &nothing).map(|(description, _)| description)
}

/// The program that compiles.
fn executable(compiler: &Compiler) -> Result<PathBuf> {
    if self_exe::is_started_again() {
        const NO_INIT: &str =
            "this program was started as a compiler or worker, but its main does not begin with wrun::init()";
        return Err(Repr::Workers(NO_INIT.into()).into());
    }
    compiler.exe.clone().or_else(self_exe::self_exe).ok_or_else(|| {
        const NO_EXE: &str =
            "no program to compile modules with: call wrun::init() first in main, or set Compiler::exe to a wrun executable";
        Repr::Workers(NO_EXE.into()).into()
    })
}

/// Runs the process. Returns the description, and how many of the bytes that it wrote are for backtraces.
fn run(
    compiler: &Compiler,
    source: &ModuleSource,
    target: Target,
    work: Work,
    module: &File,
    code: &File,
) -> Result<(Description, u64)> {
    let order = CompilerRequest {
        fingerprint: target.fingerprint.to_owned(),
        fuel: target.fuel,
        sandbox: compiler.sandbox,
        parent: std::process::id(),
        memory_bytes: compiler.memory_bytes,
        // An honest compiler holds its code in memory before it writes it.
        output_bytes: MAX_CODE_BYTES.min(compiler.memory_bytes.max(artifact::MAX_META_BYTES)),
        work,
    };
    let system = |error| Error::system("cannot start the compiler process", error);
    let stdin = module.try_clone().map_err(system)?;
    let Ended { exe, status, text } =
        start_and_wait(compiler, source, work.verb(), &order.to_args(), stdin.into(), code)?;
    match serde_json::from_slice(&text) {
        Ok(Answer::Done { description, debug_bytes }) if status.success() => Ok((*description, debug_bytes)),
        Ok(Answer::Refused(reason) | Answer::Unable(reason)) if is_out_of_memory(&reason) => {
            Err(out_of_memory(compiler, source, work.verb()))
        }
        // Words of wasmtime's engine; in a refusal they could be the module's.
        Ok(Answer::Unable(reason)) if reason.ends_with("out of memory") => {
            Err(out_of_memory(compiler, source, work.verb()))
        }
        Ok(Answer::NoSnapshot(reason)) => {
            let error = Error::module(format!("{} cannot have a snapshot: {}", source.label, one_line(&reason)));
            Err(if work == Work::CompileUnlessInitializer { error.because_of(Setting::Snapshot) } else { error })
        }
        Ok(Answer::Refused(reason)) => Err(Error::module(format!("{} {}", source.label, one_line(&reason)))),
        Ok(Answer::Unable(reason)) => {
            let text = format!("the compiler process ({}) failed: {}", exe.display(), one_line(&reason));
            Err(Repr::Workers(text).into())
        }
        Ok(Answer::Done { .. }) | Err(_) => {
            Err(crashed(compiler, source, work.verb(), status, &String::from_utf8_lossy(&text)))
        }
    }
}

/// How a process ended.
pub(super) struct Ended {
    /// The program that ran.
    pub exe: PathBuf,
    pub status: ExitStatus,
    /// What it wrote to standard error: its answer, or the message of a crash.
    pub text: Vec<u8>,
}

/// Starts this program with these arguments, and waits for its end for as long as a compilation may take. `verb` is what it does to the
/// module.
pub(super) fn start_and_wait(
    compiler: &Compiler,
    source: &ModuleSource,
    verb: &str,
    args: &[String],
    stdin: Stdio,
    stdout: &File,
) -> Result<Ended> {
    let exe = executable(compiler)?;
    let system = |error| Error::system("cannot start the compiler process", error);
    let answer = memory_file::growing("wrun-answer").map_err(system)?;
    let mut command = Command::new(&exe);
    command
        .args(args)
        .env_clear()
        .stdin(stdin)
        .stdout(stdout.try_clone().map_err(system)?)
        .stderr(answer.try_clone().map_err(system)?);
    let process = Compiling::start(&mut command).map_err(|source| Repr::File {
        what: "cannot start the compiler process",
        path: exe.clone(),
        source,
    })?;
    let ended = process
        .wait_or_kill(compiler.timeout)
        .map_err(|error| Error::system("cannot wait for the compiler process", error))?;
    let Some(status) = ended else {
        return Err(Error::module(format!("{} took longer to {verb} than {:?}", source.label, compiler.timeout))
            .because_of(Setting::CompileTime));
    };
    let text = read_answer(&answer).map_err(|error| Error::system("cannot read the compiler's answer", error))?;
    Ok(Ended { exe, status, text })
}

/// The beginning of the answer. A valid answer is never longer.
fn read_answer(answer: &File) -> std::io::Result<Vec<u8>> {
    let len = answer.metadata()?.len().min(artifact::MAX_META_BYTES);
    let mut text = vec![0; usize::try_from(len).expect("at most MAX_META_BYTES")];
    answer.read_exact_at(&mut text, 0)?;
    Ok(text)
}

/// The error if the process did not give an answer.
pub(super) fn crashed(
    compiler: &Compiler,
    source: &ModuleSource,
    verb: &str,
    status: ExitStatus,
    words: &str,
) -> Error {
    let label = &source.label;
    if is_out_of_memory(words) {
        return out_of_memory(compiler, source, verb);
    }
    if status.signal() == Some(SIGXFSZ)
        && let Some(limit) = rlimit::current(Resource::Fsize).filter(|limit| *limit < MAX_CODE_BYTES)
    {
        return not_in(source, "file sizes (ulimit -f)", &format!("{limit} bytes"));
    }
    Error::module(if status.signal() == Some(SIGKILL) {
        format!("{label} was not compiled: the compiler process was killed (is the machine {}?)", reason_for_kill())
    } else if words.len() as u64 >= artifact::MAX_META_BYTES {
        format!("{label} has imports and exports of more than 16 MiB, which wrun does not take")
    } else {
        let words = one_line(words);
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        // Whether a core was dumped depends on the machine.
        let status = status.to_string().replace(" (core dumped)", "");
        format!("{label} was not compiled: the compiler process crashed ({status}){words}")
    })
}

/// Whether this is a message of Rust's allocator, its standard library, wasmtime's collections or mmap(2) when `RLIMIT_DATA` is reached.
pub(super) fn is_out_of_memory(words: &str) -> bool {
    // ENOMEM has this number on every Linux; its text depends on the C library.
    let signs = ["memory allocation of", "Cannot allocate memory", "(os error 12)", "unhandled out-of-memory error"];
    words == "out of memory" || signs.iter().any(|sign| words.contains(sign))
}

/// The error if the process ran out of memory, by its own limit or by a lower one that it inherited.
pub(super) fn out_of_memory(compiler: &Compiler, source: &ModuleSource, verb: &str) -> Error {
    let mib = |bytes: u64| match bytes {
        bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes => format!("{bytes} bytes"),
    };
    let address_space = (Resource::As, u64::MAX, "address space (ulimit -v)");
    let data = (Resource::Data, compiler.memory_bytes, "private memory (ulimit -d)");
    let inherited = |(resource, most, name)| {
        rlimit::current(resource).filter(|limit| *limit < most).map(|limit| not_in(source, name, &mib(limit)))
    };
    [address_space, data].into_iter().find_map(inherited).unwrap_or_else(|| {
        let message = format!("{} took more memory to {verb} than {}", source.label, mib(compiler.memory_bytes));
        Error::module(message).because_of(Setting::CompileMemory)
    })
}

/// The error if a limit that this process inherited kept the compiler process from ending its work.
fn not_in(source: &ModuleSource, name: &str, limit: &str) -> Error {
    let label = &source.label;
    let text =
        format!("{label} was not compiled: it takes more than this process's limit of {name}, {limit}; raise it");
    Repr::Workers(text).into()
}

/// The signal of the kernel's out-of-memory killer. The number is the same on every system.
const SIGKILL: i32 = 9;

/// The signal that ends a process that writes more than its limit of file sizes.
const SIGXFSZ: i32 = 25;
