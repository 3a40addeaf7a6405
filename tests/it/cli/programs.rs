//! WASI programs: what they print, before they pass and before they fail.

use serde_json::{Value, json};

use crate::cli::kit::{self, Place, Said, said};

/// Prints its item's first byte to standard output and more to standard error. Then it passes for an `o`, exits with code 3 for an
/// `x`, traps for a `t`.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "careful \ff\n")
  (func $print (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $len))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (local $item i32)
    (drop (call $args (i32.const 200) (i32.const 1000)))
    (local.set $item (i32.load (i32.const 204)))
    (call $print (i32.const 1) (local.get $item) (i32.const 1))
    (call $print (i32.const 2) (i32.const 100) (i32.const 10))
    (if (i32.eq (i32.load8_u (local.get $item)) (i32.const 120)) (then (call $exit (i32.const 3))))
    (if (i32.eq (i32.load8_u (local.get $item)) (i32.const 116)) (then (unreachable)))))"#;

fn place() -> Place {
    let place = Place::new();
    place.file("program.wat", PROGRAM);
    place
}

fn map(place: &Place, options: &[&str], items: &[&str]) -> Said {
    place.says(&[&["map", "program.wat"], options, items].concat())
}

/// The objects of `--json`, without what differs from run to run.
fn objects(text: &str) -> Vec<Value> {
    let mut objects = kit::objects(text);
    for object in &mut objects {
        let fields = object.as_object_mut().expect("an object");
        ["start", "seconds", "worker", "backtrace", "key", "rerun"].iter().for_each(|name| drop(fields.remove(*name)));
    }
    objects
}

/// What `--json` and a job log say of the items `ok`, `x1` and `t`.
fn expected() -> Vec<Value> {
    let careful = "Y2FyZWZ1bCD/Cg==";
    vec![
        json!({ "index": 0, "item": "ok", "status": "ok", "output": "o", "stderr_base64": careful, "attempts": 1 }),
        json!({
            "index": 1, "item": "x1", "status": "error", "stdout": "x", "stderr_base64": careful, "exit_code": 3,
            "error": "careful \u{fffd} (exit code 3)", "attempts": 1,
        }),
        json!({
            "index": 2, "item": "t", "status": "trap", "stdout": "t", "stderr_base64": careful,
            "error": "careful \u{fffd} (wasm `unreachable` instruction executed)", "attempts": 1,
        }),
    ]
}

#[test]
fn json_and_job_logs_have_what_programs_printed() {
    let place = place();
    let all = map(&place, &["--json", "--joblog", "log"], &["ok", "x1", "t"]);
    assert_eq!((all.code, objects(&all.stdout)), (Some(100), expected()));
    let mut logged = objects(&std::fs::read_to_string(place.path().join("log")).expect("a log"));
    logged.sort_by_key(|object| object["index"].as_u64());
    assert_eq!(logged, expected());
    let again = map(&place, &["--json", "--joblog", "log", "--resume"], &["ok", "x1", "t"]);
    assert_eq!((again.code, objects(&again.stdout)), (Some(100), expected()));
}

#[test]
fn results_have_what_failed_programs_printed() {
    let place = place();
    assert_eq!(map(&place, &["--results", "dir"], &["ok", "x1"]).code, Some(100));
    let file = |name: &str| std::fs::read_to_string(place.path().join("dir").join(name)).ok();
    assert_eq!((file("0.out").as_deref(), file("0.partial")), (Some("o"), None));
    assert_eq!((file("1.out"), file("1.partial").as_deref()), (None, Some("x")));
    assert_eq!(file("0.log").as_deref(), Some("careful \u{fffd}\n"));
    assert_eq!(file("1.err").as_deref(), Some("careful \u{fffd} (exit code 3)\n"));
}

#[test]
fn messages_show_what_failed_programs_printed() {
    let place = place();
    let all = map(&place, &[], &["ok", "x1"]);
    let lines = "task 0 (ok): careful \u{fffd}\n\
                 task 1 (x1) failed: careful \u{fffd} (exit code 3)\n\
                 it had printed:\n    x\n\
                 rerun: wrun run program.wat --index 1 x1\n\
                 wrun: 1 of 2 tasks failed\n";
    assert_eq!(all, said(100, "o\n", lines));
    let once = place.says(&["run", "program.wat", "--index", "1", "--item", "x1"]);
    let lines = "wrun: program.wat failed: careful \u{fffd} (exit code 3)\nit had printed:\n    x\n";
    assert_eq!(once, said(100, "", lines));
}

#[test]
fn cached_results_have_what_the_program_wrote_to_standard_error() {
    let place = place();
    let run = || {
        let mut command = place.wrun(&["map", "program.wat", "--json", "--cache", "ok"]);
        command.env("WRUN_CACHE_DIR", place.path().join("cache"));
        let all = kit::finish(command);
        (all.code, kit::objects(&all.stdout).remove(0))
    };
    for cached in [Value::Null, json!(true)] {
        let (code, object) = run();
        assert_eq!((code, &object["cached"], &object["stderr_base64"]), (Some(0), &cached, &json!("Y2FyZWZ1bCD/Cg==")));
    }
}

#[test]
fn a_core_dump_and_what_was_printed_come_together() {
    let place = place();
    let all = map(&place, &["--json", "--coredump", "dumps"], &["t"]);
    assert_eq!((all.code, &objects(&all.stdout)[0]["stdout"]), (Some(100), &json!("t")));
    let dumps: Vec<_> = std::fs::read_dir(place.path().join("dumps")).expect("dumps").flatten().collect();
    let dump = std::fs::read(dumps[0].path()).expect("a dump");
    assert!(dump.starts_with(b"\0asm") && !dump.ends_with(b"t"), "the dump ends where standard output begins");
}

#[test]
fn exit_codes_can_be_answers() {
    let place = place();
    let codes = |codes: &str, item: &str| {
        let all = map(&place, &["--json", "--ok-exit-codes", codes], &[item]);
        let task = kit::objects(&all.stdout).remove(0);
        let text = |field: &str| task[field].as_str().map(str::to_owned);
        (all.code, text("output"), text("error"), task["exit_code"].as_u64())
    };
    let careful = |code: u8| Some(format!("careful \u{fffd} (exit code {code})"));
    assert_eq!(codes("0,3", "x"), (Some(0), Some("x".into()), None, Some(3)));
    assert_eq!(codes("0,3", "o"), (Some(0), Some("o".into()), None, None));
    assert_eq!(codes("3", "o"), (Some(100), None, careful(0), None));
    assert_eq!(codes("4,5", "x"), (Some(100), None, careful(3), Some(3)));
    // A rerun line has them as well.
    let rerun = map(&place, &["--ok-exit-codes", "4,5"], &["x"]).stderr;
    let line = "rerun: wrun run program.wat --ok-exit-codes 4 --ok-exit-codes 5 --index 0 x\n";
    assert!(rerun.contains(line), "{rerun}");
    let once = ["run", "program.wat", "--ok-exit-codes", "3", "--index", "0", "x"];
    assert_eq!(place.says(&once), said(0, "x\n", "careful \u{fffd}\n"));
}

#[test]
fn exit_codes_that_mean_nothing_are_refused() {
    let place = place();
    let scalar = place.says(&["map", "sqrt.wat", "--ok-exit-codes", "3", "4"]);
    let why =
        "exit codes are for WASI programs, and \"sqrt\" of module sqrt.wat is no command, nor a task that can exit";
    assert_eq!(scalar, said(2, "", &format!("wrun: {why}\n")));
    let attached = place.says(&["run", "program.wat", "--ok-exit-codes", "3", "x"]);
    let line = "wrun: a command on this terminal passes its exit code on; leave --ok-exit-codes out\n";
    assert_eq!(attached, said(2, "", line));
    for codes in ["126", "-1", "x", ""] {
        assert_eq!(map(&place, &["--ok-exit-codes", codes], &["o"]).code, Some(2), "{codes:?}");
    }
}
