//! What the tests share: the binary, modules written in place, jobs run to their end.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use wrun::{Compiler, Job, Module, Outcome, Pool, Source};

/// The `wrun` binary of this build.
pub const WRUN: &str = env!("CARGO_BIN_EXE_wrun");

/// The `wrun` command, with an empty environment but for a cache directory of the tests' own.
pub fn wrun(args: &[&str]) -> Command {
    let mut command = Command::new(WRUN);
    command.env_clear().env("WRUN_CACHE_DIR", cache_dir()).stdin(Stdio::null()).args(args);
    command
}

/// Runs the command to its end.
pub fn run(args: &[&str]) -> Output {
    wrun(args).output().expect("wrun starts")
}

/// What a finished command wrote to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a finished command wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where the tests keep compiled modules.
pub fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// An example guest that `make guests` built.
pub fn guest(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guests/target/wasm").join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing: run `make guests` first", path.display());
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The module in this text (or binary), compiled by the real binary.
pub fn module(wat: impl AsRef<[u8]>) -> Module {
    let compiler = Compiler { exe: Some(WRUN.into()), cache_dir: Some(cache_dir()), ..Compiler::default() };
    compiler.load_bytes("test.wat", wat.as_ref()).expect("a valid module")
}

/// A pool of this many workers, which run the real binary.
pub fn pool(workers: usize) -> Pool {
    let workers = NonZeroUsize::new(workers).expect("at least one worker");
    Pool::builder().workers(workers).worker_exe(WRUN).build().expect("a pool")
}

/// Runs a job to its end on a pool of its own with two workers; outcomes in item order.
pub fn outcomes(job: &Job, tasks: impl Source) -> Vec<Outcome> {
    pool(2).map(job, tasks).expect("a job that can run").collect()
}

/// The text of a result.
///
/// # Panics
///
/// Where the task failed.
pub fn text(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(output) => String::from_utf8_lossy(output).into_owned(),
        Err(error) => panic!("task {} failed: {error}", outcome.index),
    }
}
