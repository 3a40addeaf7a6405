//! `--unknown-imports trap`: functions that wrun does not have trap when they are called, and not before.

use crate::cli::kit::{Place, objects, ok, said};

/// Calls an unknown function if its argument is not 0.
fn module(import: &str) -> String {
    format!(
        "(module (import {import} (func $unknown)) (memory (export \"memory\") 1)
            (func (export \"f\") (param i32) (result i32)
                (if (local.get 0) (then (call $unknown))) (i32.const 5)))"
    )
}

const ENV: &str = r#""env" "puts""#;

#[test]
fn an_unknown_function_traps_when_it_is_called_and_is_named() {
    let place = Place::new();
    place.file("m.wat", module(ENV));
    let trap = ["--unknown-imports", "trap"];
    assert_eq!(place.says(&["map", "m.wat", "0", "0", "--unknown-imports", "trap"]), ok("5\n5\n"));
    for backend in ["processes", "threads", "inline"] {
        let words = [&["map", "m.wat", "--json", "--backend", backend, "0", "1", "0"][..], &trap].concat();
        let said = place.says(&words);
        let tasks = objects(&said.stdout);
        let outputs: Vec<_> = tasks.iter().map(|task| task["output"].clone()).collect();
        assert_eq!(outputs, ["5".into(), serde_json::Value::Null, "5".into()], "{}", said.stdout);
        assert_eq!(tasks[1]["status"], "trap", "{}", said.stdout);
        assert_eq!(tasks[1]["error"], "it called env::puts, which wrun does not provide", "{}", said.stdout);
    }
    let run = place.says(&["run", "--unknown-imports", "trap", "m.wat", "1"]);
    let why = "wrun: m.wat failed: trapped: it called env::puts, which wrun does not provide";
    assert_eq!((run.code, run.stdout.as_str()), (Some(100), ""));
    assert!(run.stderr.starts_with(why), "{}", run.stderr);
    assert_eq!(place.says(&["run", "--unknown-imports", "trap", "m.wat", "0"]), ok("5\n"));
}

#[test]
fn unknown_functions_of_known_modules_trap_as_well() {
    let place = Place::new();
    for import in [r#""wrun_v1" "input_steal""#, r#""wasi_snapshot_preview1" "fork""#, r#""" """#] {
        place.file("m.wat", module(import));
        assert_eq!(place.says(&["map", "m.wat", "0", "--unknown-imports", "trap"]), ok("5\n"));
        let said = place.says(&["map", "m.wat", "1", "--unknown-imports", "trap"]);
        let name = import.replace("\" \"", "::").replace('"', "");
        assert!(said.stderr.contains(&format!("it called {name}, which wrun does not provide")), "{}", said.stderr);
    }
}

#[test]
fn names_of_unknown_functions_are_shown_harmlessly() {
    let place = Place::new();
    place.file("m.wat", module("\"env\" \"a\\u{1b}[2J\\n\\u{202e}b\""));
    let said = place.says(&["map", "m.wat", "1", "--unknown-imports", "trap"]);
    assert!(said.stderr.contains("it called env::a\\u{1b}[2J") && !said.stderr.contains('\u{1b}'), "{}", said.stderr);
}

#[test]
fn what_is_no_function_is_refused_all_the_same() {
    let place = Place::new();
    for (import, says) in [
        (
            r#"(import "env" "memory" (memory 1))"#,
            "env::memory, which wrun does not provide: a module brings its own memory",
        ),
        (r#"(import "env" "t" (table 1 funcref))"#, "env::t, which wrun does not provide"),
        (r#"(import "env" "g" (global i32))"#, "env::g, which wrun does not provide"),
        (r#"(import "wrun_v1" "arg_len" (func (result i64)))"#, "wrun_v1::arg_len as func () -> (i64), but it is"),
    ] {
        place.file("m.wat", format!("(module (import \"env\" \"puts\" (func)) {import} (func (export \"f\")))"));
        for command in ["map", "run"] {
            let refused = place.says(&[command, "--unknown-imports", "trap", "m.wat"]);
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
            assert!(refused.stderr.contains(&format!("module m.wat imports {says}")), "{}", refused.stderr);
            assert!(!refused.stderr.contains("--unknown-imports"), "{}", refused.stderr);
        }
    }
}

#[test]
fn the_command_line_that_runs_a_task_again_lets_it_trap_as_well() {
    let place = Place::new();
    place.file("m.wat", module(ENV));
    let failed = place.says(&["map", "m.wat", "1", "--unknown-imports", "trap"]);
    assert!(failed.stderr.contains("wrun run m.wat --unknown-imports trap --index 0"), "{}", failed.stderr);
}

#[test]
fn a_module_with_unknown_functions_can_be_precompiled_and_is_described() {
    let place = Place::new();
    place.file("m.wat", module(ENV));
    assert_eq!(place.says(&["compile", "m.wat"]), ok(""));
    let refused = place.says(&["map", "--allow-precompiled", "m.cwasm", "0"]);
    let advice = "link the library that defines it, or remove its use; use --unknown-imports trap to let it trap only when it is called";
    let line = format!("wrun: module m.cwasm imports env::puts, which wrun does not provide: {advice}\n");
    assert_eq!(refused, said(1, "", &line));
    let words = ["map", "--allow-precompiled", "--unknown-imports", "trap", "m.cwasm", "0"];
    assert_eq!(place.says(&words), ok("5\n"));
    let inspected = place.says(&["inspect", "m.wat"]).stdout;
    let line = format!("\nCannot be run: the module imports env::puts, which wrun does not provide: {advice}\n");
    assert!(inspected.contains(&line), "{inspected}");
}
