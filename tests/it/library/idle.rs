//! Idle pools and waiting runs use no CPU time.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::cli::kit::Place;
use crate::cli::signals::children_of;
use crate::library::dispatch::assert_usable;
use crate::support::{Flag, pool, wait_for, worker_that_maps};

/// What all threads of these processes have used: clock ticks (proc(5), `utime` and `stime` of `/proc/pid/stat`), and how often
/// each has gone to sleep. A thread that merely checks for something to do has slept once more.
fn used(pids: &[u32]) -> Vec<(u32, u64, u64)> {
    let threads = pids.iter().flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten());
    let mut used: Vec<_> = threads
        .flatten()
        .map(|thread| {
            let read = |name: &str| std::fs::read_to_string(thread.path().join(name)).expect("a thread that runs on");
            let stat = read("stat");
            let fields = stat.rsplit_once(") ").expect("a name in brackets").1.split(' ');
            // The first field after the name is the third of all; these are the 14th and the 15th.
            let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
            let status = read("status");
            let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let id = thread.file_name().to_str().and_then(|name| name.parse().ok()).expect("a number");
            (id, ticks, sleeps.and_then(|count| count.trim().parse().ok()).expect("a number"))
        })
        .collect();
    used.sort_unstable();
    used
}

/// Something that takes a while: a separate run whose task has to be stopped.
fn a_while(place: &Place) {
    let said = place.map("loop-l", &["loop", "--timeout", "300ms"]);
    assert_eq!(said.code, Some(100), "{}", said.stderr);
}

/// Waits until the threads of these processes have been completely idle for a while.
fn assert_at_rest(place: &Place, pids: &[u32]) {
    let threads = used(pids).len();
    assert!(threads >= 2 * pids.len(), "{threads} threads of {} processes", pids.len());
    wait_for(|| {
        let before = used(pids);
        a_while(place);
        (used(pids) == before).then_some(())
    });
}

/// A process and all its descendants.
fn family(child: &Child) -> Vec<u32> {
    let mut pids = children_of(child.id());
    pids.push(child.id());
    pids
}

/// Set if the test is to run as the process under observation.
const LOOKED_AT: &str = "WRUN_TEST_IDLE_POOL";

#[test]
fn a_pool_without_a_run_is_at_rest() {
    if std::env::var_os(LOOKED_AT).is_some() {
        let mut pool = pool(2);
        assert_usable(&mut pool);
        // The first worker may have done everything before the second one's process is running.
        wait_for(|| (pool.worker_pids().len() == 2).then_some(()));
        eprintln!("idle");
        // Until the other process has seen enough.
        std::io::stdin().read_to_end(&mut Vec::new()).expect("a pipe");
        return;
    }
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "library::idle::a_pool_without_a_run_is_at_rest", "--nocapture", "--test-threads=1"])
        .env(LOOKED_AT, "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("this program");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line");
    assert_eq!(line, "idle\n");
    let pids = family(&child);
    assert_eq!(pids.len(), 3, "two workers");
    assert_at_rest(&place, &pids);
    drop(child.stdin.take());
    assert!(child.wait().expect("the end").success());
}

/// A run over the lines of a pipe, which has supplied one line so far; its result has been printed.
fn run_that_waits_for_items(place: &Place, options: &[&str]) -> (Child, ChildStdin) {
    let mut command = place.wrun(&[&["map", "kit.wat", "--call", "echo", "-j2"], options].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().expect("wrun starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"a\n").expect("a reader");
    let mut first = [0; 2];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("a result");
    assert_eq!(&first, b"a\n");
    (child, stdin)
}

#[test]
fn a_run_that_waits_for_items_is_at_rest() {
    let place = Place::new();
    let (child, stdin) = run_that_waits_for_items(&place, &[]);
    let pids = family(&child);
    assert_eq!(pids.len(), 2, "a worker");
    assert_at_rest(&place, &pids);
    drop(stdin);
    assert!(child.wait_with_output().expect("the end").status.success());

    // The control: a run that reports elapsed time has to look at the clock.
    let (child, stdin) = run_that_waits_for_items(&place, &["--progress", "lines"]);
    let before = used(&[child.id()]);
    wait_for(|| (used(&[child.id()]) != before).then_some(()));
    drop(stdin);
    assert!(child.wait_with_output().expect("the end").status.success());
}

/// A program that writes a line and then reads its standard input.
const READER: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\04\00\00\00")
  (data (i32.const 16) "now\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn a_task_that_waits_leaves_everybody_at_rest() {
    let place = Place::new();
    place.file("reader.wat", READER);
    let mut child = place.wrun(&["run", "reader.wat"]).stdin(Stdio::piped()).spawn().expect("wrun starts");
    let mut first = [0; 4];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("a line");
    assert_eq!(&first, b"now\n");
    let pids = family(&child);
    assert_eq!(pids.len(), 2, "a worker");
    assert_at_rest(&place, &pids);
    drop(child.stdin.take());
    assert!(child.wait_with_output().expect("the end").status.success());
}

#[test]
fn a_long_task_is_waited_for_at_rest() {
    let place = Place::new();
    let flag = Flag::new();
    let input = format!("flag={}", flag.path().display());
    let args = ["map", "kit.wat", "--call", "wait-w", "-j2", "--input", &input, "w"];
    let child = place.wrun(&args).spawn().expect("wrun starts");
    worker_that_maps(Path::new(flag.path()));
    assert_at_rest(&place, &[child.id()]);
    flag.raise();
    assert!(child.wait_with_output().expect("the end").status.success());
}
