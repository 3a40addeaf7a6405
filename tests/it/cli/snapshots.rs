//! Initializers: instances begin as a module's initializer has left them, with the same results whether it ran once or in each of them.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::kit::{Place, Said, objects, ok, output, said};
use crate::cli::signals::children_of;
use crate::support::{built_guests, guest, wait_for};

/// Writes what `_initialize` and the initializer have left: how often both ran, a text in memory, a global, the size of memory. The
/// task `next` counts its own calls as well.
const WARM: &str = r#"(module
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $left (mut i32) (i32.const 48))
  (data (i32.const 0) "cold......")
  (data $passive "passive")
  (func $count (param i32)
    (i32.store8 (i32.add (i32.const 4) (local.get 0))
      (i32.add (i32.const 1) (i32.load8_u (i32.add (i32.const 100) (local.get 0)))))
    (i32.store8 (i32.add (i32.const 100) (local.get 0)) (i32.load8_u (i32.add (i32.const 4) (local.get 0)))))
  (start $start)
  (func $start (i64.store (i32.const 100) (i64.const 0x3030303030303030)) (call $count (i32.const 0)))
  (func (export "_initialize") (call $count (i32.const 1)))
  (func (export "wizer-initialize")
    (call $count (i32.const 2))
    (i32.store (i32.const 0) (i32.const 0x6d726177))
    (drop (memory.grow (i32.const 4)))
    (call $log (i32.const 3) (i32.const 0) (i32.const 4))
    (global.set $left (i32.const 57)))
  (func (export "wrun:task/show") (result i32)
    (i32.store8 (i32.const 7) (global.get $left))
    (i32.store8 (i32.const 8) (i32.add (i32.const 48) (memory.size)))
    (memory.init $passive (i32.const 10) (i32.const 0) (i32.const 7))
    (call $write (i32.const 0) (i32.const 17)) (i32.const 0))
  (func (export "wrun:task/next") (result i32)
    (call $count (i32.const 3)) (call $write (i32.const 7) (i32.const 1)) (i32.const 0)))"#;

/// What an initializer calls, and a task that gives nothing.
fn module(initializer: &str) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "fail" (func $fail (param i32 i32)))
  (import "wrun_v1" "input_count" (func $input_count (result i32)))
  (import "wrun_v1" "input_find" (func $input_find (param i32 i32) (result i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "input_map_at" (func $input_map_at (param i32 i64 i32 i32) (result i32)))
  (import "wrun_v1" "input_read" (func $input_read (param i32 i64 i32 i32)))
  (import "wrun_v1" "input_writable" (func $input_writable (result i32)))
  (import "wrun_v1" "output_map" (func $output_map (param i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (import "wrun_v1" "region_count" (func $region_count (result i32)))
  (import "wrun_v1" "region_find" (func $region_find (param i32 i32) (result i32)))
  (import "wrun_v1" "region_len" (func $region_len (param i32) (result i64)))
  (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "task_index" (func $task_index (result i64)))
  (memory (export "memory") 3)
  (data (i32.const 0) "data.txt")
  ;; Where a call reads to and writes from: 8 bytes at 64.
  (data (i32.const 16) "\40\00\00\00\08\00\00\00")
  (func $open (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 0) (i64.const 2) (i64.const 2)
      (i32.const 0) (i32.const 32)))
  (func $inner {initializer})
  (func (export "wizer-initialize") (call $inner))
  (func (export "wrun:task/show") (result i32) (call $write (i32.const 64) (i32.const 8)) (i32.const 0)))"#
    )
}

fn place(initializer: &str) -> Place {
    let place = Place::new();
    place.file("m.wat", module(initializer));
    place
}

const SHOW: &[&str] = &["map", "m.wat", "x"];

/// All ways to begin a task after the initializer: the modes of `map`, and the module that `snapshot` writes.
fn everywhere(place: &Place, module: &str, task: &[&str], items: &[&str]) -> Vec<Said> {
    let map = |options: &[&str]| place.says(&[&["map", "--call"], task, options, items].concat());
    assert_eq!(place.says(&["snapshot", module, "-o", "snapshot.wasm"]).code, Some(0));
    vec![
        map(&[module]),
        // From the cache.
        map(&[module]),
        map(&[module, "--no-snapshot"]),
        map(&[module, "--no-snapshot"]),
        map(&[module, "--reuse", "-j1"]),
        map(&[module, "--reuse", "-j1", "--no-snapshot"]),
        map(&[module, "--backend", "inline"]),
        map(&[module, "--backend", "inline", "--no-snapshot"]),
        map(&["snapshot.wasm"]),
        map(&["snapshot.wasm", "--no-snapshot"]),
    ]
}

#[test]
fn results_are_the_same_wherever_the_initializer_ran() {
    let place = Place::new();
    place.file("m.wat", WARM);
    for (way, said) in everywhere(&place, "m.wat", &["show"], &["a", "b"]).into_iter().enumerate() {
        let line = "warm11195.passive\n";
        assert_eq!(said, ok(&line.repeat(2)), "way {way}");
    }
    // Only instances that are reused see what an earlier task has left.
    for (way, said) in everywhere(&place, "m.wat", &["next"], &["a", "b"]).into_iter().enumerate() {
        let reused = (4..6).contains(&way);
        assert_eq!(said, ok(if reused { "1\n2\n" } else { "1\n1\n" }), "way {way}");
    }
}

#[test]
fn compiled_code_is_that_of_the_snapshot_and_says_so() {
    let place = Place::new();
    place.file("m.wat", WARM);
    assert_eq!(place.says(&["compile", "m.wat", "-o", "m.cwasm"]), ok(""));
    assert_eq!(
        place.says(&["map", "--allow-precompiled", "--call", "show", "m.cwasm", "x"]),
        ok("warm11195.passive\n")
    );
    let says = |module, words| {
        let Said { stdout, .. } = place.says(&["inspect", "--allow-precompiled", module]);
        assert!(stdout.contains(words), "{stdout}");
    };
    says("m.cwasm", "Instances begin with a snapshot of what its initializer has left.");
    for _ in 0..2 {
        says("m.wat", "Has an initializer, which runs once: all instances begin with a snapshot of it.");
        // Its code is in the cache from now on.
        assert_eq!(place.says(&["map", "m.wat", "--call", "show", "x"]).code, Some(0));
    }
    assert_eq!(place.says(&["snapshot", "m.wat", "-o", "s.wasm"]).stderr, "info: warm\n");
    let Said { stdout, .. } = place.says(&["inspect", "s.wasm"]);
    assert!(!stdout.contains("nitialize"), "{stdout}");
}

#[test]
fn results_are_cached_across_both_ways() {
    let place = Place::new();
    place.file("m.wat", WARM);
    let run = |option: &[&str]| {
        let mut command = place.wrun(&[&["map", "m.wat", "--call", "show", "--cache", "--json", "x"], option].concat());
        command.env("WRUN_CACHE_DIR", place.path().join("cache"));
        let output = output(command.spawn().expect("wrun starts"));
        let objects = objects(&String::from_utf8_lossy(&output.stdout));
        objects[0]["cached"].as_bool()
    };
    assert_eq!(run(&[]), None);
    assert_eq!(run(&["--no-snapshot"]), Some(true));
    assert_eq!(run(&[]), Some(true));
}

/// The message of a refused call, in all ways to run an initializer.
fn is_refused(place: &Place, message: &str) {
    let failed = format!("wrun: m.wat: its initializer `wizer-initialize` failed: {message}\n");
    for words in [&["snapshot", "m.wat", "-o", "out.wasm"][..], SHOW] {
        let Said { code, stdout, stderr } = place.says(words);
        assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
        assert!(stderr.starts_with(&failed), "{stderr}\nis not\n{failed}");
        assert!(stderr.contains("- inner\n") && stderr.contains("- wizer-initialize\n"), "no lines: {stderr}");
    }
    assert!(!place.path().join("out.wasm").exists(), "something was written");
    let Said { code, stderr, .. } = place.says(&[SHOW, &["--no-snapshot"]].concat());
    assert_eq!(code, Some(100), "{stderr}");
    let message = message.split_once(": ").expect("a status").1;
    assert!(stderr.contains(message) && stderr.contains("- wizer-initialize\n"), "{stderr}");
}

#[test]
fn what_differs_between_tasks_or_runs_is_refused() {
    const ARGUMENT: &str = "has no argument";
    const INPUTS: &str = "has no inputs";
    const RESULT: &str = "has no result";
    const TIME: &str = "may not ask for the time";
    for (call, name, why) in [
        ("(drop (call $arg_len))", "arg_len", ARGUMENT),
        ("(call $arg_read (i32.const 64))", "arg_read", ARGUMENT),
        ("(drop (call $args (i32.const 64) (i32.const 68)))", "args_get", ARGUMENT),
        ("(drop (call $task_index))", "task_index", "has no index"),
        ("(drop (call $input_count))", "input_count", INPUTS),
        ("(drop (call $input_find (i32.const 0) (i32.const 8)))", "input_find", INPUTS),
        ("(drop (call $input_len (i32.const 0)))", "input_len", INPUTS),
        ("(drop (call $input_map (i32.const 0) (i64.const 0) (i32.const 1)))", "input_map", INPUTS),
        (
            "(drop (call $input_map_at (i32.const 0) (i64.const 0) (i32.const 1) (i32.const 65536)))",
            "input_map_at",
            INPUTS,
        ),
        ("(call $input_read (i32.const 0) (i64.const 0) (i32.const 1) (i32.const 64))", "input_read", INPUTS),
        ("(drop (call $input_writable))", "input_writable", INPUTS),
        ("(drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 32)))", "fd_read", INPUTS),
        ("(call $write (i32.const 0) (i32.const 1))", "output_write", RESULT),
        ("(drop (call $output_map (i32.const 1)))", "output_map", RESULT),
        ("(drop (call $region_count))", "region_count", RESULT),
        ("(drop (call $region_find (i32.const 0) (i32.const 0)))", "region_find", RESULT),
        ("(drop (call $region_len (i32.const 0)))", "region_len", RESULT),
        ("(drop (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)))", "region_map", RESULT),
        ("(drop (call $resolution (i32.const 0) (i32.const 64)))", "clock_res_get", TIME),
        ("(drop (call $time (i32.const 0) (i64.const 0) (i32.const 64)))", "clock_time_get", TIME),
        ("(drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 32)))", "poll_oneoff", TIME),
        ("(drop (call $random (i32.const 64) (i32.const 8)))", "random_get", "may not use random numbers"),
    ] {
        is_refused(&place(call), &format!("trap: {name}: an initializer runs once for all tasks, so it {why}"));
    }
}

#[test]
fn a_trap_comes_with_its_lines_and_leaves_the_output_as_it_was() {
    let place = place("(drop (i32.div_u (i32.const 1) (i32.const 0)))");
    is_refused(&place, "trap: integer divide by zero");
    place.file("out.wasm", "earlier");
    assert_eq!(place.says(&["snapshot", "m.wat", "-o", "out.wasm"]).code, Some(1));
    assert_eq!(std::fs::read(place.path().join("out.wasm")).expect("a file"), b"earlier");
    // A panic's message, as the SDKs report it.
    let place = self::place("(call $fail (i32.const 0) (i32.const 8)) (unreachable)");
    is_refused(&place, "trap: data.txt (wasm `unreachable` instruction executed)");
    let place = self::place("(call $exit (i32.const 0))");
    let Said { stderr, .. } = place.says(SHOW);
    assert_eq!(
        stderr,
        "wrun: m.wat: its initializer `wizer-initialize` failed: error: exited with code 0 before it returned\n"
    );
}

#[test]
fn an_initializer_that_never_ends_or_takes_all_memory_is_stopped() {
    let place = place("(loop (br 0))");
    let limit = ["--compile-timeout", "1s"];
    for words in [&["snapshot", "m.wat", "-o", "out.wasm"][..], SHOW] {
        let told =
            "wrun: m.wat took longer to initialize than 1s; raise it with --compile-timeout (WRUN_COMPILE_TIMEOUT)\n";
        assert_eq!(place.says(&[words, &limit].concat()), said(1, "", told));
    }
    let timeout = ["--no-snapshot", "--timeout", "200ms"];
    assert_eq!(place.says(&[SHOW, &timeout].concat()).code, Some(100));

    let place = self::place("(loop (br_if 0 (i32.ne (memory.grow (i32.const 100)) (i32.const -1)))) (unreachable)");
    let limit = ["--compile-memory", "256M"];
    for words in [&["snapshot", "m.wat", "-o", "out.wasm"][..], SHOW] {
        let Said { code, stderr, .. } = place.says(&[words, &limit].concat());
        assert_eq!(code, Some(1));
        let says = "failed: limit: it needs 72286208 bytes of memory, and the limit is 67108864 bytes; \
                    raise it with --compile-memory (WRUN_COMPILE_MEMORY)\n";
        assert!(stderr.contains(says), "{stderr}");
    }
    assert!(!place.path().join("out.wasm").exists());
}

#[test]
fn files_and_variables_are_what_is_granted() {
    let place = place(
        "(drop (call $open)) (drop (call $fd_read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 32)))",
    );
    std::fs::create_dir(place.path().join("dir")).expect("a directory");
    place.file("dir/data.txt", "contents");
    place.file("data.txt", "secret!!");
    let none = "path_open: the initializer was granted no directory with this path; \
                make the snapshot with `wrun snapshot --dir HOST[::GUEST]`";
    is_refused(&place, &format!("denied: {none}"));
    // What is granted to tasks is theirs alone.
    let Said { code, stderr, .. } = place.says(&[SHOW, &["--dir", "dir::/"]].concat());
    assert!(code == Some(1) && stderr.contains(none), "{stderr}");
    let Said { code, stderr, .. } = place.says(&[SHOW, &["--no-snapshot", "--dir", "dir::/"]].concat());
    assert!(code == Some(100) && stderr.contains(none), "{stderr}");
    let snapshot = ["snapshot", "m.wat", "-o", "s.wasm"];
    assert_eq!(place.says(&[&snapshot[..], &["--dir", "dir::/"]].concat()), ok(""));
    assert_eq!(place.says(&["map", "s.wasm", "x"]), ok("contents\n"));

    let place = self::place(
        "(drop (call $environ_sizes (i32.const 32) (i32.const 36))) (drop (call $environ (i32.const 40) (i32.const 64)))
         (if (i32.eqz (i32.load (i32.const 32))) (then (i64.store (i32.const 64) (i64.const 0x656e6f6e656e6f6e))))",
    );
    let tasks_own = ["--env", "A=task"];
    assert_eq!(place.says(&[SHOW, &tasks_own].concat()), ok("nonenone\n"));
    assert_eq!(place.says(&[SHOW, &["--no-snapshot"], &tasks_own].concat()), ok("nonenone\n"));
    assert_eq!(place.says(&[&snapshot[..], &["--env", "A=12345\n"]].concat()), ok(""));
    assert_eq!(place.says(&["map", "s.wasm", "x"]), ok("A=12345\n"));
}

#[test]
fn what_an_initializer_prints_is_shown_once() {
    let print = "(i64.store (i32.const 64) (i64.const 0x2164696170657270))
                 (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))
                 (drop (call $fd_write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 32)))";
    let place = place(print);
    let shown = "info: prepaid!\ninfo: prepaid!\n";
    assert_eq!(place.says(&["snapshot", "m.wat", "-o", "s.wasm"]), said(0, "", shown));
    for option in [&[][..], &["--no-snapshot"]] {
        assert_eq!(place.says(&[SHOW, &["-v"], option].concat()).stdout, "prepaid!\n");
        assert!(!place.says(&[SHOW, option].concat()).stderr.contains("prepaid"));
    }
    let failing = self::place(&format!("{print} (unreachable)"));
    let Said { stderr, .. } = failing.says(SHOW);
    assert!(stderr.contains("failed: trap: prepaid! (wasm `unreachable`"), "{stderr}");
    assert!(stderr.contains("    | prepaid!\n"), "{stderr}");
}

#[test]
fn state_that_a_snapshot_cannot_hold_is_refused_in_one_line() {
    let task = r#"(memory (export "memory") 1) (func (export "wrun:task/show") (result i32) (i32.const 0))"#;
    for (parts, why) in [
        ("(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))", "unsupported `table.set` instruction"),
        ("(global (mut funcref) (ref.null func))", "unsupported mutable global containing a reference type"),
        (r#"(data $d "x") (func (data.drop $d))"#, "unsupported `data.drop` instruction"),
        (
            r#"(func (export "__wizer_x"))"#,
            "input Wasm module already exports entities named with the `__wizer_*` prefix",
        ),
    ] {
        let place = Place::new();
        place.file("m.wat", format!(r#"(module {parts} {task} (func (export "wizer-initialize")))"#));
        let line = format!("wrun: m.wat cannot have a snapshot: {why}");
        assert_eq!(place.says(&["snapshot", "m.wat", "-o", "s.wasm"]), said(1, "", &format!("{line}\n")));
        let advice = "use --no-snapshot to call its initializer in each instance";
        assert_eq!(place.says(SHOW), said(1, "", &format!("{line}; {advice}\n")));
        assert_eq!(place.says(&[SHOW, &["--no-snapshot"]].concat()).code, Some(0));
    }
    let place = Place::new();
    place.file("m.wat", r#"(module (import "env" "memory" (memory 1)) (func (export "wizer-initialize")))"#);
    place.file("c.wat", "(component)");
    let imports = "cannot have a snapshot: it imports a memory (env::memory), whose state is not its own";
    for (module, why) in [
        ("m.wat", imports),
        ("c.wat", "cannot have a snapshot: it is a component, and snapshots are made of core modules"),
        ("kit.wat", "has no initializer: it exports no `wizer-initialize`; name another one with --init"),
    ] {
        assert_eq!(place.says(&["snapshot", module, "-o", "s.wasm"]), said(1, "", &format!("wrun: {module} {why}\n")));
    }
    place.file("old.wat", r#"(module (memory (export "memory") 1) (func (export "wizer.initialize")))"#);
    let old = "wrun: old.wat has no initializer: it exports no `wizer-initialize`, but `wizer.initialize`; \
               name another one with --init\n";
    assert_eq!(place.says(&["snapshot", "old.wat", "-o", "s.wasm"]), said(1, "", old));
    assert_eq!(place.says(&["snapshot", "old.wat", "-o", "s.wasm", "--init", "wizer.initialize"]), ok(""));
    let wrong = "wrun: sqrt.wat exports `sqrt` as func (f64) -> (f64), and an initializer is a func () -> (); \
                 name another one with --init\n";
    assert_eq!(place.says(&["snapshot", "sqrt.wat", "-o", "s.wasm", "--init", "sqrt"]), said(1, "", wrong));
    let itself = "wrun: the output sqrt.wat is the module itself; name another with -o\n";
    assert_eq!(place.says(&["snapshot", "sqrt.wat", "-o", "sqrt.wat"]), said(2, "", itself));
    let nowhere = place.says(&["snapshot", "kit.wat", "-o", "no/s.wasm", "--init", "no"]);
    assert_eq!(nowhere.code, Some(1));
}

#[test]
fn a_snapshot_that_is_interrupted_leaves_nothing() {
    let place = place("(loop (br 0))");
    let mut child = place.wrun(&["snapshot", "m.wat", "-o", "out.wasm"]).spawn().expect("wrun starts");
    let pid = Pid::from_child(&child);
    let initializing = wait_for(|| snapshot_process(child.id()));
    kill_process(pid, Signal::INT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "{status}");
    wait_for(|| command_line(initializing).is_empty().then_some(()));
    let mut names: Vec<_> =
        std::fs::read_dir(place.path()).expect("a directory").collect::<Result<_, _>>().expect("names");
    names.retain(|name| !name.file_name().to_string_lossy().ends_with(".wat"));
    assert!(names.is_empty(), "{names:?}");
}

/// The child of this process that runs an initializer.
fn snapshot_process(parent: u32) -> Option<u32> {
    children_of(parent).into_iter().find(|child| command_line(*child).contains("__wrun\0snapshot\0"))
}

/// The command line of a process; empty once it has ended.
fn command_line(process: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default()
}

#[test]
fn the_dictionary_is_parsed_once_for_all_tasks() {
    let place = Place::new();
    let dictionary = guest("dictionary");
    let map = |options: &[&str]| place.says(&[&["map", &dictionary, "be", "bo"], options].concat());
    assert_eq!(map(&[]), ok("leketikibokobi 1\nlofanokafikebo 3\n"));
    assert_eq!(map(&["--no-snapshot"]), map(&[]));
    // To parse it takes far more instructions than to look a word up.
    let limit = ["--fuel", "1M"];
    assert_eq!(map(&limit), map(&[]));
    assert_eq!(map(&[&limit[..], &["--no-snapshot"]].concat()), map(&[]), "the limit is the task's");
}

#[test]
fn c_code_in_the_book_has_an_initializer() {
    if !built_guests().join("target/wasm/wordcount-c.wasm").exists() {
        eprintln!("skipped: there is no compiler for C (see `make guests`)");
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let page = std::fs::read_to_string(format!("{root}/docs/src/guide/snapshots.md")).expect("a page");
    let code = page.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of C");
    let place = Place::new();
    place.file("squares.c", code);
    let include = format!("-I{root}/guest-sdk/c");
    let words = ["--target=wasm32-wasi", "-mexec-model=reactor", "-O1", "-g", "-Wall", "-Werror", &include];
    let mut clang = Command::new("clang");
    clang.args(words).args(["squares.c", "-o", "squares.wasm"]).current_dir(place.path());
    assert!(clang.status().expect("clang").success());
    for option in [&[][..], &["--no-snapshot"]] {
        assert_eq!(place.says(&[&["map", "squares.wasm", "12", "999"], option].concat()), ok("144\n998001\n"));
    }
    // The lines of a trap are those of the source, in an initializer and after one.
    let traps = code.replace("if (n >= 1000)", "if (n >= 1000) __builtin_trap();\n    if (0)");
    place.file("squares.c", traps.replace("WRUN_INIT {", "WRUN_INIT {\n    if (getenv(\"TRAP\")) __builtin_trap();"));
    assert!(clang.status().expect("clang").success());
    let line = |of: &str| 1 + code.lines().position(|line| line.contains(of)).expect("a line");
    let Said { stderr, .. } = place.says(&["snapshot", "squares.wasm", "-o", "s.wasm", "--env", "TRAP=1"]);
    let place_in_initializer = format!("wrun_initializer at squares.c:{}:", line("WRUN_INIT") + 1);
    assert!(stderr.contains(&place_in_initializer), "{stderr}");
    let Said { stderr, .. } = place.says(&["map", "squares.wasm", "1000"]);
    assert!(stderr.contains(&format!("wrun_task_square at squares.c:{}:", line("if (n >=") + 1)), "{stderr}");
}
