//! `wrun run`: what a program finds out about its standard streams, and how it ends when nobody reads its output.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use crate::cli::kit::{Place, Said, hello, output, texts};

/// Numbers of errors of WASI.
const AGAIN: i32 = 6;
const ISDIR: i32 = 31;
const NOSPC: i32 = 51;
const PIPE: i32 = 64;

/// A program that writes (or reads) `chunk` bytes at a time, `times` times at most; then it ends in this way, where `$error` is the
/// number of the error that ended that, or 0.
fn program(call: &str, fd: u32, chunk: u32, times: u32, end: &str) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "{call}" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 20)
  (func (export "_start") (local $error i32) (local $times i32)
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const {chunk}))
    (memory.fill (i32.const 16) (i32.const 120) (i32.const {chunk}))
    (loop $more
      (local.set $error (call $call (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $times (i32.add (local.get $times) (i32.const 1)))
      (br_if $more (i32.and (i32.eqz (local.get $error)) (i32.lt_u (local.get $times) (i32.const {times})))))
    {end}))"#
    )
}

const EXIT_WITH_ERROR: &str = "(call $exit (local.get $error))";

fn writes(chunk: u32, times: u32, end: &str) -> String {
    program("fd_write", 1, chunk, times, end)
}

/// Runs a program with this standard output.
fn run_into(program: &str, stdout: impl Into<Stdio>) -> Said {
    let place = Place::new();
    place.file("p.wat", program);
    let mut command = place.wrun(&["run", "p.wat"]);
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().expect("wrun");
    drop(command);
    texts(output(child))
}

/// The write end of a pipe that nobody reads.
fn closed_pipe() -> OwnedFd {
    std::io::pipe().expect("a pipe").1.into()
}

/// Two ends of a stream; the first one does not block.
fn stream() -> (OwnedFd, UnixStream) {
    let (ours, other) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a stream of ours");
    (ours.into(), other)
}

#[test]
fn a_program_gets_the_number_of_the_error_of_its_output() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let program = writes(1024, u32::MAX, EXIT_WITH_ERROR);
    for (stdout, number) in [(closed_pipe(), PIPE), (full.into(), NOSPC)] {
        let said = run_into(&program, stdout);
        assert_eq!((said.code, said.stderr.as_str()), (Some(number), ""));
    }
    let (stdout, mut reader) = stream();
    assert_eq!(run_into(&program, stdout).code, Some(AGAIN));
    let mut written = Vec::new();
    reader.read_to_end(&mut written).expect("a stream");
    assert!(!written.is_empty() && written.len().is_multiple_of(1024), "{} bytes", written.len());
    assert_eq!(run_into(&writes(1024, 1, EXIT_WITH_ERROR), Stdio::null()).code, Some(0), "no error");
}

#[test]
fn one_long_write_to_a_stream_that_does_not_block_is_written_as_a_whole() {
    let (stdout, mut reader) = stream();
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).map(|_| read)
    });
    let said = run_into(&writes(1 << 20, 1, EXIT_WITH_ERROR), stdout);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert!(reader.join().expect("a reader").expect("a stream") == vec![b'x'; 1 << 20]);
}

#[test]
fn a_program_gets_the_number_of_the_error_of_its_input() {
    let place = Place::new();
    place.file("p.wat", program("fd_read", 0, 100, 1, EXIT_WITH_ERROR));
    let directory = File::open(place.path()).expect("a directory");
    // A stream that does not block is waited for; its other end is closed.
    let (closed, _) = stream();
    let nothing: OwnedFd = File::open("/dev/null").expect("/dev/null").into();
    for (stdin, number) in [(directory.into(), ISDIR), (closed, 0), (nothing, 0)] {
        let mut command = place.wrun(&["run", "p.wat"]);
        let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wrun");
        let said = texts(output(child));
        assert_eq!((said.code, said.stderr.as_str()), (Some(number), ""));
    }
}

#[test]
fn a_program_that_gives_up_when_nobody_reads_ends_silently_as_by_sigpipe() {
    const TRAP: &str = "(if (local.get $error) (then unreachable))";
    let said = run_into(&writes(10, u32::MAX, TRAP), closed_pipe());
    assert_eq!((said.code, said.stderr.as_str()), (Some(141), ""));
    // Any other error, and any other end, is reported.
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let said = run_into(&writes(10, u32::MAX, TRAP), full);
    assert!(said.code == Some(100) && said.stderr.starts_with("wrun: p.wat failed: trapped: "), "{}", said.stderr);
    // What a program does by itself about the error is its own business.
    let place = Place::new();
    let mut command = place.wrun(&["run", &hello(), "one", "two"]);
    let child = command.stdin(Stdio::null()).stdout(closed_pipe()).stderr(Stdio::piped()).spawn().expect("wrun");
    let said = texts(output(child));
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), "hello-wasi: Broken pipe (os error 64)\n"));
}
