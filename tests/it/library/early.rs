//! Workers that start before there is any work for them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{PidfdFlags, pidfd_open};
use wrun::{EarlyWorker, Event, Job, Limits, Module, Pool, PoolBuilder, Status, Task};

use crate::cli::signals::{ended, pid};
use crate::support::{kill, task_module, text, wait_for};

fn tasks() -> Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/echo") (result i32)
            (call $arg_read (i32.const 0))
            (call $output_write (i32.const 0) (call $arg_len))
            (i32.const 0))
        (func (export "wrun:task/spin") (result i32) (call $hang) (i32.const 0))"#,
    )
}

/// A worker that was started early, its process id, and a handle to the process.
fn start() -> (EarlyWorker, u32, OwnedFd) {
    let mut early = builder().early_worker().expect("a worker");
    let number = wait_for(|| early.pid());
    let handle = pidfd_open(pid(number), PidfdFlags::empty()).expect("it runs");
    (early, number, handle)
}

fn builder() -> PoolBuilder {
    Pool::builder().worker_exe(env!("CARGO_BIN_EXE_wrun"))
}

fn echo() -> Job {
    Job::new(&tasks()).call("echo")
}

#[test]
fn a_pool_gives_its_first_task_to_the_worker_that_was_started_early() {
    let (early, number, _) = start();
    let job = echo();
    let mut pool = builder().workers(2.try_into().expect("two")).build_with(early).expect("a pool");
    assert_eq!(text(&pool.run(&job, "a").expect("an outcome")), "a");
    assert_eq!(pool.worker_pids(), [number]);
    let outcomes = pool.map(&job, 0..1000).expect("a run");
    assert_eq!(outcomes.filter(|outcome| outcome.status() == Status::Ok).count(), 1000);
    assert_eq!((pool.worker_pids().len(), pool.worker_pids().contains(&number)), (2, true));
}

#[test]
fn a_worker_that_is_not_needed_ends() {
    let (early, _, handle) = start();
    drop(early);
    assert!(ended(&handle));
    let (early, _, handle) = start();
    drop(builder().build_with(early).expect("a pool"));
    assert!(ended(&handle));
    let (early, _, handle) = start();
    let refused = builder().worker_exe("another").build_with(early).expect_err("another program");
    assert!(refused.to_string().contains("another"), "{refused}");
    assert!(ended(&handle));
}

#[test]
fn the_time_before_there_is_a_pool_is_not_the_workers() {
    let (early, number, _) = start();
    // Something that takes longer than a worker is given to get ready.
    let limits = Limits { timeout: Some(Duration::from_millis(1500).into()), ..Limits::default() };
    let mut other = builder().build().expect("a pool");
    let job = Job::new(&tasks()).call("spin").limits(limits);
    assert_eq!(other.run(&job, Task::default()).expect("an outcome").status(), Status::Timeout);
    let mut pool = builder().start_timeout(Duration::from_secs(1)).build_with(early).expect("a pool");
    assert_eq!(text(&pool.run(&echo(), "a").expect("an outcome")), "a");
    assert_eq!(pool.worker_pids(), [number]);
}

#[test]
fn a_worker_that_died_before_it_was_needed_is_replaced() {
    let (early, number, handle) = start();
    kill(number);
    assert!(ended(&handle));
    let mut pool = builder().build_with(early).expect("a pool");
    assert_eq!(text(&pool.run(&echo(), "a").expect("an outcome")), "a");
    assert_ne!(pool.worker_pids(), [number]);
}

#[test]
fn one_that_no_run_needed_expires_with_the_others() {
    let (early, _, handle) = start();
    let mut pool = builder().idle_timeout(Duration::from_millis(50)).build_with(early).expect("a pool");
    assert_eq!(pool.map(&echo(), std::iter::empty::<Task>()).expect("a run").count(), 0);
    assert!(ended(&handle));
    let mut lost = 0;
    let run = pool.map(&echo(), ["a"].into_iter()).expect("a run");
    let run = run.observe(|event, _| lost += usize::from(matches!(event, Event::WorkerLost { .. })));
    assert_eq!(run.map(|outcome| text(&outcome)).collect::<Vec<_>>(), ["a"]);
    assert_eq!(lost, 0, "that is not a loss");
}
