//! `--fuel`: a task stops at the same instruction in every run.

use serde_json::Value;

use crate::cli::kit::{Place, why};

/// Logs a line in each round, for as many rounds as the argument has bytes, or forever if the argument is empty.
const ROUNDS: &str = r#"(module
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "round")
  (func (export "wrun:task/rounds") (result i32) (local $n i32)
    (block $end (loop $again
      (call $log (i32.const 3) (i32.const 0) (i32.const 5))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.ne (local.get $n) (call $arg_len)))))
    (i32.const 0)))"#;

/// Uses up all its fuel in its start function.
const STARTS: &str = r#"(module
  (func $spin (loop (br 0)))
  (start $spin)
  (func (export "f") (result i32) (i32.const 1)))"#;

/// The objects of `wrun map` with these arguments, and the lines that its tasks logged.
fn objects(place: &Place, args: &[&str]) -> (Vec<Value>, usize) {
    let said = place.says(&[&["map", "--json"], args].concat());
    let objects = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (objects, said.stderr.matches("round").count())
}

#[test]
fn a_task_stops_at_the_same_instruction_in_every_run() {
    let place = Place::new();
    place.file("rounds.wat", ROUNDS);
    let mut counts = Vec::new();
    for jobs in ["1", "1", "2"] {
        // With an empty item it keeps running: 2^32 rounds are more than the fuel allows.
        let (ended, lines) = objects(&place, &["rounds.wat", "--fuel", "3000", "--jobs", jobs, ""]);
        assert_eq!(ended[0]["status"], "limit");
        assert_eq!(why(&ended[0]), "it needs more fuel than the limit of 3000; raise it with --fuel");
        counts.push((lines, ended[0]["fuel"].as_u64().unwrap()));
    }
    assert!(counts[0].0 > 10, "{counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let (_, more) = objects(&place, &["rounds.wat", "--fuel", "6000", ""]);
    assert!(more > counts[0].0, "with more fuel it runs further");
}

#[test]
fn the_fuel_that_a_task_used_is_enough_for_it_and_half_is_not() {
    let place = Place::new();
    place.file("rounds.wat", ROUNDS);
    let (ended, _) = objects(&place, &["rounds.wat", "--fuel", "1000000", "ab", "abcd", "ab", "--reuse"]);
    let used: Vec<u64> = ended.iter().map(|object| object["fuel"].as_u64().unwrap()).collect();
    assert!(used[0] < used[1] && used[0] == used[2], "{used:?}");
    // Fuel is checked at the start of loops and functions.
    let (enough, too_little) = (used[0].to_string(), (used[0] / 2).to_string());
    assert_eq!(objects(&place, &["rounds.wat", "--fuel", &enough, "ab"]).0[0]["status"], "ok");
    assert_eq!(objects(&place, &["rounds.wat", "--fuel", &too_little, "ab"]).0[0]["status"], "limit");
    assert_eq!(objects(&place, &["rounds.wat", "ab"]).0[0]["fuel"], Value::Null, "it is counted only on request");
}

#[test]
fn a_start_function_uses_fuel() {
    let place = Place::new();
    place.file("starts.wat", STARTS);
    let (ended, _) = objects(&place, &["starts.wat", "--fuel", "10000", ""]);
    assert_eq!(ended[0]["status"], "limit", "{ended:?}");
}

#[test]
fn precompiled_code_must_count_fuel() {
    let place = Place::new();
    place.file("rounds.wat", ROUNDS);
    assert_eq!(place.says(&["compile", "rounds.wat", "-o", "plain.cwasm"]).code, Some(0));
    assert_eq!(place.says(&["compile", "rounds.wat", "-o", "counting.cwasm", "--count-fuel"]).code, Some(0));
    let run = |module: &str, fuel: &[&str]| {
        place.says(&[&["map", module, "--allow-precompiled", "ab", "--progress", "none"], fuel].concat())
    };
    assert_eq!(run("plain.cwasm", &[]).code, Some(0));
    assert_eq!(run("counting.cwasm", &[]).code, Some(0), "fuel without limit");
    assert_eq!(run("counting.cwasm", &["--fuel", "1000"]).code, Some(0));
    assert_eq!(run("counting.cwasm", &["--fuel", "1"]).code, Some(100));
    let refused = run("plain.cwasm", &["--fuel", "1000"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(
        refused.stderr,
        "wrun: module plain.cwasm was compiled without counting fuel; compile it again with `wrun compile --count-fuel`\n"
    );
}
