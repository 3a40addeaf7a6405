//! Components that use the package `wrun:task` in ways that they must not.

use super::kit::DATA;
use crate::cli::kit::{Place, objects, why};
use crate::support::guest;

/// What a task of the guest `probe-component` tries, and how it ends.
const ACTS: &[(&str, &str, &str)] = &[
    ("hoard", "limit", "it has more handles of resources than the limit of 100000; drop some"),
    ("forge 1", "trap", "unknown handle index 1"),
    ("forge 4294967295", "trap", "unknown handle index 4294967295"),
    ("confuse n", "trap", "handle index 1 used with the wrong type"),
    ("flood", "limit", "its result is longer than the limit of 1000000 bytes; raise it with --max-output"),
    ("write 1000001", "limit", "its result is longer than the limit of 1000000 bytes; raise it with --max-output"),
    (
        "write 2000001",
        "limit",
        "one call of it passes on more than the limit of 2000000 bytes; raise it with --max-host-call",
    ),
    (
        "fail-long 2000000",
        "limit",
        "one call of it passes on more than the limit of 2000000 bytes; raise it with --max-host-call",
    ),
    ("slice-write 0 a", "trap", "output-slice.write(0, 1 bytes): this task has no output slice"),
    ("add n 1 1", "trap", "numbers.add(1): the shared memory has 1 numbers"),
    ("panic now", "trap", "\nthread '<unnamed>' (1) panicked at probe-component/src/lib.rs:"),
    ("fail", "error", ""),
];

#[test]
fn components_are_stopped_and_their_workers_go_on() {
    let place = Place::new();
    place.file("data", DATA);
    let probe = guest("probe-component");
    let mut args = vec!["map", &probe, "-j", "1", "--json", "--input", "d=data", "--shared", "n=numbers:8"];
    args.extend(["--max-output", "1000000", "--max-host-call", "2000000"]);
    // Between them, acts that succeed in the same worker.
    for (act, ..) in ACTS {
        args.extend([act, "read 0 18446744073709551615"]);
    }
    args.extend(["drop", "write 1000000", "fail-long 900000"]);
    let said = place.says(&args);
    let ended = objects(&said.stdout);
    assert!(!said.stderr.contains("worker"), "{}", said.stderr);
    for (index, (act, status, message)) in ACTS.iter().enumerate() {
        let (failed, passed) = (&ended[2 * index], &ended[2 * index + 1]);
        assert!(failed["status"] == *status && why(failed).starts_with(message), "{act}: {failed}");
        assert_eq!(passed["status"], "ok", "after {act}: {passed}");
    }
    let [dropped, written, long] = &ended[2 * ACTS.len()..] else { panic!("three more: {ended:?}") };
    assert_eq!((&dropped["status"], &written["status"]), (&"ok".into(), &"ok".into()));
    // The message of a failure has the limit of the log.
    assert_eq!(why(long).len(), 64 << 10);
}

#[test]
fn logs_have_their_limit() {
    let place = Place::new();
    let said = place.says(&["map", &guest("probe-component"), "log-much"]);
    assert_eq!(said.code, Some(0));
    assert!(said.stderr.len() < 100_000, "{} bytes", said.stderr.len());
    assert!(said.stderr.contains("more log lines ("), "{}", &said.stderr[said.stderr.len() - 200..]);
}

/// A component with a task that imports these functions of an interface.
fn component(interface: &str, functions: &str) -> String {
    format!(
        r#"(component
            (import "{interface}" (instance $imported {functions}))
            (core module $m (memory (export "memory") 1) (func (export "run") (result i32) unreachable))
            (core instance $i (instantiate $m))
            (type $result (result (error string)))
            (func (export "run") (result $result) (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#
    )
}

#[test]
fn other_interfaces_and_types_are_refused_before_the_first_task() {
    let place = Place::new();
    for (interface, functions, says) in [
        (
            "wrun:task/inputs@0.2.0",
            "",
            "imports wrun:task/inputs@0.2.0, which wrun does not provide: wrun gives version 0.1 of wrun:task",
        ),
        (
            "wrun:task/files@0.1.0",
            "",
            "imports wrun:task/files@0.1.0, which wrun does not provide: there is no such interface",
        ),
        (
            "wrun:task/context@0.1.0",
            r#"(export "index" (func (result u32)))"#,
            "cannot link the component: component imports instance `wrun:task/context@0.1.0`, but a matching implementation",
        ),
        (
            "wrun:task/context@0.1.0",
            r#"(export "secret" (func (result u32)))"#,
            "cannot link the component: component imports instance `wrun:task/context@0.1.0`, but a matching implementation",
        ),
    ] {
        place.file("other.wat", component(interface, functions));
        let said = place.says(&["map", "other.wat", "x"]);
        assert!(said.code == Some(1) && said.stderr.contains(says), "{interface} {functions}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
}
