//! Every limit has an option, a default that ordinary tasks stay below, and a message that names the option.

use crate::cli::kit::{Place, why};
use crate::support::guest;

/// What `wrun map --json` prints for one task: status, and output or error.
#[track_caller]
fn ended(place: &Place, args: &[&str]) -> (String, String) {
    let said = place.says(&[&["map", "--json", "--progress", "none"], args].concat());
    let object: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    let text = object["output"].as_str().map_or_else(|| why(&object), str::to_owned);
    (object["status"].as_str().unwrap().to_owned(), text)
}

fn limit(message: &str) -> (String, String) {
    ("limit".into(), message.into())
}

fn ok(output: &str) -> (String, String) {
    ("ok".into(), output.into())
}

#[test]
fn the_length_of_an_item() {
    let place = Place::new();
    let long = "x".repeat(70_000);
    let list = place.file("list", format!("{long}\n"));
    let list = list.to_str().unwrap();
    let echo = ["kit.wat", "--call", "echo", "--items", list];
    let (status, error) = ended(&place, &echo);
    assert_eq!(
        (status.as_str(), error.as_str()),
        (
            "error",
            "item is longer than 65536 bytes; raise that with --max-argument, or put it into a file and use --files"
        )
    );
    assert_eq!(ended(&place, &[&echo[..], &["--max-argument", "70000"]].concat()), ok(&long));
    let refused = place.says(&["map", "kit.wat", "--call", "echo", "--max-argument", "2G", "a"]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(refused.stderr, "wrun: --max-argument cannot be more than 1073741824 bytes; pass more as an input\n");
    let short = place.says(&["map", "kit.wat", "--call", "echo", "--max-argument", "2", "abc"]);
    assert!(short.stderr.starts_with("wrun: item is longer than 2 bytes; raise that with --max-argument"), "{short:?}");
}

#[test]
fn the_number_of_memories_and_tables() {
    let place = Place::new();
    let module = |what: &str, count: usize| {
        format!("(module {} (func (export \"f\") (result i32) (i32.const 7)))", what.repeat(count))
    };
    for (what, option, most, allowed) in [("(memory 1)", "memories", 4, 16), ("(table 1 funcref)", "tables", 8, 16)] {
        place.file("few.wat", module(what, most));
        place.file("many.wat", module(what, most + 1));
        place.file("most.wat", module(what, allowed));
        place.file("too-many.wat", module(what, allowed + 1));
        assert_eq!(ended(&place, &["few.wat", ""]), ok("7"));
        let said = place.says(&["map", "many.wat", ""]);
        assert_eq!(said.code, Some(1));
        let count = most + 1;
        assert_eq!(
            said.stderr,
            format!(
                "wrun: module many.wat has {count} {option}, and the limit is {most}; raise it with --max-{option}\n"
            )
        );
        let flag = format!("--max-{option}");
        assert_eq!(ended(&place, &["many.wat", "", &flag, &count.to_string()]), ok("7"));
        assert_eq!(ended(&place, &["most.wat", "", &flag, "16"]), ok("7"));
        let said = place.says(&["map", "too-many.wat", "", &flag, "16"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("17") && said.stderr.lines().count() == 1, "{said:?}");
        assert_eq!(place.says(&["map", "most.wat", "", &flag, "17"]).code, Some(2));
    }
}

#[test]
fn the_size_of_a_table() {
    let place = Place::new();
    // Grows by this many elements, and fails if that is impossible.
    place.file(
        "table.wat",
        r#"(module (table 0 funcref)
             (func (export "grow") (param i32) (result i32)
               (if (i32.eq (table.grow (ref.null func) (local.get 0)) (i32.const -1)) (then unreachable))
               (table.size)))"#,
    );
    assert_eq!(ended(&place, &["table.wat", "250000"]), ok("250000"));
    let message = "it needs a table of 300000 elements, and the limit is 262144; raise it with --max-table-elements";
    assert_eq!(ended(&place, &["table.wat", "300000"]), limit(message));
    assert_eq!(ended(&place, &["table.wat", "300000", "--max-table-elements", "300000"]), ok("300000"));
    let message = "it needs 2000000 bytes of memory, and the limit is 1048576 bytes; raise it with --memory";
    assert_eq!(ended(&place, &["table.wat", "250000", "--memory", "1M"]), limit(message));
}

#[test]
fn the_bytes_of_log() {
    let place = Place::new();
    let args = ["map", "kit.wat", "--call", "log", "--progress", "none"];
    let said = place.says(&[&args[..], &["--max-log", "4", "abcde"]].concat());
    assert_eq!(said.stderr, "task 0 (abcde) warning: 1 more log lines (5 bytes) were dropped\n");
    let said = place.says(&[&args[..], &["--max-log", "5", "abcde"]].concat());
    assert_eq!(said.stderr, "task 0 (abcde): abcde\n");
}

#[test]
fn the_number_of_open_files() {
    let place = Place::new();
    let file = place.file("d-file", "x");
    let dir = format!("{}::/d", place.path().display());
    let module = guest("wasi-probe");
    let hoard = |files: &[&str]| {
        let args = [&[&module[..], "--dir", &dir, "x"], files, &["--", "hoard", "/d/d-file"]].concat();
        ended(&place, &args)
    };
    assert!(file.exists());
    assert_eq!(
        hoard(&[]),
        limit(
            "it has more files, directories and events of WASI than the limit of 1024; raise it with --max-open-files"
        )
    );
    assert_eq!(
        hoard(&["--max-open-files", "3000"]),
        limit(
            "it has more files, directories and events of WASI than the limit of 3000; raise it with --max-open-files"
        )
    );
    assert_eq!(place.says(&["map", "sqrt.wat", "2", "--max-open-files", "8193"]).code, Some(2));
}

#[test]
fn the_bytes_that_one_call_of_wasi_takes_over() {
    let place = Place::new();
    let module = guest("wasi-probe");
    let print = |bytes: &str, options: &[&str]| {
        ended(&place, &[&[&module[..], "x"], options, &["--", "print", bytes]].concat())
    };
    assert_eq!(print("2000000", &[]).1.len(), 2_000_001);
    let (status, error) = print("2000000", &["--max-host-call", "1M"]);
    assert_eq!(status, "limit", "{error}");
    assert!(
        error.ends_with(
            "(os error 48) (exit code 1); one call of WASI takes over at most 1048576 bytes; raise it with --max-host-call"
        ),
        "{error}"
    );
}

#[test]
fn random_bytes_of_one_call_are_limited_as_what_it_takes_over() {
    let place = Place::new();
    place.file(
        "random.wat",
        r#"(module (import "wasi_snapshot_preview1" "random_get" (func $get (param i32 i32) (result i32)))
            (memory (export "memory") 1200)
            (func (export "f") (param i32) (result i32) (call $get (i32.const 0) (local.get 0))))"#,
    );
    let get = |options: &[&str]| ended(&place, &[&["random.wat", "70000000"], options].concat());
    assert_eq!(get(&[]), ("ok".to_owned(), "0".to_owned()));
    let message = "it wants more random bytes at once than the limit of 1048576 bytes for one call of WASI; raise it with --max-host-call";
    assert_eq!(get(&["--max-host-call", "1M"]), ("limit".to_owned(), message.to_owned()));
}

#[test]
fn as_many_events_as_the_limit_says_can_be_polled_at_once() {
    let place = Place::new();
    // Zeros are events of a clock that come at once.
    place.file(
        "poll.wat",
        r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            (func (export "f") (param i32) (result i32) (local i32)
                (local.set 1 (call $poll (i32.const 0) (i32.const 131072) (local.get 0) (i32.const 262000)))
                (if (result i32) (local.get 1) (then (i32.sub (i32.const 0) (local.get 1))) (else (i32.load (i32.const 262000))))))"#,
    );
    let poll = |events: &str, options: &[&str]| ended(&place, &[&["poll.wat", events], options].concat());
    assert_eq!(poll("1024", &[]), ("ok".to_owned(), "1024".to_owned()));
    let message =
        "it has more files, directories and events of WASI than the limit of 1024; raise it with --max-open-files";
    assert_eq!(poll("1025", &[]), ("limit".to_owned(), message.to_owned()));
    assert_eq!(poll("1025", &["--max-open-files", "1025"]), ("ok".to_owned(), "1025".to_owned()));
}

#[test]
fn objects_say_that_memory_was_refused() {
    let place = Place::new();
    place.file(
        "grow.wat",
        "(module (memory 1) (func (export \"f\") (param i32) (result i32) (memory.grow (local.get 0))))",
    );
    let grow = |pages: &str, options: &[&str]| {
        let said = place.says(&[&["map", "grow.wat", "--json", pages], options].concat());
        let object: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
        ["output", "memory_refused", "memory_wanted_bytes"].map(|key| object[key].to_string())
    };
    assert_eq!(grow("15", &["--memory", "1M"]), [r#""1""#, "null", "null"]);
    assert_eq!(grow("16", &["--memory", "1M", "--joblog", "log"]), [r#""-1""#, "true", "1114112"]);
    let log = std::fs::read_to_string(place.path().join("log")).expect("a log");
    assert!(log.contains(r#""memory_refused":true,"memory_wanted_bytes":1114112"#), "{log}");
}
