//! Shared by the tests of the command line: a directory in which to run the real binary, and a module with a task for each purpose.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{self, PATIENCE, guest};

/// Tasks that do one thing each; `--call` chooses.
const KIT: &str = r#"(module
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_count" (func $input_count (result i32)))
  (import "wrun_v1" "input_find" (func $input_find (param i32 i32) (result i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (import "wrun_v1" "fail" (func $fail_with (param i32 i32)))
  (import "wrun_v1" "log" (func $log_line (param i32 i32 i32)))
  (memory (export "memory") 3)
  (data (i32.const 0) "flag")
  (global $calls (mut i32) (i32.const 0))
  (func $arg (call $arg_read (i32.const 1024)))
  (func $write_arg (call $arg) (call $write (i32.const 1024) (call $arg_len)))
  (func $begins_with (param i32) (result i32)
    (call $arg) (i32.eq (i32.load8_u (i32.const 1024)) (local.get 0)))
  (func $map (param $input i32) (result i32)
    (call $input_map (local.get $input) (i64.const 0) (i32.wrap_i64 (call $input_len (local.get $input)))))
  ;; The argument.
  (func (export "wrun:task/echo") (result i32) (call $write_arg) (i32.const 0))
  ;; Fails, with the argument as its message.
  (func (export "wrun:task/fail") (result i32)
    (call $arg) (call $fail_with (i32.const 1024) (call $arg_len)) (i32.const 1))
  ;; Fails where the argument begins with an f.
  (func (export "wrun:task/fail-f") (result i32)
    (if (call $begins_with (i32.const 102)) (then (call $fail_with (i32.const 1024) (call $arg_len)) (return (i32.const 1))))
    (call $write_arg) (i32.const 0))
  ;; Divides by zero, in a function called by another.
  (func $inner (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
  (func $outer (export "wrun:task/divide") (result i32) (call $inner))
  ;; Never ends where the argument begins with an l.
  (func (export "wrun:task/loop-l") (result i32)
    (if (call $begins_with (i32.const 108)) (then (loop (br 0))))
    (call $write_arg) (i32.const 0))
  ;; Waits for the input `flag` where the argument begins with a w.
  (func (export "wrun:task/wait-w") (result i32) (local $at i32)
    (if (call $begins_with (i32.const 119)) (then
      (local.set $at (call $map (call $input_find (i32.const 0) (i32.const 4))))
      (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get $at)))))))
    (call $write_arg) (i32.const 0))
  ;; All inputs, one after the other.
  (func (export "wrun:task/cat") (result i32) (local $input i32)
    (block (loop
      (br_if 1 (i32.ge_u (local.get $input) (call $input_count)))
      (call $write (call $map (local.get $input)) (i32.wrap_i64 (call $input_len (local.get $input))))
      (local.set $input (i32.add (local.get $input) (i32.const 1)))
      (br 0)))
    (i32.const 0))
  ;; All inputs, each in brackets: shows the shape of a reduction's tree.
  (func (export "wrun:task/join") (result i32) (local $input i32)
    (i32.store8 (i32.const 512) (i32.const 91))
    (i32.store8 (i32.const 513) (i32.const 93))
    (block (loop
      (br_if 1 (i32.ge_u (local.get $input) (call $input_count)))
      (call $write (i32.const 512) (i32.const 1))
      (call $write (call $map (local.get $input)) (i32.wrap_i64 (call $input_len (local.get $input))))
      (call $write (i32.const 513) (i32.const 1))
      (local.set $input (i32.add (local.get $input) (i32.const 1)))
      (br 0)))
    (i32.const 0))
  ;; How often this instance was called.
  (func (export "wrun:task/calls") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 512) (i32.add (global.get $calls) (i32.const 48)))
    (call $write (i32.const 512) (i32.const 1)) (i32.const 0))
  ;; Fails, with the argument as its message, until this instance was called as often as the argument's first digit says.
  (func (export "wrun:task/pass-on-call") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $arg)
    (if (i32.lt_u (i32.add (global.get $calls) (i32.const 48)) (i32.load8_u (i32.const 1024)))
      (then (call $fail_with (i32.const 1024) (call $arg_len)) (return (i32.const 1))))
    (call $write_arg) (i32.const 0))
  ;; Asks for 32 MiB.
  (func (export "wrun:task/grow") (result i32)
    (if (i32.eq (memory.grow (i32.const 512)) (i32.const -1)) (then (unreachable))) (i32.const 0))
  ;; 64 KiB of zeros.
  (func (export "wrun:task/zeros") (result i32) (call $write (i32.const 65536) (i32.const 65536)) (i32.const 0))
  ;; Bytes that are no text.
  (func (export "wrun:task/binary") (result i32)
    (i32.store (i32.const 512) (i32.const 0x0a00feff)) (call $write (i32.const 512) (i32.const 4)) (i32.const 0))
  ;; Logs the argument as info.
  (func (export "wrun:task/log") (result i32)
    (call $arg) (call $log_line (i32.const 3) (i32.const 1024) (call $arg_len)) (i32.const 0)))"#;

/// A scalar function and nothing else.
const SQRT: &str = r#"(module (func (export "sqrt") (param f64) (result f64) (f64.sqrt (local.get 0))))"#;

/// A directory with `kit.wat` and `sqrt.wat` in which `wrun` runs; removed when dropped.
pub struct Place(TempDir);

/// What a finished command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The expected exit code and output of a command.
pub fn said(code: i32, stdout: &str, stderr: &str) -> Said {
    Said { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

/// Expects that all tasks succeeded.
pub fn ok(stdout: &str) -> Said {
    said(0, stdout, "")
}

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a directory"));
        place.file("kit.wat", KIT);
        place.file("sqrt.wat", SQRT);
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file; returns its full path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The `wrun` command, run in this directory.
    pub fn wrun(&self, args: &[&str]) -> Command {
        let mut command = support::wrun(args);
        command.current_dir(self.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `wrun`; returns what it printed.
    pub fn says(&self, args: &[&str]) -> Said {
        finish(self.wrun(args))
    }

    /// Runs `wrun map kit.wat --call TASK`.
    pub fn map(&self, task: &str, args: &[&str]) -> Said {
        self.says(&[&["map", "kit.wat", "--call", task], args].concat())
    }

    /// Runs `wrun map kit.wat --call TASK` with items on standard input.
    pub fn map_lines(&self, task: &str, args: &[&str], lines: impl AsRef<[u8]>) -> Said {
        self.says_to(&[&["map", "kit.wat", "--call", task], args].concat(), lines)
    }

    /// Runs `wrun` with these bytes on standard input.
    pub fn says_to(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Said {
        let mut command = self.wrun(args);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("wrun starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        let stdin = stdin.as_ref();
        std::thread::scope(|scope| {
            // The reader may stop before the end.
            scope.spawn(move || drop(pipe.write_all(stdin)));
            texts(output(child))
        })
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Said {
    texts(output(command.spawn().expect("wrun starts")))
}

/// Waits for a command to finish; one that takes far too long is killed, and its test then fails.
pub fn output(child: Child) -> Output {
    let (ended, end) = channel::<()>();
    let pid = child.id();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                support::kill(pid);
            }
        });
        let output = child.wait_with_output().expect("the end of wrun");
        drop(ended);
        output
    })
}

/// The same, as text.
pub fn texts(output: Output) -> Said {
    Said { code: output.status.code(), stdout: support::stdout(&output), stderr: support::stderr(&output) }
}

/// The JSON objects of these lines.
pub fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Why the task of a JSON object failed, with the hint; empty if it passed.
pub fn why(object: &Value) -> String {
    [&object["error"], &object["hint"]].into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

/// The keys of a JSON object, sorted.
pub fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The WASI program of the examples that greets its arguments and shouts its standard input.
pub fn hello() -> String {
    guest("hello-wasi")
}

/// A WASI program that writes the lines `out` and `err`, and exits with this code.
pub fn program(code: u8) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "out\nerr\n")
  (func $say (param $fd i32) (param $at i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.const 4))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (call $say (i32.const 1) (i32.const 100))
    (call $say (i32.const 2) (i32.const 104))
    (call $exit (i32.const {code}))))"#
    )
}
