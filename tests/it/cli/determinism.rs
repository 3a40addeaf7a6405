//! Results are the same bytes for any number of workers and any order in which tasks end.

use serde_json::Value;

use crate::cli::kit::{Place, finish};

/// Prints the time and random bytes that WASI gives it.
const CLOCK_AND_RANDOM: &str = r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $time (i32.const 0) (i64.const 1) (i32.const 64)))
    (drop (call $time (i32.const 1) (i64.const 1) (i32.const 72)))
    (drop (call $random (i32.const 80) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 32))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Checks that these arguments give the same output with any number of workers; returns it.
fn same(place: &Place, code: i32, args: &[&str], essence: impl Fn(&str) -> String) -> String {
    let said = |jobs: &str| {
        let said = finish(place.wrun(&[&["map", "-j", jobs], args].concat()));
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.stderr);
        essence(&said.stdout)
    };
    let one = said("1");
    for jobs in ["2", "7", "7"] {
        assert!(said(jobs) == one, "{args:?}: {jobs} workers and one worker give different results");
    }
    one
}

fn all(text: &str) -> String {
    text.to_owned()
}

/// JSON lines without the fields that say when and where a task ran.
fn what_is_no_accident(lines: &str) -> String {
    let lines = lines.lines().map(|line| {
        let mut object: Value = serde_json::from_str(line).expect("an object");
        let object = object.as_object_mut().expect("an object");
        for accident in ["start", "seconds", "worker"] {
            assert!(object.remove(accident).is_some(), "{line}");
        }
        serde_json::to_string(object).expect("JSON") + "\n"
    });
    lines.collect()
}

#[test]
fn results_are_the_same_on_any_number_of_workers() {
    let place = Place::new();
    let lines: String = (0..3000).map(|line| format!("{line:x}\n")).collect();
    place.file("lines", &lines);

    assert_eq!(same(&place, 0, &["kit.wat", "--call", "echo", "--items", "lines"], all), lines);
    let split = ["kit.wat", "--call", "cat", "--raw", "--split", "500", "lines"];
    assert_eq!(same(&place, 0, &split, all), lines);
    // The brackets show the shape of the tree.
    let merged = same(&place, 0, &["kit.wat", "--call", "echo", "--reduce", "join", "--items", "lines"], all);
    assert!(merged.len() > lines.len(), "{merged}");
}

#[test]
fn failures_are_the_same_on_any_number_of_workers() {
    let place = Place::new();
    let items: String = (0..600).map(|n| format!("{}{n}\n", if n % 3 == 0 { "f" } else { "" })).collect();
    place.file("items", items);
    let args = ["kit.wat", "--call", "fail-f", "--json", "--items", "items"];
    let objects = same(&place, 100, &args, what_is_no_accident);
    assert_eq!(objects.lines().filter(|line| line.contains(r#""status":"error""#)).count(), 200);
}

#[test]
fn the_time_and_the_random_numbers_of_a_task_are_the_same_on_any_number_of_workers() {
    let place = Place::new();
    place.file("world.wat", CLOCK_AND_RANDOM);
    place.file("items", (0..200).map(|n| format!("{n}\n")).collect::<String>());
    let objects = same(&place, 0, &["world.wat", "--json", "--items", "items"], what_is_no_accident);
    let outputs: std::collections::HashSet<String> = objects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
        .map(|object| object.get("output").or(object.get("output_base64")).expect("a result").to_string())
        .collect();
    assert_eq!(outputs.len(), 200, "the control: random numbers of their own");
}
