//! Time limits derived from the median of other tasks, and slow tasks.

use std::cell::RefCell;
use std::time::Duration;

use wrun::job::TaskTime;
use wrun::{Event, Job, Limits, Status};

use crate::cli::kit::{Place, objects, said};
use crate::support::{Flag, pool, task_module};

/// Tasks that wait for their input, if they have one.
fn job() -> Job {
    let wait = r#"(func (export "wrun:task/wait") (result i32)
        (if (call $input_count) (then (call $wait (call $map (i32.const 0)))))
        (i32.const 0))"#;
    Job::new(&task_module("1", wait))
}

#[test]
fn a_task_is_stopped_by_the_median_of_the_others() {
    let place = Place::new();
    let all = place.map("loop-l", &["-j2", "--timeout", "300%", "--tag", "l", "a", "b", "c"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(100), "a\ta\nb\tb\nc\tc\n"));
    let message =
        "task 0 (l) failed: timed out after 100.0ms (more than 300% of the median, which is the limit above 100.0ms) ";
    assert!(all.stderr.starts_with(message), "{}", all.stderr);
    for wrong in ["0%", "x%", "1.5%"] {
        let refused = place.map("echo", &["--timeout", wrong, "a"]);
        assert_eq!(refused.code, Some(2), "{wrong}: {}", refused.stderr);
        assert!(refused.stderr.contains("for '--timeout <TIME|N%>'"), "{}", refused.stderr);
    }
}

#[test]
fn without_enough_tasks_that_passed_there_is_no_median() {
    let flag = Flag::new();
    let limited = job().limits(Limits { timeout: Some(TaskTime::OfMedian { percent: 1 }), ..Limits::default() });
    // Two tasks pass, which is one too few; the third waits longer than the shortest limit.
    let tasks = vec!["a".into(), "b".into(), wrun::Task::new("wait").input(flag.input())];
    let mut pool = pool(1);
    let run =
        pool.map(&Job { slow: Some((2 * TaskTime::SHORTEST).into()), ..limited }, tasks.into_iter()).expect("a run");
    let ended: Vec<_> = run
        .observe(|event, _| {
            if let Event::Slow { .. } = event {
                flag.raise();
            }
        })
        .collect();
    assert!(ended.iter().all(|outcome| outcome.status() == Status::Ok), "{ended:?}");
}

#[test]
fn a_slow_task_is_reported_while_it_runs_and_again_when_its_time_has_doubled() {
    let flag = Flag::new();
    let reported = RefCell::new(Vec::new());
    let job = Job { slow: Some(Duration::from_millis(20).into()), ..job() };
    let mut pool = pool(2);
    let tasks = vec!["a".into(), wrun::Task::new("wait").input(flag.input()), "b".into()];
    let run = pool.map(&job, tasks.into_iter()).expect("a run").without_ticks();
    let ended: Vec<_> = run
        .observe(|event, _| {
            if let Event::Slow { index, task, elapsed, .. } = event {
                assert_eq!((*index, &*task.argument), (1, &b"wait"[..]));
                reported.borrow_mut().push(*elapsed);
                if reported.borrow().len() == 3 {
                    flag.raise();
                }
            }
        })
        .collect();
    assert!(ended.iter().all(|outcome| outcome.status() == Status::Ok), "{ended:?}");
    let reported = reported.into_inner();
    let least = [20, 40, 80].map(Duration::from_millis);
    assert!(
        reported.len() >= 3 && reported.iter().zip(least).all(|(reported, least)| *reported >= least),
        "{reported:?}"
    );
}

#[test]
fn slow_tasks_are_named_harmlessly() {
    let place = Place::new();
    let args = ["--slow", "1ms", "--timeout", "200ms", "-j1", "l\u{1b}[2J\n"];
    let all = place.map("loop-l", &args);
    let line = "task 0 (l\\u{1b}[2J\\n) is slow: it has been running for ";
    assert!(all.stderr.starts_with(line), "{}", all.stderr);
    assert!(all.stderr.lines().next().is_some_and(|line| line.ends_with(" on worker 0")), "{}", all.stderr);
    let json = place.map("loop-l", &[&["--progress", "json"], &args[..]].concat());
    let slow = objects(&json.stderr).into_iter().find(|event| event["event"] == "slow").expect("an event");
    assert_eq!((&slow["index"], &slow["item"]), (&0.into(), &"l\u{1b}[2J\n".into()));
    assert!(slow["elapsed_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.001), "{slow}");
    assert_eq!(place.map("echo", &["--slow", "1h", "a"]), said(0, "a\n", ""));
}
