//! Merging all results into one.

use wrun::{Job, Outcome, Status, Task};

use crate::library::dispatch::{assert_usable, echo_job};
use crate::support::{
    bytes, failed, file, input, kill, patient, pool, task_module, text, within_patience, worker_that_maps,
};

/// Merges on a new pool, and fails instead of waiting forever.
fn merged<T: Into<Task>>(
    workers: usize,
    function: &'static str,
    items: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
) -> (Outcome, Vec<Outcome>) {
    let items = items.into_iter();
    within_patience(move || {
        let mut failed = Vec::new();
        let mut pool = pool(workers);
        let run = pool.map(&echo_job(), items).expect("a run");
        let merged = run.reduce(function, |outcome| failed.push(outcome)).expect("a merge");
        assert_usable(&mut pool);
        (merged, failed)
    })
}

#[test]
fn a_merge_that_depends_on_order_gives_the_sequential_result() {
    for count in [1, 2, 7, 8, 9, 10, 63, 64, 65, 100, 513] {
        let expected: String = (0..count).map(|n| format!("{n},")).collect();
        for workers in [1, 3] {
            let (merged, _) = merged(workers, "concatenate", (0..count).map(|n| format!("{n},")));
            assert_eq!(text(&merged), expected, "{count} items");
        }
    }
}

#[test]
fn a_merge_of_no_items_runs_once_without_inputs() {
    assert_eq!(text(&merged(2, "bracket", 0..0).0), "<>");
}

#[test]
fn a_merge_does_not_take_inputs_that_tasks_share_for_results() {
    let merged = within_patience(|| {
        let shared = file(b"shared");
        let job = echo_job().input("shared", input(&shared));
        let mut pool = pool(1);
        pool.map(&job, ["a", "b"].into_iter()).expect("a run").reduce("concatenate", |_| {}).expect("a merge")
    });
    assert_eq!(text(&merged), "ab");
}

#[test]
fn a_merge_ends_however_many_items_end_at_the_same_time() {
    // The end of the source may be found only when nothing is in flight any more.
    within_patience(|| {
        let mut pool = pool(1);
        for round in 0..300 {
            let count = round % 5 + 1;
            let merged =
                pool.map(&echo_job(), 0..count).expect("a run").reduce("concatenate", |_| ()).expect("a merge");
            assert_eq!(text(&merged), (0..count).map(|n| n.to_string()).collect::<String>());
        }
    });
}

#[test]
fn the_tree_of_merges_depends_on_the_number_of_items_alone() {
    for (count, expected) in [(1, "<0>"), (3, "<012>"), (8, "<01234567>"), (9, "<<01234567>8>")] {
        for workers in [1, 2, 4] {
            assert_eq!(text(&merged(workers, "bracket", 0..count).0), expected);
        }
    }
}

#[test]
fn large_results_are_merged_in_order_too() {
    let part = |n: u8| vec![n; 60_000];
    let mut pool = pool(2);
    let run = pool.map(&echo_job(), (0..40).map(part)).expect("a run");
    let merged = run.reduce("concatenate", |_| ()).expect("a merge");
    assert!(bytes(&merged) == (0..40).flat_map(part).collect::<Vec<u8>>());
}

#[test]
fn a_failed_item_is_reported_and_nothing_is_merged() {
    let items = (0..100).map(|n| if n == 30 || n == 70 { "fail".to_owned() } else { n.to_string() });
    let (merged, mut failed_items) = merged(2, "concatenate", items);
    assert_eq!(failed(&merged), (Status::Cancelled, "not merged: 2 of 100 tasks failed"));
    failed_items.sort_by_key(|outcome| outcome.index);
    assert_eq!(failed_items.iter().map(|outcome| outcome.index).collect::<Vec<_>>(), [30, 70]);
    assert!(failed_items.iter().all(|outcome| failed(outcome) == (Status::Error, "fail")));
}

#[test]
fn a_failed_merge_is_the_outcome() {
    for count in [1, 9, 100] {
        let (merged, failed_items) = merged(2, "refuse", 0..count);
        assert_eq!(merged.status(), Status::Error, "{count}: {:?}", merged.result);
        assert!(failed_items.is_empty());
    }
    let mut pool = pool(2);
    let refused = pool.map(&echo_job(), 0..3).expect("a run").reduce("absent", |_| ());
    assert!(refused.expect_err("no such task").to_string().contains("absent"));
    assert_usable(&mut pool);
}

#[test]
fn a_worker_lost_in_a_merge_is_its_outcome() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/item") (result i32) (i32.const 0))
        (func (export "wrun:task/merge") (result i32)
            (drop (call $map (call $input_count))) (call $hang) (i32.const 0))"#,
    );
    let mark = file(&[1; 4096]);
    let job = Job::new(&module).call("item").input("mark", input(&mark)).limits(patient());
    let mut pool = pool(2);
    let merged = std::thread::scope(|scope| {
        scope.spawn(|| kill(worker_that_maps(mark.path())));
        pool.map(&job, 0..3).expect("a run").reduce("merge", |_| ()).expect("a merge")
    });
    assert_eq!(merged.status(), Status::WorkerLost);
    assert_usable(&mut pool);
}
