//! A pool as another pool's backend: what is reported about its tasks, and how they end.

use std::cell::RefCell;
use std::time::Duration;

use wrun::{Event, Job, OutputFile, Pool, Status, Task};

use crate::library::dispatch::{assert_usable, echo_job};
use crate::support::{Flag, file, patient, pool, task_module, text, wait_for, worker_that_maps};

/// A pool on top of a pool with this many workers.
fn nested(workers: usize) -> Pool {
    Pool::builder().backend(pool(workers)).build().expect("a pool")
}

#[test]
fn slow_tasks_are_reported_and_do_not_keep_the_thread_busy() {
    let flag = Flag::new();
    let (reported, turns) = (RefCell::new(Vec::new()), RefCell::new(0));
    let job = Job { slow: Some(Duration::from_millis(20).into()), ..echo_job() };
    let mut pool = nested(1);
    let tasks = vec!["a".into(), Task::new("wait").input(flag.input()), "b".into()];
    let run = pool.map(&job, tasks.into_iter()).expect("a run").without_ticks();
    let run = run.observe(|event, _| match event {
        Event::Tick => *turns.borrow_mut() += 1,
        Event::Slow { index, task, worker, elapsed } => {
            assert_eq!((*index, &*task.argument, *worker), (1, &b"wait"[..], 0));
            reported.borrow_mut().push(*elapsed);
            if reported.borrow().len() == 5 {
                flag.raise();
            }
        }
        _ => {}
    });
    assert!(run.map(|outcome| outcome.status()).all(|status| status == Status::Ok));
    let reported = reported.into_inner();
    assert!(reported.len() >= 5 && reported[4] >= Duration::from_millis(320), "{reported:?}");
    // Each time is twice the one before; a run that did not sleep would loop some hundred thousand times meanwhile.
    assert!(turns.into_inner() < 1000);
}

#[test]
fn a_run_that_is_dropped_leaves_nothing_of_the_tasks_that_ran() {
    let write_and_wait = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32)
        (i32.store8 (call $region_map (i32.const 0) (i64.const 0) (i32.const 100)) (i32.const 9))
        (if (call $input_count) (then (call $wait (call $map (i32.const 0)))))
        (i32.const 0))"#,
    );
    let (flag, out) = (Flag::new(), file(&[]));
    for (mut pool, finish) in [(pool(2), false), (nested(2), false), (nested(2), true)] {
        std::fs::write(out.path(), [7; 3 * 8192]).expect("a file");
        let opened = OutputFile::create(out.path(), 8192).expect("a file");
        let job = Job::new(&write_and_wait).limits(patient()).out(opened);
        let tasks = [Task::new(""), Task::new("").input(flag.input())];
        let mut run = pool.map(&job, tasks.into_iter()).expect("a run");
        assert_eq!(run.next().expect("an outcome").status(), Status::Ok);
        worker_that_maps(flag.path());
        let written = || std::fs::read(out.path()).expect("a file");
        wait_for(|| (written()[8192] == 9).then_some(()));
        if finish {
            run.finish().expect("a run");
        } else {
            drop(run);
        }
        let expected = [&[9][..], &[7; 8191], &[0; 8192], &[7; 8192]].concat();
        assert!(written() == expected, "zeros for the task that was cut off");
        assert_usable(&mut pool);
    }
}

#[test]
fn tasks_that_a_stop_keeps_from_starting_have_no_attempt() {
    for mut pool in [pool(1), nested(1)] {
        let flag = Flag::new();
        let tasks = vec!["1".into(), Task::new("wait").input(flag.input()), "2".into(), "3".into()];
        let mut run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
        assert_eq!(text(&run.next().expect("an outcome")), "1");
        worker_that_maps(flag.path());
        run.stop_handle().stop_soon();
        flag.raise();
        let ended: Vec<_> = run.map(|outcome| (outcome.status(), outcome.stats.attempts)).collect();
        assert_eq!(ended[0], (Status::Ok, 1));
        // On a busy machine the last one may not have been taken.
        assert!((1..=2).contains(&ended[1..].len()), "{ended:?}");
        assert!(ended[1..].iter().all(|ended| *ended == (Status::Cancelled, 0)), "{ended:?}");
    }
}
