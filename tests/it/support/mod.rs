//! Shared by all tests: the binary, inline modules, and jobs that run to their end.

mod guests;

use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use wrun::{Compiler, Input, Job, Limits, Module, Outcome, Pool, Source, Status, Task, TaskError};

pub use guests::built_guests;

/// The `wrun` binary of this build.
pub const WRUN: &str = env!("CARGO_BIN_EXE_wrun");

/// The `wrun` command, with an environment that contains only the tests' own cache directory.
pub fn wrun(args: &[&str]) -> Command {
    do_not_pass_ignored_signals_on();
    let mut command = Command::new(WRUN);
    command.env_clear().env("WRUN_CACHE_DIR", cache_dir()).stdin(Stdio::null()).args(args);
    command
}

/// Lets the commands that are started here have the default effects of these signals, also if the tests were started by a shell that
/// ignores them: signals that are handled are not ignored in child processes, while those that are ignored stay so (execve(2)).
fn do_not_pass_ignored_signals_on() {
    use signal_hook::consts::{SIGINT, SIGQUIT};
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGQUIT] {
            let always = std::sync::Arc::new(true.into());
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always).expect("a signal handler");
        }
    });
}

/// Whether a missing tool fails the test instead of skipping it.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Runs the command to its end.
pub fn run(args: &[&str]) -> Output {
    wrun(args).output().expect("wrun starts")
}

/// What a finished command wrote to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a finished command wrote to standard error, except that it compiles a module, which depends on how busy the machine is.
pub fn stderr(output: &Output) -> String {
    without_compiling(&String::from_utf8_lossy(&output.stderr))
}

/// The text without lines that say that a module is being compiled.
pub fn without_compiling(text: &str) -> String {
    let says_so = |line: &&str| line.contains("compiling ") && line.contains(" s so far");
    text.split_inclusive('\n').filter(|line| !says_so(line)).collect()
}

/// Where the tests keep compiled modules.
pub fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// An example guest.
///
/// # Panics
///
/// If the guests cannot be built.
pub fn guest(name: &str) -> String {
    let path = built_guests().join("target/wasm").join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing", path.display());
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The module with this text (or binary), compiled by the real binary.
pub fn module(wat: impl AsRef<[u8]>) -> Module {
    let compiler = Compiler { exe: Some(WRUN.into()), cache_dir: Some(cache_dir()), ..Compiler::default() };
    compiler.load_bytes("test.wat", wat.as_ref()).expect("a valid module")
}

/// An example guest, compiled.
pub fn rust_guest(name: &str) -> Module {
    let compiler = Compiler { exe: Some(WRUN.into()), cache_dir: Some(cache_dir()), ..Compiler::default() };
    compiler.load(guest(name)).expect("a valid module")
}

/// A pool with this many workers, which run the real binary.
pub fn pool(workers: usize) -> Pool {
    let workers = NonZeroUsize::new(workers).expect("at least one worker");
    Pool::builder().workers(workers).worker_exe(WRUN).build().expect("a pool")
}

/// Runs a job to its end on its own pool of two workers; returns outcomes in item order.
pub fn outcomes(job: &Job, tasks: impl Source) -> Vec<Outcome> {
    pool(2).map(job, tasks).expect("a job that can run").collect()
}

/// The same, with an array or a vector of tasks.
pub fn each<T: Into<Task>>(job: &Job, tasks: impl IntoIterator<Item = T>) -> Vec<Outcome> {
    outcomes(job, tasks.into_iter())
}

/// The text of a result.
///
/// # Panics
///
/// If the task failed.
pub fn text(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(output) => String::from_utf8_lossy(output).into_owned(),
        Err(error) => panic!("task {} failed: {error}", outcome.index),
    }
}

/// All imports of the contract, under their own names, and a few helper functions that keep modules short; these use the first
/// 4 KiB of memory as scratch space.
const CONTRACT: &str = r#"
    (import "wrun_v1" "task_index" (func $task_index (result i64)))
    (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
    (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
    (import "wrun_v1" "input_count" (func $input_count (result i32)))
    (import "wrun_v1" "input_find" (func $input_find (param i32 i32) (result i32)))
    (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
    (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
    (import "wrun_v1" "input_read" (func $input_read (param i32 i64 i32 i32)))
    (import "wrun_v1" "input_map_at" (func $input_map_at (param i32 i64 i32 i32) (result i32)))
    (import "wrun_v1" "input_unmap" (func $input_unmap (param i32)))
    (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
    (import "wrun_v1" "output_map" (func $output_map (param i32) (result i32)))
    (import "wrun_v1" "region_count" (func $region_count (result i32)))
    (import "wrun_v1" "region_find" (func $region_find (param i32 i32) (result i32)))
    (import "wrun_v1" "region_len" (func $region_len (param i32) (result i64)))
    (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i32) (result i32)))
    (import "wrun_v1" "region_map_at" (func $region_map_at (param i32 i64 i32 i32) (result i32)))
    (import "wrun_v1" "fail" (func $fail (param i32 i32)))
    (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
"#;
const HELPERS: &str = r#"
    ;; Appends a number to the result.
    (func $put (param i32) (i32.store (i32.const 8) (local.get 0)) (call $output_write (i32.const 8) (i32.const 4)))
    ;; The argument's 32-bit word with this index.
    (func $arg (param i32) (result i32)
        (call $arg_read (i32.const 1024))
        (i32.load offset=1024 (i32.shl (local.get 0) (i32.const 2))))
    ;; Maps a whole input.
    (func $map (param $input i32) (result i32)
        (call $input_map (local.get $input) (i64.const 0) (i32.wrap_i64 (call $input_len (local.get $input)))))
    ;; Waits until there is something else than 0 at this address.
    (func $wait (param i32) (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get 0))))))
    ;; Never returns.
    (func $hang (loop (br 0)))
"#;

/// A module with the contract's imports, an exported memory with this many pages (`1`, or `1 10` for a maximum) and this text.
pub fn task_module(memory: &str, text: &str) -> Module {
    task_module_with("", memory, text)
}

/// The same, with more imports.
pub fn task_module_with(imports: &str, memory: &str, text: &str) -> Module {
    module(format!("(module {CONTRACT} {imports} (memory (export \"memory\") {memory}) {HELPERS} {text})"))
}

/// A task's argument of 32-bit words.
pub fn words(words: &[u32]) -> Task {
    Task::new(words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

/// The 32-bit words of a result.
///
/// # Panics
///
/// If the task failed.
pub fn result_words(outcome: &Outcome) -> Vec<u32> {
    let bytes = bytes(outcome);
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}

/// The bytes of a result.
///
/// # Panics
///
/// If the task failed.
pub fn bytes(outcome: &Outcome) -> &[u8] {
    match &outcome.result {
        Ok(output) => output,
        Err(error) => panic!("task {} failed: {error}", outcome.index),
    }
}

/// Why a task failed.
///
/// # Panics
///
/// If it did not fail.
pub fn failure(outcome: &Outcome) -> &TaskError {
    match &outcome.result {
        Ok(output) => panic!("task {} succeeded with {} bytes: {:?}", outcome.index, output.len(), first(output)),
        Err(error) => error,
    }
}

fn first(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(64)]
}

/// The status and the message of a task that failed.
pub fn failed(outcome: &Outcome) -> (Status, &str) {
    let error = failure(outcome);
    (error.status, &error.message)
}

/// A file with these bytes and a unique name, deleted when this is dropped.
pub fn file(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    file.as_file().write_all_at(bytes, 0).expect("room for a file");
    file
}

/// The file as an input.
pub fn input(file: &NamedTempFile) -> Input {
    Input::open(file.path()).expect("a file that can be read")
}

/// Bytes without zeros, in which no two neighbouring pages are alike.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 7 + at / 4096) % 255) as u8 + 1).collect()
}

/// A page with which a test signals a running guest: the guest maps it and waits until its first word is not 0.
pub struct Flag(NamedTempFile);

impl Flag {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Flag(file(&[0; 4096]))
    }

    /// The flag as an input.
    pub fn input(&self) -> Input {
        input(&self.0)
    }

    /// Lets guests continue.
    pub fn raise(&self) {
        self.0.as_file().write_all_at(&1u32.to_le_bytes(), 0).expect("a write to a page that is there");
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Waits until a worker process has mapped this file; returns its process id.
///
/// # Panics
///
/// After [`PATIENCE`].
pub fn worker_that_maps(path: &Path) -> u32 {
    wait_for(|| {
        let needle = path.to_str().expect("a path in UTF-8");
        let maps = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/maps"));
        worker_processes().find(|pid| maps(pid).is_ok_and(|maps| maps.contains(needle)))
    })
}

/// The worker processes that have this file open.
pub fn workers_that_hold(path: &Path) -> Vec<u32> {
    worker_processes().filter(|&pid| open_files(pid).iter().any(|open| open.starts_with(path))).collect()
}

/// The files that a process has open.
pub fn open_files(pid: u32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

/// All running processes of the tests' binary.
fn worker_processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| {
        // A binary that was rebuilt in the meantime is `.../wrun (deleted)`.
        let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
        exe.is_ok_and(|exe| exe.to_string_lossy().starts_with(WRUN))
    })
}

/// How long something that should happen soon may take on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until there is something.
///
/// # Panics
///
/// After [`PATIENCE`].
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it did not happen in time");
        std::thread::yield_now();
    }
}

/// Does this on its own thread, so that a test that would hang fails instead.
///
/// # Panics
///
/// After [`PATIENCE`], and if that thread panics.
pub fn within_patience<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        // Nobody waits any more if it took too long.
        let _ = send.send(work());
    });
    match receive.recv_timeout(PATIENCE) {
        Ok(done) => done,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it did not end in time"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it sent nothing"))
        }
    }
}

/// Default limits with a timeout, for tests in which a bug would make a task wait forever.
pub fn patient() -> Limits {
    Limits { timeout: Some(PATIENCE.into()), ..Limits::default() }
}

/// Sends SIGKILL to a process.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process number");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process that is there");
}
