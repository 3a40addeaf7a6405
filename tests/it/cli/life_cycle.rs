//! The command under bad conditions: no disk space, no descriptors, no processes, no reader; and nothing is left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::kit::{Place, Said, finish, said};
use crate::cli::signals::{children_of, ended, names};
use crate::support::{Flag, kill, wait_for, worker_that_maps};

/// Writes 400,000 bytes.
const LARGE: &str = r#"(module
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 40)
  (func (export "wrun:task/large") (result i32) (call $write (i32.const 0) (i32.const 400000)) (i32.const 0))
  (func (export "wrun:task/larger") (result i32) (call $write (i32.const 0) (i32.const 2400000)) (i32.const 0)))"#;

/// `wrun` with these words and `redirections`, started by a shell after the commands in `before`.
fn in_shell(place: &Place, before: &str, words: &str, redirections: &str) -> Command {
    let wrun = place.wrun(&[]);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{before}; exec \"$0\" {words} {redirections}")).arg(wrun.get_program());
    shell.env_clear().envs(wrun.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// What it prints.
pub fn says(place: &Place, before: &str, words: &str, redirections: &str) -> Said {
    finish(in_shell(place, before, words, redirections))
}

/// A file `items` with the numbers up to `count`, one per line.
fn items(place: &Place, count: usize) -> String {
    let lines: String = (0..count).map(|n| format!("{n}\n")).collect();
    place.file("items", &lines);
    lines
}

#[test]
fn full_disk_behind_standard_output_is_one_line_and_exit_code_1() {
    let place = Place::new();
    items(&place, 5000);
    let line = "wrun: cannot write to standard output: No space left on device (os error 28)\n";
    for options in ["", "--json", "--tag", "--unordered", "--raw", "--reduce join", "-j 7"] {
        let words = format!("map kit.wat --call echo --items items {options}");
        assert_eq!(says(&place, ":", &words, ">/dev/full"), said(1, "", line), "{options}");
    }
    for words in [
        "inspect kit.wat",
        "--help",
        "map --help",
        "--version",
        "completions bash",
        "cache path",
        "run kit.wat --call calls",
    ] {
        assert_eq!(says(&place, ":", words, ">/dev/full"), said(1, "", line), "{words}");
    }
    // One result, and failures.
    let words = "map kit.wat --call fail-f a";
    assert_eq!(says(&place, ":", words, ">/dev/full"), said(1, "", line));
}

#[test]
fn standard_output_that_is_closed_is_an_error_wherever_something_is_printed() {
    let place = Place::new();
    let line = "wrun: cannot write to standard output: Bad file descriptor (os error 9)\n";
    assert_eq!(
        says(&place, ":", "map kit.wat --call echo a --joblog log", ">/dev/null"),
        said(0, "", ""),
        "the control"
    );
    for words in [
        "map kit.wat --call echo a",
        "map kit.wat --call echo a --json",
        "map kit.wat --call echo a --reduce join",
        "map kit.wat --call echo a --dry-run",
        "run kit.wat --call calls",
        "run --json kit.wat --call calls",
        "inspect kit.wat",
        "inspect kit.wat --json",
        "report log -o -",
        "cache path",
        "completions bash",
        "man",
        "--help",
        "--version",
    ] {
        assert_eq!(says(&place, ":", words, ">&-"), said(1, "", line), "{words}");
    }
    // What prints nothing needs none.
    assert_eq!(says(&place, ":", "map kit.wat --call echo a --results out", ">&-"), said(0, "", ""));
}

#[test]
fn standard_input_that_is_closed_has_no_items() {
    let place = Place::new();
    let line = "wrun: cannot read standard input: Bad file descriptor (os error 9)\n";
    assert_eq!(says(&place, ":", "map kit.wat --call echo", "<&-"), said(1, "", line));
    assert_eq!(says(&place, ":", "map kit.wat --call echo", "</dev/null"), said(0, "", ""), "the control");
    assert_eq!(says(&place, ":", "map kit.wat --call echo a", "<&-"), said(0, "a\n", ""));
}

#[test]
fn nobody_has_to_listen_to_messages() {
    let place = Place::new();
    for redirection in ["2>/dev/full", "2>&-", "2>&- <&-"] {
        for options in ["", "--progress lines", "--progress json", "--verbose"] {
            let words = format!("map kit.wat --call fail-f a f b {options}");
            assert_eq!(says(&place, ":", &words, redirection), said(100, "a\nb\n", ""), "{options} {redirection}");
        }
        // An error still sets the exit code when its message cannot be written.
        assert_eq!(says(&place, ":", "map none.wat a", redirection), said(1, "", ""));
    }
}

#[test]
fn results_that_may_not_be_as_large_as_files_fail_their_task() {
    let place = Place::new();
    place.file("large.wat", LARGE);
    // In blocks of 512 bytes. A worker's ring needs more than 1.5 MiB.
    let small = "ulimit -f 3600";
    let fits = says(&place, small, "map large.wat --call large a", "");
    assert_eq!((fits.code, fits.stdout.len()), (Some(0), 400_001), "{}", fits.stderr);
    let advice = "raise the limit of file sizes (ulimit -f)\n";
    let error = "File too large (os error 27)";
    let failed = format!("task 0 (a) failed: its result of 2400000 bytes cannot be handed over: {error}; {advice}");
    let summary = "rerun: wrun run large.wat --call larger --index 0 a\nwrun: 1 of 1 tasks failed\n";
    let larger = says(&place, small, "map large.wat --call larger a", "");
    assert_eq!(larger, said(100, "", &format!("{failed}{summary}")));
    let no_ring = says(&place, "ulimit -f 200", "map large.wat --call large a", "");
    assert_eq!(no_ring, said(1, "", &format!("wrun: cannot start a worker: {error}: {advice}")));
}

#[test]
fn few_descriptors_are_enough_for_many_files_large_results_and_long_items() {
    let place = Place::new();
    place.file("large.wat", LARGE);
    let few = "ulimit -n 64";
    items(&place, 300);
    let large = says(&place, few, "map large.wat --call large --items items", "| wc -c");
    assert_eq!(large, said(0, "120000300\n", ""));
    let long: String = (100..400).map(|n| n.to_string().repeat(30_000) + "\n").collect();
    place.file("long", &long);
    let echoed = says(&place, few, "map kit.wat --call echo --max-argument 100K --items long", "");
    assert!(echoed == said(0, &long, ""), "{}", echoed.stderr);
    std::fs::create_dir(place.path().join("files")).expect("a directory");
    let contents: String = (100..700).map(|n| format!("file {n}\n")).collect();
    contents.lines().zip(100..).for_each(|(line, n)| drop(place.file(&format!("files/{n}"), format!("{line}\n"))));
    for (options, results) in [("", contents.as_str()), ("-j 5", &contents)] {
        let words = format!("map kit.wat --call cat --raw {options} --files files/*");
        assert_eq!(says(&place, few, &words, ""), said(0, results, ""), "{options}");
    }
    let unordered = says(&place, few, "map kit.wat --call cat --unordered --files files/*", "| sort");
    assert_eq!(unordered, said(0, &contents, ""));
    let merged = says(&place, few, "map kit.wat --call cat --reduce join --files files/*", "");
    assert_eq!((merged.code, merged.stderr.as_str()), (Some(0), ""));
    assert!(merged.stdout.contains("[file 100\n]") && merged.stdout.contains("[file 699\n]"));
}

#[test]
fn workers_are_replaced_after_a_timeout_where_descriptors_are_few() {
    let place = Place::new();
    let tasks: String = (0..20).map(|n| format!(" loop{n}")).collect();
    for few in [24, 32, 40] {
        let words = format!("map kit.wat --call loop-l -j 8 --timeout 100ms --json{tasks}");
        let said = says(&place, &format!("ulimit -n {few}"), &words, "");
        assert_eq!((said.code, said.stdout.lines().count()), (Some(100), 20), "{few}: {}", said.stderr);
    }
}

#[test]
fn files_of_tasks_that_wait_for_an_earlier_one_leave_descriptors_for_others() {
    // The first task runs until the others cannot: then all available descriptors are in use.
    let place = Place::new();
    std::fs::create_dir(place.path().join("files")).expect("a directory");
    (100..600).for_each(|n| drop(place.file(&format!("files/{n}"), "x")));
    place.file("files/000", "x");
    let flag = Flag::new();
    let module = r#"(module
      (import "wrun_v1" "task_index" (func $index (result i64)))
      (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "wrun:task/t") (result i32) (local $at i32)
        (if (i64.eqz (call $index)) (then
          (local.set $at (call $map (i32.const 1) (i64.const 0) (i32.const 4096)))
          (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get $at)))))))
        (i32.const 0)))"#;
    place.file("first.wat", module);
    let words = format!("map first.wat -j2 -i flag={} --files files/*", flag.path().display());
    let child = in_shell(&place, "ulimit -n 64", &words, "").spawn().expect("wrun starts");
    let wrun = child.id();
    worker_that_maps(flag.path());
    // Half of the limit, which is as many as the run uses for files ahead.
    wait_for(|| (crate::support::open_files(wrun).len() >= 32).then_some(()));
    flag.raise();
    assert_eq!(crate::cli::kit::texts(crate::cli::kit::output(child)), said(0, "", ""));
}

#[test]
fn a_hundred_thousand_failures_are_all_reported_in_little_memory() {
    const COUNT: usize = 100_000;
    let place = Place::new();
    let mut child = place.wrun(&["map", "kit.wat", "--call", "fail"]).stdin(Stdio::piped()).spawn().expect("wrun");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut reported = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            (0..COUNT).for_each(|n| writeln!(stdin, "{n}").expect("a reader"));
            stdin
        });
        for n in 0..COUNT {
            let line = reported.next().expect("a failure").expect("text");
            assert_eq!(line, format!("task {n} ({n}) failed: {n}"));
            let line = reported.next().expect("how to run it again").expect("text");
            assert_eq!(line, format!("rerun: wrun run kit.wat --call fail --index {n} {n}"));
        }
        // It is still running, because its standard input is open.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(kib < 64 << 10, "{kib} KiB");
        drop(writer.join().expect("all was written"));
    });
    assert_eq!(reported.next().expect("a summary").expect("text"), "wrun: 100000 of 100000 tasks failed");
    assert_eq!(child.wait().expect("the end").code(), Some(100));
}

#[test]
fn a_place_for_compiled_code_is_not_needed() {
    let place = Place::new();
    let file = place.path().join("kit.wat");
    let mut without = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
    without.env_remove("WRUN_CACHE_DIR");
    assert_eq!(finish(without), said(0, "a\n", ""));
    for directory in [file.to_str().expect("UTF-8"), "/proc/none"] {
        let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
        command.env("WRUN_CACHE_DIR", directory);
        let said = finish(command);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), "a\n"));
        assert!(said.stderr.starts_with("wrun: warning: compiled code is not cached: "), "{}", said.stderr);
    }
}

/// A module that takes a long time to compile.
pub fn long_to_compile() -> String {
    let body = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.const 3)))".repeat(200);
    let functions: String =
        (0..3000).map(|n| format!("(func (param i32) (result i32) {body} (i32.const {n}))")).collect();
    format!(r#"(module {functions} (func (export "f") (param i32) (result i32) (local.get 0)))"#)
}

/// Restores the usual effect of SIGINT for processes that this one starts. A shell makes background processes ignore it, and
/// children inherit that, unlike a handler.
fn let_interrupts_through() {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a set of signals");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a number");
    let interrupt = Signal::INT.as_raw();
    if ignored >> (interrupt - 1) & 1 == 1 {
        signal_hook::flag::register(interrupt, Arc::default()).expect("a handler");
    }
}

#[test]
fn a_compiler_ends_with_the_command_and_leaves_nothing() {
    let_interrupts_through();
    let place = Place::new();
    place.file("long.wat", long_to_compile());
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let (cache, tmp) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let mut command = place.wrun(&["map", "long.wat", "1"]);
        command.env("WRUN_CACHE_DIR", cache.path()).env("TMPDIR", tmp.path());
        let mut child = command.spawn().expect("wrun starts");
        // There is also a worker: it starts before its module is compiled.
        let compiles = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|words| words.split(|byte| *byte == 0).any(|word| word == b"compile"))
        };
        let compiler = wait_for(|| children_of(child.id()).into_iter().find(compiles));
        let compiler = pidfd_open(Pid::from_raw(compiler as i32).expect("a number"), PidfdFlags::empty());
        let compiler = compiler.expect("it compiles");
        let wrun = Pid::from_raw(child.id() as i32).expect("a number");
        kill_process(wrun, signal).expect("it compiles");
        assert!(!child.wait().expect("the end").success());
        assert!(ended(&compiler), "the compiler is still alive after {signal:?}");
        assert_eq!(names(cache.path()), Vec::<String>::new(), "{signal:?}");
        assert_eq!(names(tmp.path()), Vec::<String>::new(), "{signal:?}");
    }
}

#[test]
fn lost_workers_are_no_zombies() {
    let place = Place::new();
    let flag = Flag::new();
    let input = format!("flag={}", flag.path().display());
    let args = ["map", "kit.wat", "--call", "wait-w", "-j2", "-i", &input, "w1", "w2", "w3", "w4", "w5"];
    let child = place.wrun(&args).spawn().expect("wrun starts");
    for _ in 0..3 {
        let worker = worker_that_maps(flag.path());
        kill(worker);
        // It is gone, and is not even a zombie.
        wait_for(|| (!std::path::Path::new(&format!("/proc/{worker}")).exists()).then_some(()));
    }
    flag.raise();
    let output = crate::cli::kit::output(child);
    assert_eq!(output.status.code(), Some(100), "{}", crate::support::stderr(&output));
    let lost = String::from_utf8_lossy(&output.stderr).matches("failed: its worker was killed by SIGKILL").count();
    assert_eq!(lost, 3);
}

#[test]
fn nothing_is_left_in_shared_memory() {
    let shared = || names(std::path::Path::new("/dev/shm"));
    let before = shared();
    let place = Place::new();
    items(&place, 100);
    let file = File::create(place.path().join("large.wat")).expect("a file");
    (&file).write_all(LARGE.as_bytes()).expect("written");
    let said = place.says(&["map", "large.wat", "--call", "large", "--items", "items"]);
    assert_eq!(said.stdout.len(), 40_000_100);
    let left: Vec<String> =
        shared().into_iter().filter(|name| name.contains("wrun") && !before.contains(name)).collect();
    assert_eq!(left, Vec::<String>::new());
}
