//! `--summary` and [`wrun::outcome::Summary`]: what a run cost.

use serde_json::{Value, json};
use wrun::outcome::{Summary, WorkerSummary};
use wrun::{Job, Status, Task};

use crate::cli::kit::{Place, objects};
use crate::support::{file, input, pattern, pool, task_module};

/// The last line of `--progress json`.
fn summary_event(stderr: &str) -> Value {
    objects(stderr).pop().expect("a summary")
}

#[test]
fn the_summary_counts_tasks_bytes_and_workers() {
    let place = Place::new();
    let all = place.map("fail-f", &["--summary", "-j1", "--progress", "none", "aa", "f", "b"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(100), "aa\nb\n"));
    let lines: Vec<&str> = all.stderr.lines().skip_while(|line| !line.contains("tasks:")).collect();
    assert_eq!(lines[0], "wrun: 3 tasks: 2 ok, 1 error");
    assert!(lines[1].contains("tasks/s; tasks ran for ") && lines[1].contains(": speed-up 0."), "{}", lines[1]);
    // The items, and the results of two tasks.
    assert_eq!(lines[2], "wrun: 0 B mapped, 7 B copied");
    let memory = "at most 192.00 KiB of memory each";
    assert!(lines[3].starts_with("wrun: worker 0: 3 tasks in ") && lines[3].ends_with(memory), "{}", lines[3]);
    assert_eq!(lines.len(), 4);
    let without = place.map("fail-f", &["-j1", "a"]);
    assert_eq!(without.stderr, "");
    for (summary, peak) in [(Some("--summary"), json!(192 << 10)), (None, json!(null))] {
        let objects = objects(&place.map("fail-f", &[&["--json", "a"], summary.as_slice()].concat()).stdout);
        assert_eq!(objects[0]["peak_memory_bytes"], peak, "{summary:?}");
    }
}

#[test]
fn what_is_mapped_is_told_from_what_is_copied() {
    let place = Place::new();
    // Two whole pages, and 100 bytes of a third.
    place.file("data", pattern(2 * 4096 + 100));
    let args = ["--summary", "-j1", "--progress", "json", "--raw", "--files", "data", "data"];
    let event = summary_event(&place.map("cat", &args).stderr);
    assert_eq!(event["event"], "summary");
    assert_eq!(event["mapped_bytes"], 2 * 8192);
    // The name, the unaligned edge, and the result.
    assert_eq!(event["copied_bytes"], 2 * ("data".len() + 100 + 2 * 4096 + 100));
    assert_eq!((&event["tasks"], &event["by_status"]["ok"]), (&2.into(), &2.into()));
    let (wall, busy) = (event["wall_seconds"].as_f64().expect("seconds"), event["busy_seconds"].as_f64());
    assert!(wall > 0.0 && busy.is_some_and(|busy| busy > 0.0 && busy < wall), "{event}");

    let large = summary_event(&place.map("zeros", &["--summary", "--progress", "json", "-j1", "ab"]).stderr);
    assert_eq!((&large["mapped_bytes"], &large["copied_bytes"]), (&0.into(), &((64 << 10) + 2).into()));
}

#[test]
fn merges_retries_and_tasks_of_a_log_are_told_apart() {
    let place = Place::new();
    let merged = place.map("echo", &["--summary", "--progress", "json", "--reduce", "join", "a", "b"]);
    let event = summary_event(&merged.stderr);
    assert_eq!((&event["tasks"], &event["merges"]), (&2.into(), &1.into()));

    let args = ["--reuse", "-j1", "--retries", "2", "--retry-delay", "1ms", "--progress", "json", "--summary"];
    let args = [&args[..], &["--joblog", "log", "--resume", "2"]].concat();
    let event = summary_event(&place.map("pass-on-call", &args).stderr);
    assert_eq!((&event["tasks"], &event["retries"], &event["flaky"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(event["workers"][0]["attempts"], 2);
    let again = summary_event(&place.map("pass-on-call", &args).stderr);
    assert_eq!((&again["tasks"], &again["ran_earlier"]), (&1.into(), &1.into()));
    assert_eq!((&again["busy_seconds"], &again["workers"]), (&0.0.into(), &Value::Array(Vec::new())));
}

#[test]
fn an_embedder_gets_the_same_numbers() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/grow") (result i32)
            (drop (call $map (i32.const 0)))
            (drop (memory.grow (call $arg (i32.const 0))))
            (i32.const 0))"#,
    );
    let data = file(&pattern(4096));
    let mut summary = Summary::new();
    let mut pool = pool(1);
    let tasks = [1u32, 3].map(|pages| Task::new(pages.to_le_bytes().to_vec()).input(input(&data)));
    let run = pool.map(&Job::new(&module), tasks.into_iter()).expect("a run");
    let ended: Vec<_> = run.observe(|event, _| summary.observe(event)).collect();
    summary.end();
    assert_eq!((summary.tasks(), summary.with_status(Status::Ok)), (2, 2));
    let peaks: Vec<u64> = ended.iter().map(|outcome| outcome.stats.usage.peak_memory_bytes).collect();
    assert_eq!(peaks, [2 << 16, 4 << 16], "windows that are pages of the file are not the task's memory");
    assert_eq!((summary.usage().mapped_bytes, summary.usage().copied_bytes), (2 * 4096, 8));
    let [WorkerSummary { attempts: 2, busy, peak_memory_bytes: 0x4_0000, .. }] = *summary.workers() else {
        panic!("{summary:?}")
    };
    assert_eq!(busy, ended.iter().map(|outcome| outcome.stats.duration).sum());
}
