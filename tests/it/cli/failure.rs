//! `wrun map` and failing tasks: retries, stopping early.

use crate::cli::kit::{Place, objects, said, texts};
use crate::support;

#[test]
fn flaky_tasks_are_reported_and_counted() {
    let place = Place::new();
    let args = ["--reuse", "-j1", "--retries", "2", "--retry-delay", "1ms", "3x"];
    let stderr = "task 0 (3x) passed on attempt 3 of 3 (flaky); attempt 1: 3x; attempt 2: 3x\n\
                  wrun: 1 of 1 tasks were flaky\n";
    assert_eq!(place.map("pass-on-call", &args), said(0, "3x\n", stderr));

    let verbose = place.map("pass-on-call", &[&args[..], &["-v"]].concat());
    let lines: Vec<&str> = verbose.stderr.lines().collect();
    assert_eq!(lines[0], "task 0 (3x): error on attempt 1; the next one follows after 1ms");
    assert_eq!(lines[1], "task 0 (3x): error on attempt 2; the next one follows after 2ms");
    assert!(lines[2].starts_with("task 0 (3x): ok in "), "{lines:?}");

    let json = place.map("pass-on-call", &[&args[..], &["--json", "--progress=json"]].concat());
    let result = &objects(&json.stdout)[0];
    assert_eq!((&result["status"], &result["attempts"]), (&"ok".into(), &3.into()));
    let events = objects(&json.stderr);
    let flaky = events.iter().find(|event| event["event"] == "flaky").expect("an event");
    assert_eq!(flaky["earlier"], serde_json::json!(["error: 3x", "error: 3x"]));
    assert_eq!(events.last().expect("an end")["flaky"], 1);

    let args = ["--reuse", "-j1", "--retries", "1", "--retry-delay", "1ms", "3"];
    let stderr = "task 0 (3) failed after 2 attempts: 3\n";
    let failed = place.map("pass-on-call", &args);
    assert!(failed.stderr.starts_with(stderr) && failed.stderr.ends_with("wrun: 1 of 1 tasks failed\n"), "{failed:?}");
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(100), ""));
}

#[test]
fn retried_items_are_merged() {
    let place = Place::new();
    let args = ["--reuse", "-j1", "--retries", "3", "--retry-delay", "1ms", "--reduce", "cat", "3"];
    let stderr = "task 0 (3) passed on attempt 3 of 4 (flaky); attempt 1: 3; attempt 2: 3\n\
                  wrun: 1 of 1 tasks were flaky\n";
    assert_eq!(place.map("pass-on-call", &args), said(0, "3\n", stderr));
}

#[test]
fn files_whose_results_wait_for_a_retry_are_not_too_many() {
    let place = Place::new();
    let names: Vec<String> =
        (0..2000).map(|index| format!("{}{index:04}", if index == 0 { 'f' } else { 'x' })).collect();
    names.iter().for_each(|name| drop(place.file(name, "")));
    place.file("list", names.join("\n"));
    // The first task fails, because of its name, and holds all others back; the limit does not allow this many open files.
    let line = format!(
        "ulimit -n 1000; exec {} map kit.wat --call fail-f -j2 --files --items list --retries 1 --retry-delay 300ms",
        support::WRUN
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).current_dir(place.path()).env_clear().env("WRUN_CACHE_DIR", support::cache_dir());
    let said = texts(shell.output().expect("a shell"));
    assert_eq!(said.stderr.lines().next(), Some("task 0 (f0000) failed after 2 attempts: f0000"));
    assert_eq!(said.stderr.lines().last(), Some("wrun: 1 of 2000 tasks failed"));
    assert_eq!(said.stdout, names[1..].join("\n") + "\n");
}

#[test]
fn failures_stop_a_run_that_asks_for_it() {
    let place = Place::new();
    let endless: String = (0..100_000).map(|index| format!("f{index}\n")).collect();
    for (halt, line) in [
        ("soon", "wrun: halted: 1 task failed (--halt soon)\n"),
        ("now,fail=3", "wrun: halted: 3 tasks failed (--halt now,fail=3)\n"),
        ("soon,fail=100%", "wrun: halted: 3 of 3 tasks failed (--halt soon,fail=100%)\n"),
    ] {
        let said = place.map_lines("fail-f", &["-j1", "--halt", halt], &endless);
        assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""), "{halt}");
        assert_eq!(said.stderr.matches("halted").count(), 1, "{halt}: {}", said.stderr);
        assert!(said.stderr.contains(line), "{halt}: {}", said.stderr);
        let last = said.stderr.lines().last().expect("a summary");
        assert!(last.starts_with("wrun: stopped early; tasks done: "), "{halt}: {last}");
    }
    let all = place.map("fail-f", &["-j1", "--halt", "never", "f1", "a", "f2", "b"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(100), "a\nb\n"));
}

#[test]
fn what_was_done_before_a_run_was_stopped_is_printed() {
    let place = Place::new();
    let said = place.map("fail-f", &["-j1", "--halt", "now", "a", "b", "f"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), "a\nb\n"), "{said:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    for (args, why) in [
        (
            &["--halt", "later"][..],
            "invalid value 'later' for '--halt <never|soon|now[,fail=N|N%]>': give never, soon or now",
        ),
        (&["--halt", "soon,fail=0"], "fail=0 is neither a number above 0 nor a percentage from 1% to 100%"),
        (&["--retries", "-1"], "invalid value '-1' for '--retries <N>'"),
    ] {
        let said = place.map("echo", &[args, &["x"]].concat());
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.stderr.contains(why) && said.stderr.lines().count() == 1, "{}", said.stderr);
    }
}
