//! The Rust SDK in real workers: every extractor, every kind of result, panics, errors and logs.

use wrun::job::InputMode;
use wrun::{Compiler, Input, Job, Module, Outcome, Status, Task};

use crate::support::{self, WRUN, outcomes, text};

fn probe() -> Module {
    let compiler = Compiler { exe: Some(WRUN.into()), cache_dir: Some(support::cache_dir()), ..Compiler::default() };
    compiler.load(support::guest("probe")).expect("the guest of this test")
}

fn call(name: &str, task: impl Into<Task>) -> Outcome {
    outcomes(&Job::new(&probe()).call(name), std::iter::once(task.into())).remove(0)
}

fn failure(outcome: &Outcome) -> (Status, &str) {
    let error = outcome.result.as_ref().expect_err("a failure");
    (error.status, &error.message)
}

#[test]
fn a_panic_reaches_the_user_with_its_message_and_place() {
    let outcome = call("panic", "the roof is on fire");
    let (status, message) = failure(&outcome);
    assert_eq!(status, Status::Trap);
    assert!(message.starts_with("panicked at probe/src/lib.rs:9:5: the roof is on fire"), "{message}");
    let backtrace = outcome.result.as_ref().expect_err("a failure").backtrace.as_deref().unwrap_or_default();
    let first = backtrace.lines().next().unwrap_or_default();
    assert!(first.ends_with("probe::panic at probe/src/lib.rs:9:5"), "the task comes first: {backtrace}");
    assert!(!backtrace.contains("panicking"), "{backtrace}");
}

#[test]
fn arguments_come_as_text_bytes_numbers_and_json() {
    assert_eq!(text(&call("reverse", "größe")), "eßörg");
    assert_eq!(text(&call("sum_bytes", vec![255, 0, 1])), "256");
    assert_eq!(text(&call("double", "-21")), "-42");
    assert_eq!(text(&call("area", r#"{"width": 2, "height": 1.5}"#)), r#"{"area":3.0}"#);
}

#[test]
fn arguments_that_do_not_parse_are_named() {
    let outcome = call("double", "twelve");
    let (status, message) = failure(&outcome);
    assert_eq!(status, Status::Error);
    assert!(message.contains("twelve") && message.contains("i64"), "{message}");
    let outcome = call("area", r#"{"width": 2}"#);
    let (status, message) = failure(&outcome);
    assert_eq!(status, Status::Error);
    assert!(message.contains("height"), "{message}");
}

#[test]
fn a_task_knows_its_position_and_its_inputs() {
    let ended = outcomes(&Job::new(&probe()).call("index"), 0..5);
    assert_eq!(ended.iter().map(text).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    let own = Input::from_bytes("own", b"12345").expect("memory");
    let data = Input::from_bytes("data", b"123").expect("memory");
    let job = Job::new(&probe()).call("inputs").input("data", data);
    assert_eq!(text(&outcomes(&job, std::iter::once(Task::new("").input(own))).remove(0)), "5,3 data=1");
    let without = call("inputs", "");
    assert!(failure(&without).1.contains("data"), "{:?}", failure(&without));
}

#[test]
fn inputs_are_slices_where_they_are_aligned_and_lines_anywhere() {
    let bytes: Vec<u8> = [1.5f64, 2.25, -0.75].iter().flat_map(|number| number.to_le_bytes()).collect();
    let input = Input::from_bytes("numbers", &bytes).expect("memory");
    assert_eq!(text(&call("sum_f64", Task::new("").input(input.slice(8..24).expect("a range")))), "1.5");
    let crooked = call("sum_f64", Task::new("").input(input.slice(4..20).expect("a range")));
    assert_eq!(failure(&crooked).0, Status::Error);
    assert!(failure(&crooked).1.contains("align"), "{}", failure(&crooked).1);
    let short = call("sum_f64", Task::new("").input(input.slice(0..20).expect("a range")));
    assert_eq!(failure(&short).0, Status::Error);

    let lines = Input::from_bytes("lines", b"one\nthree\n\nfour").expect("memory");
    assert_eq!(text(&call("lines", Task::new("").input(lines))), "4 5");
}

#[test]
fn results_can_be_written_in_place() {
    for len in [0usize, 1, 100, 65_536, 65_537, 3_000_000] {
        let outcome = call("filled", len.to_string());
        let output = outcome.result.as_ref().expect("a result");
        assert_eq!(output.len(), len);
        assert!(output.iter().all(|&byte| byte == b'x'), "{len}");
    }
}

#[test]
fn errors_and_logs_reach_the_caller() {
    assert_eq!(failure(&call("fail-with", "no such luck")), (Status::Error, "no such luck"));
    let outcome = call("logs", "x");
    let mut lines: Vec<(i32, &str)> = outcome.log.iter().map(|line| (line.level as i32, &*line.text)).collect();
    lines.sort_unstable();
    let expected = [(1, "error x"), (2, "warn x"), (3, "info x"), (3, "printed x"), (4, "debug x"), (5, "trace x")];
    assert_eq!(lines, expected);
}

#[test]
fn inputs_are_written_in_private_copies() {
    let file = support::file(b"abcdef");
    let job = Job::new(&probe()).call("reverse_input").input_mode(InputMode::CopyOnWrite);
    let task = || std::iter::once(Task::from(support::input(&file)));
    assert_eq!(text(&outcomes(&job, task())[0]), "fedcba");
    assert_eq!(std::fs::read(file.path()).expect("the file"), b"abcdef");
    let read_only = Job { input_mode: InputMode::ReadOnly, ..job };
    let message = "inputs are read-only in this run: use --input-mode cow";
    assert_eq!(failure(&outcomes(&read_only, task())[0]), (Status::Error, message));
}
