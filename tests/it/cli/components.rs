//! Components: commands of WASI preview 2.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cli::kit::{Place, Said, objects};

/// Builds `components/program.rs` as a component, once.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component.wasm");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/components/program.rs");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--target", "wasm32-wasip2", "-O", "-o"]).arg(&program).arg(source);
        let output = rustc.output().expect("rustc");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "run `rustup target add wasm32-wasip2` if that is missing: {said}");
        program
    })
}

fn place() -> Place {
    let place = Place::new();
    std::fs::copy(program(), place.path().join("program.wasm")).expect("a copy");
    place
}

fn map(place: &Place, options: &[&str], items: &[&str]) -> Said {
    place.says(&[&["map", "program.wasm"], options, items].concat())
}

fn printed(text: &str) -> (Option<i32>, String, String) {
    (Some(0), text.to_owned(), String::new())
}

fn parts(said: Said) -> (Option<i32>, String, String) {
    (said.code, said.stdout, said.stderr)
}

#[test]
fn a_component_gets_arguments_and_prints_its_result() {
    let place = place();
    let words = "[\"program.wasm\", \"args\"]\n[\"program.wasm\", \"args\"]\n";
    assert_eq!(parts(map(&place, &[], &["args", "args"])), printed(words));
    let said = map(&place, &[], &["x", "--", "args", "a {}", "b"]);
    assert_eq!(parts(said), printed("[\"program.wasm\", \"args\", \"a x\", \"b\"]\n"));
    let said = place.says(&["run", "program.wasm", "args", "1", "2"]);
    assert_eq!(parts(said), printed("[\"program.wasm\", \"args\", \"1\", \"2\"]"));
}

#[test]
fn a_file_or_piece_is_its_standard_input() {
    let place = place();
    place.file("a.txt", "1\n2\n3\n4\n");
    assert_eq!(parts(map(&place, &["--files"], &["a.txt", "--", "stdin"])), printed("8 bytes, 4 lines\n"));
    let said = map(&place, &["--split", "4"], &["a.txt", "--", "stdin"]);
    assert_eq!(parts(said), printed("4 bytes, 2 lines\n4 bytes, 2 lines\n"));
}

#[test]
fn its_time_and_random_numbers_are_the_same_in_every_run() {
    let place = place();
    let sleep = printed("(3600, 3600) since 946684800\n");
    assert_eq!(parts(map(&place, &[], &["sleep"])), sleep, "an hour passes at once");
    let random = parts(map(&place, &[], &["random", "random"]));
    assert_eq!(parts(map(&place, &[], &["random", "random"])), random);
    let lines: Vec<&str> = random.1.lines().collect();
    assert_ne!(lines[0], lines[1], "tasks differ");
    assert_ne!(parts(map(&place, &["--seed", "7"], &["random"])).1.trim(), lines[0]);
}

#[test]
fn a_failure_has_its_words_and_its_stack_trace() {
    let place = place();
    let said = map(&place, &["--json"], &["exit", "panic"]);
    let ended = objects(&said.stdout);
    // The standard library knows only success and failure.
    let exit = &ended[0];
    assert_eq!((&exit["status"], &exit["exit_code"]), (&"error".into(), &1.into()), "{exit}");
    assert_eq!((&exit["stdout"], &exit["stderr"]), (&"out".into(), &"err".into()), "{exit}");
    let panic = &ended[1];
    assert_eq!(panic["status"], "trap");
    assert!(panic["error"].as_str().expect("words").contains("oh no"), "{panic}");
    assert!(panic["backtrace"].as_str().expect("a stack trace").contains("program::main"), "{panic}");
    assert_eq!(place.says(&["run", "program.wasm", "exit"]).code, Some(1));
}

#[test]
fn limits_hold_for_it() {
    let place = place();
    let said = map(&place, &["--json", "--timeout", "300ms"], &["memory", "loop"]);
    let ended = objects(&said.stdout);
    assert_eq!(ended[0]["status"], "limit", "{}", ended[0]);
    assert_eq!(ended[0]["hint"], "raise it with --memory", "{}", ended[0]);
    assert_eq!(ended[1]["status"], "timeout", "{}", ended[1]);
    assert!(ended[1]["error"].as_str().expect("words").contains("program::main"), "{}", ended[1]);
    assert_eq!(objects(&map(&place, &["--json", "--fuel", "5M"], &["loop"]).stdout)[0]["status"], "limit");
    let said = map(&place, &["--max-memories", "0"], &["args"]);
    assert!(
        said.stderr.contains("has 1 memories, and the limit is 0; raise it with --max-memories"),
        "{}",
        said.stderr
    );
}

#[test]
fn it_sees_only_what_is_granted() {
    let place = place();
    std::fs::create_dir(place.path().join("d")).expect("a directory");
    place.file("d/in.txt", "hello");
    let said = map(&place, &["--json"], &["x", "--", "read", "d/in.txt"]);
    let refused = &objects(&said.stdout)[0];
    assert_eq!(refused["status"], "denied", "{refused}");
    assert!(refused["hint"].as_str().expect("advice").contains("--dir"), "{refused}");
    assert_eq!(parts(map(&place, &["--dir", "d::/"], &["x", "--", "read", "in.txt"])), printed("5\n"));
    let written = printed("1000000 [\"in.txt\", \"out.txt\"]\n");
    assert_eq!(parts(map(&place, &["--dir", "d::.:rw"], &["x", "--", "write", "out.txt"])), written);
    assert_eq!(std::fs::read(place.path().join("d/out.txt")).expect("a file").len(), 1_000_000);
    let said = map(&place, &["--json", "--dir", "d::."], &["x", "--", "write", "new.txt"]);
    assert_eq!(objects(&said.stdout)[0]["status"], "denied", "the directory is read-only");
    assert_eq!(parts(map(&place, &[], &["connect"])), printed("PermissionDenied\n"));
    assert_eq!(parts(map(&place, &["--env", "A=b"], &["x", "--", "variable", "A"])), printed("Ok(\"b\")\n"));
}

#[test]
fn it_is_compiled_once_cached_and_resumed() {
    let place = place();
    let said = place.says(&["compile", "program.wasm", "--output", "program.cwasm"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let said = place.says(&["run", "program.cwasm", "--allow-precompiled", "args"]);
    assert_eq!(parts(said), printed("[\"program.cwasm\", \"args\"]"));
    let run = |extra: &[&str]| place.says(&[&["map", "program.wasm", "--cache", "--summary"], extra].concat());
    assert_eq!(run(&["args"]).stdout, run(&["args"]).stdout);
    assert!(run(&["args"]).stderr.contains("(1 from earlier runs)"), "{}", run(&["args"]).stderr);
    let logged = ["--joblog", "log", "args", "random"];
    let first = map(&place, &logged, &[]);
    let again = map(&place, &[&logged[..], &["--resume"]].concat(), &[]);
    assert_eq!((first.code, &first.stdout), (Some(0), &again.stdout));
}

#[test]
fn inspect_describes_it() {
    let place = place();
    let said = place.says(&["inspect", "program.wasm"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    for part in ["  command   wasi:cli/run (WASI preview 2)\n", "\n  wasi:cli: environment@0.2.", "files (--dir)"] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let said = place.says(&["inspect", "--json", "program.wasm"]);
    let described = &objects(&said.stdout)[0];
    assert_eq!((&described["component"], &described["command"]), (&true.into(), &true.into()));
}

#[test]
fn components_for_other_worlds_are_refused() {
    let place = place();
    for (text, says) in [
        ("(component)", "offers nothing to call"),
        (
            r#"(component (import "wasi:http/types@0.2.0" (instance)) (core module))"#,
            "imports wasi:http/types@0.2.0, which wrun does not provide: tasks have no network",
        ),
        (
            r#"(component (import "own:kv/store" (instance)))"#,
            "imports own:kv/store, which wrun does not provide: only interfaces of the world wasi:cli/command 0.2 and of wrun:task 0.1 are",
        ),
        ("(component (core module (func (result i32) (i64.const 0))))", "is not a valid component: type mismatch"),
        (
            "(component (core func (canon task.cancel)))",
            "uses the component model's async functions, which wrun does not run: build it for WASI 0.2",
        ),
        (
            "(component (core module (memory 1 1 (pagesize 1))) (core func (canon task.cancel)))",
            "uses the component model's async functions and custom page sizes, which wrun does not run",
        ),
        (
            "(component (core module (memory 1 1 shared)))",
            "uses a shared memory, which wrun does not run: tasks have no threads",
        ),
    ] {
        place.file("other.wat", text);
        let said = place.says(&["map", "other.wat", "x"]);
        assert!(said.code == Some(1) && said.stderr.contains(says), "{text}: {said:?}");
    }
}

#[test]
fn it_exits_with_a_code() {
    let place = Place::new();
    let program = r#"(component
        (import "wasi:cli/exit@0.2.12" (instance $exit (export "exit-with-code" (func (param "status-code" u8)))))
        (core func $exit (canon lower (func $exit "exit-with-code")))
        (core module $m
            (import "exit" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 42)) unreachable))
        (core instance $m (instantiate $m (with "exit" (instance (export "exit" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $m "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.12" (instance $run)))"#;
    place.file("exits.wat", program);
    assert_eq!(place.says(&["run", "exits.wat"]).code, Some(42));
    let ended = &objects(&place.says(&["map", "exits.wat", "--json", "x"]).stdout)[0];
    assert_eq!((&ended["status"], &ended["exit_code"]), (&"error".into(), &42.into()), "{ended}");
}

#[test]
fn core_dumps_are_of_modules_only() {
    let place = place();
    let said = map(&place, &["--coredump", "dumps"], &["panic"]);
    let says = "wrun: program.wasm is a component, and core dumps are of modules only; leave --coredump out\n";
    assert_eq!((said.code, said.stderr.as_str()), (Some(2), says));
}

#[test]
fn components_that_no_worker_has_room_for_are_refused() {
    let place = place();
    for (body, instances, says) in [
        ("", 256, "has 257 core module instances, and wrun runs components with at most 256"),
        ("(memory 1)", 16, "has 17 Wasm linear memories, and wrun runs components with at most 16"),
        ("(table 1 funcref)", 64, "has 65 tables, and wrun runs components with at most 64"),
        (
            "(table 300000 funcref)",
            1,
            "has a table of 300000 elements, and the limit is 262144; raise it with --max-table-elements",
        ),
    ] {
        let instances = "(core instance (instantiate $m))".repeat(instances);
        place.file(
            "large.wat",
            format!(
                r#"(component
                (core module $m {body} (func (export "run") (result i32) (i32.const 0)))
                {instances}
                (core instance $i (instantiate $m))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $run (export "run" (func $run)))
                (export "wasi:cli/run@0.2.0" (instance $run)))"#
            ),
        );
        let said = place.says(&["map", "large.wat", "x"]);
        assert!(said.code == Some(1) && said.stderr.contains(says), "{said:?}");
    }
}
