//! The same runs on every backend: processes, threads, the caller's thread, a pool inside another one, and backends that are
//! not wrun's own.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::time::Duration;

use wrun::backend::{Assignment, Backend, BuiltIn, Executor, ExecutorEvent, TaskEnd, Waker};
use wrun::outcome::Summary;
use wrun::{
    ErrorKind, Event, Input, Job, Limits, Outcome, Output, Pool, PoolBuilder, Retries, Sandbox, Status, Task, TaskStats,
};

use crate::cli::kit::{Place, finish};
use crate::library::dispatch::echo;
use crate::support::{
    Flag, WRUN, each, failure, file, input, pattern, pool, rust_guest, task_module, text, wait_for, within_patience,
};

fn builder(backend: BuiltIn) -> PoolBuilder {
    Pool::builder().workers(NonZeroUsize::new(2).expect("two")).worker_exe(WRUN).backend(backend)
}

fn echo_job() -> Job {
    Job::new(&echo()).call("echo")
}

/// All of wrun's own backends, and a pool of processes as another pool's backend.
fn pools() -> Vec<(&'static str, Pool)> {
    let own = BuiltIn::ALL.map(|backend| (backend.name(), builder(backend).build().expect("a pool")));
    let nested = Pool::builder().backend(pool(2)).build().expect("a pool");
    own.into_iter().chain([("nested", nested)]).collect()
}

/// An outcome without the parts that vary between runs.
fn essence(outcome: &Outcome) -> String {
    let Outcome { index, task, result, log, stats, earlier, ran_earlier, .. } = outcome;
    let result = result.as_ref().map(|output| blake3::hash(output));
    let (argument, unrunnable) = (blake3::hash(&task.argument), &task.unrunnable);
    format!(
        "{index} {argument} {unrunnable:?} {result:?} {log:?} {:?} {:?} {earlier:?} {ran_earlier}",
        stats.attempts, stats.fuel
    )
}

/// Runs a job on every backend, and checks that they agree; returns the outcomes.
fn everywhere(job: &Job, tasks: &[Task]) -> Vec<Outcome> {
    let mut first: Option<Vec<Outcome>> = None;
    for (name, mut pool) in pools() {
        let outcomes: Vec<_> = pool.map(job, tasks.iter().cloned()).expect("a run").collect();
        let essences = |outcomes: &[Outcome]| outcomes.iter().map(essence).collect::<Vec<_>>();
        let first = first.get_or_insert_with(|| outcomes.clone());
        assert_eq!(essences(&outcomes), essences(first), "{name}");
    }
    first.expect("a backend")
}

#[test]
fn results_arguments_and_errors_are_the_same() {
    let long = pattern(1 << 20);
    let job = echo_job().limits(Limits { argument_bytes: 4 << 20, memory_bytes: 1 << 28, ..Limits::default() });
    let mut tasks: Vec<Task> = (0..50).map(Task::from).collect();
    tasks.extend([Task::new(""), Task::from("fail"), Task::new(pattern(60_000)), Task::unrunnable("x", "no")]);
    let outcomes = everywhere(&job, &tasks);
    assert_eq!(text(&outcomes[49]), "49");
    assert_eq!(failure(&outcomes[51]).message, "fail");

    let large = task_module(
        "1 100",
        r#"(func (export "wrun:task/large") (result i32)
        (memory.fill (call $output_map (i32.const 3000000)) (i32.const 7) (i32.const 3000000)) (i32.const 0))"#,
    );
    let outcomes = everywhere(&Job::new(&large), &[Task::from(1), Task::from(2)]);
    assert_eq!(outcomes[1].result.as_deref().expect("a result").len(), 3_000_000);

    let measure = task_module(
        "1",
        r#"(func (export "wrun:task/measure") (result i32) (call $put (call $arg_len)) (i32.const 0))"#,
    );
    let job = Job::new(&measure).limits(Limits { argument_bytes: 4 << 20, ..Limits::default() });
    everywhere(&job, &[Task::new(long.clone()), Task::new(long), Task::new("short")]);
}

#[test]
fn traps_limits_fuel_and_faults_are_the_same() {
    let probe = rust_guest("probe");
    everywhere(&Job::new(&probe).call("panic"), &[Task::from(1)]);

    let data = file(&pattern(100_000));
    let bad = task_module(
        "1",
        r#"
        (func (export "wrun:task/write") (result i32) (i32.store (call $map (i32.const 0)) (i32.const 1)) (i32.const 0))
        (func (export "wrun:task/fill") (result i32) (memory.fill (call $map (i32.const 0)) (i32.const 1) (i32.const 99)) (i32.const 0))
        (func (export "wrun:task/grow") (result i32)
            (if (i32.eq (memory.grow (i32.const 40000)) (i32.const -1)) (then unreachable)) (i32.const 0))
        (func $deep (export "deep") (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))"#,
    );
    for (call, status) in [("write", Status::InputFault), ("fill", Status::InputFault), ("grow", Status::Limit)] {
        let job = Job::new(&bad).call(call).input("data", input(&data));
        let outcomes = everywhere(&job, &[Task::from(1), Task::from(2)]);
        assert_eq!(outcomes[1].status(), status, "{:?}", outcomes[1]);
    }
    for stack_bytes in [1 << 16, 1 << 20, 64 << 20] {
        let job = Job::new(&bad).call("deep").limits(Limits { stack_bytes, ..Limits::default() });
        assert_eq!(everywhere(&job, &[Task::from(1)])[0].status(), Status::Limit);
    }
}

#[test]
fn retries_merges_and_inputs_are_the_same() {
    let retried = echo_job().retries(Retries { count: 2, ..Retries::default() });
    let outcomes = everywhere(&retried, &[Task::from("fail"), Task::from("x")]);
    assert_eq!((outcomes[0].stats.attempts, outcomes[1].stats.attempts), (3, 1));

    let text_of = |n: u64| format!("{n} the quick brown fox\n").repeat(50);
    let corpus = file((0..40).map(text_of).collect::<String>().as_bytes());
    let count = Job::new(&rust_guest("wordcount")).call("count");
    let merged: Vec<Output> = pools()
        .into_iter()
        .map(|(_, mut pool)| {
            let tasks = (0..20).map(|n| input(&corpus).slice(n * 1000..n * 1000 + 1000).expect("a range"));
            let run = pool.map(&count, tasks).expect("a run");
            run.reduce("merge", |failed| panic!("{failed:?}")).expect("a result").result.expect("a table")
        })
        .collect();
    assert!(merged.iter().all(|table| !table.is_empty() && *table == merged[0]));
}

#[test]
fn a_pool_of_any_kind_runs_one_module_after_another() {
    for (name, mut pool) in pools() {
        for round in 0..3 {
            let echoed: Vec<_> = pool.map(&echo_job(), 0..10).expect("a run").map(|outcome| text(&outcome)).collect();
            assert_eq!(echoed.len(), 10, "{name} {round}");
            let hello = pool.map(&Job::new(&rust_guest("hello-wasi")), ["x", "y"].into_iter()).expect("a run");
            let said: Vec<_> = hello.map(|outcome| text(&outcome)).collect();
            assert_eq!(said, ["hello, x\n", "hello, y\n"], "{name} {round}");
        }
    }
}

#[test]
fn only_processes_are_processes() {
    for (backend, processes) in [(BuiltIn::Processes, true), (BuiltIn::Threads, false), (BuiltIn::Inline, false)] {
        let mut pool = builder(backend).build().expect("a pool");
        assert!(pool.map(&echo_job(), 0..20).expect("a run").all(|outcome| outcome.result.is_ok()));
        assert_eq!(!pool.worker_pids().is_empty(), processes, "{backend:?}");
    }
}

#[test]
fn what_takes_a_process_is_refused_elsewhere() {
    let limits = Limits { timeout: Some(Duration::from_secs(60).into()), ..Limits::default() };
    let timed = echo_job().limits(limits);
    for backend in [BuiltIn::Threads, BuiltIn::Inline] {
        let refused = builder(backend).build().expect("a pool").map(&timed, 0..3).err().expect("an error");
        let name = backend.name();
        let message = format!("a task of the backend {name} cannot be stopped when its time is over");
        assert_eq!((refused.to_string(), refused.kind()), (message, ErrorKind::Request));
        let slow = Job { slow: Some(Duration::from_secs(60).into()), ..echo_job() };
        assert_eq!(builder(backend).build().expect("a pool").map(&slow, 0..3).is_err(), backend == BuiltIn::Inline);
        let refused = builder(backend).sandbox(Sandbox::Strict).build().expect_err("an error");
        assert!(refused.to_string().contains(&format!("the backend {name} cannot keep a strict sandbox")), "{refused}");
    }
}

#[test]
fn a_backend_of_another_crate_refuses_settings_that_it_cannot_keep() {
    type Set = fn(PoolBuilder) -> PoolBuilder;
    let cases: [(&str, Set); 6] = [
        ("workers", |builder| builder.workers(NonZeroUsize::MIN)),
        ("worker_exe", |builder| builder.worker_exe(WRUN)),
        ("sandbox", |builder| builder.sandbox(Sandbox::Strict)),
        ("sandbox", |builder| builder.sandbox(Sandbox::Off)),
        ("start_timeout", |builder| builder.start_timeout(Duration::from_secs(60))),
        ("idle_timeout", |builder| builder.idle_timeout(Duration::from_secs(60))),
    ];
    for (setting, set) in cases {
        // In either order.
        let before = set(Pool::builder()).backend(Odd(ended));
        let after = set(Pool::builder().backend(Odd(ended)));
        for builder in [before, after] {
            let error = builder.build().expect_err("an error");
            assert_eq!(error.kind(), ErrorKind::Request);
            let message = error.to_string();
            let odd = std::any::type_name::<Odd>();
            let said = format!("the backend {odd} cannot keep the setting {setting}, which is for built-in backends: ");
            assert!(message.starts_with(&said), "{message}");
        }
        // The control: a built-in backend keeps them.
        set(Pool::builder().worker_exe(WRUN)).build().expect("a pool");
    }
    let nested = Pool::builder().workers(NonZeroUsize::MIN).backend(pool(1)).build().expect_err("an error");
    assert!(nested.to_string().starts_with("the backend pool cannot keep the setting workers"), "{nested}");
    let boxed: Box<dyn Backend> = Box::new(Odd(ended));
    let mut boxed = Pool::builder().backend(boxed).sandbox(Sandbox::Default).build().expect("a pool");
    assert_eq!(text(&boxed.run(&echo_job(), "x").expect("an outcome")), "odd");
}

#[test]
fn a_thread_that_hangs_does_not_hold_its_pool_up() {
    within_patience(|| {
        let flag = Flag::new();
        let mut pool = builder(BuiltIn::Threads).build().expect("a pool");
        let tasks = [Task::from("1"), Task::from("wait").input(flag.input())];
        let mut run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
        assert_eq!(text(&run.next().expect("an outcome")), "1");
        drop(run);
        let again: Vec<_> = pool.map(&echo_job(), 0..4).expect("a run").map(|outcome| text(&outcome)).collect();
        assert_eq!(again, ["0", "1", "2", "3"]);
        drop(pool);
        flag.raise();
    });
}

#[test]
fn threads_end_with_their_pool() {
    // Other tests of this process have threads, too, so the threads are counted in a separate process.
    let threads = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let place = Place::new();
    place.file(
        "hang.wat",
        r#"(module (func (export "f") (param i32) (result i32) (loop (br_if 0 (local.get 0))) (i32.const 7)))"#,
    );
    let mut child =
        place.wrun(&["map", "hang.wat", "1", "1", "--backend", "threads", "-j", "2"]).spawn().expect("wrun");
    wait_for(|| (threads(child.id()) >= 3).then_some(()));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let done = finish(place.wrun(&["map", "hang.wat", "0", "0", "--backend", "threads", "-j", "2"]));
    assert_eq!((done.code, &*done.stdout), (Some(0), "7\n7\n"));
}

#[test]
fn a_worker_that_a_pool_inside_loses_is_reported_and_replaced() {
    let mut outer = Pool::builder().backend(pool(1)).build().expect("a pool");
    let mut lost = Vec::new();
    let limits = Limits { timeout: Some(Duration::from_millis(200).into()), ..Limits::default() };
    let run = outer.map(&echo_job().limits(limits), ["1", "hang", "2"].into_iter()).expect("a run");
    let run = run.observe(|event, _| {
        if let Event::WorkerLost { reason, .. } = event {
            lost.push((*reason).to_owned());
        }
    });
    let statuses: Vec<_> = run.map(|outcome| outcome.status()).collect();
    assert_eq!(statuses, [Status::Ok, Status::Timeout, Status::Ok]);
    assert!(lost.is_empty(), "a timeout is not a loss: {lost:?}");
}

/// A backend that ends each attempt as its function says.
#[derive(Debug)]
struct Odd(EventFor);

/// How the attempt with this ticket ends.
type EventFor = fn(u64) -> ExecutorEvent;

struct OddRun(EventFor, VecDeque<ExecutorEvent>);

impl Backend for Odd {
    fn start<'a>(&'a mut self, _job: &Job, _waker: &Waker) -> wrun::Result<Box<dyn Executor + 'a>> {
        Ok(Box::new(OddRun(self.0, VecDeque::new())))
    }
}

impl Executor for OddRun {
    fn has_room(&self) -> bool {
        self.1.len() < 3
    }

    fn submit(&mut self, given: Assignment<'_>) {
        self.1.push_back(self.0(given.ticket));
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        self.1.pop_front()
    }

    fn wait(&mut self, _at_most: Option<Duration>) {}
}

fn ended(ticket: u64) -> ExecutorEvent {
    ExecutorEvent::Ended(TaskEnd::new(ticket, Ok(Output::from(&b"odd"[..])), TaskStats::default()))
}

#[test]
fn a_backend_that_goes_wrong_ends_the_run_with_its_reason() {
    let cases: [(EventFor, &str); 2] = [
        (|_| ExecutorEvent::Failed(wrun::Error::backend("the cluster is gone")), "the cluster is gone"),
        (|ticket| ended(ticket + 1000), "the backend ended attempt"),
    ];
    for (odd, message) in cases {
        let mut pool = Pool::builder().backend(Odd(odd)).build().expect("a pool");
        let mut run = pool.map(&echo_job(), 0..10).expect("a run");
        let cancelled = run.by_ref().filter(|outcome| outcome.status() == Status::Cancelled).count();
        let error = run.finish().expect_err("an error").to_string();
        assert!(error.starts_with(message), "{error}");
        assert!(cancelled <= 10);
    }
    let mut pool = Pool::builder().backend(Odd(ended)).build().expect("a pool");
    let results: Vec<_> = pool.map(&echo_job(), 0..10).expect("a run").map(|outcome| text(&outcome)).collect();
    assert_eq!(results, ["odd"; 10]);
    let error = pool.map(&echo_job(), 0..10).expect("a run").reduce("concatenate", |_| {}).expect_err("an error");
    assert!(error.to_string().starts_with("this backend does not merge"), "{error}");
}

#[test]
fn results_of_one_run_are_inputs_of_the_next_without_a_copy() {
    let large = task_module(
        "1 100",
        r#"(func (export "wrun:task/large") (result i32)
        (memory.fill (call $output_map (i32.const 3000000)) (i32.const 7) (i32.const 3000000)) (i32.const 0))"#,
    );
    let result = each(&Job::new(&large), [1]).remove(0).result.expect("a result");
    let passed_on: Input = result.to_input().expect("an input");
    let sum = task_module(
        "1 100",
        r#"(func (export "wrun:task/last") (result i32)
        (call $put (i32.load8_u offset=2999999 (call $map (i32.const 0)))) (i32.const 0))"#,
    );
    for (name, mut pool) in pools() {
        let outcome = pool.run(&Job::new(&sum), Task::new("").input(passed_on.clone())).expect("an outcome");
        assert_eq!(outcome.result.as_deref(), Ok(&7u32.to_le_bytes()[..]), "{name}");
    }
}

#[test]
fn the_command_gives_the_same_on_every_backend() {
    let place = Place::new();
    let said = |backend: &str| finish(place.wrun(&["map", "sqrt.wat", "--backend", backend, "1", "4", "9"]));
    for backend in ["processes", "threads", "inline"] {
        assert_eq!(said(backend).stdout, "1\n2\n3\n", "{backend}");
        let one = finish(place.wrun(&["run", "--backend", backend, "sqrt.wat", "16"]));
        assert_eq!(one.stdout, "4\n", "{backend}: {}", one.stderr);
    }
    let unknown = said("cluster");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("[possible values: processes, threads, inline]"), "{}", unknown.stderr);
    let attached = finish(place.wrun(&["run", "--backend", "inline", &crate::support::guest("hello-wasi"), "x"]));
    assert_eq!(attached.stderr, "wrun: a program attached to the terminal needs the backend processes or threads\n");
}

#[test]
fn a_summary_takes_any_number_of_a_worker() {
    let far: EventFor = |ticket| {
        let stats = TaskStats::default().worker(u32::MAX);
        ExecutorEvent::Ended(TaskEnd::new(ticket, Ok(Output::default()), stats))
    };
    let mut pool = Pool::builder().backend(Odd(far)).build().expect("a pool");
    let mut summary = Summary::new();
    let run = pool.map(&echo_job(), 0..10).expect("a run").observe(|event, _| summary.observe(event));
    assert_eq!(run.count(), 10);
    assert_eq!((summary.tasks(), summary.workers().len()), (10, 0));
}

#[test]
fn the_command_ends_when_it_is_told_to_although_its_tasks_cannot_be_stopped() {
    use rustix::process::Signal;
    let place = Place::new();
    for backend in ["threads", "inline"] {
        for signals in [&[Signal::INT, Signal::INT][..], &[Signal::TERM]] {
            let flag = Flag::new();
            let input = format!("flag={}", flag.path().display());
            let args = ["map", "kit.wat", "--call", "wait-w", "-i", &input, "--backend", backend, "w"];
            let mut child = place.wrun(&args).spawn().expect("wrun");
            let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
            // The input is mapped for a moment when it is opened, before signals are handled.
            let caught = || {
                read("status")
                    .lines()
                    .find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok())
            };
            wait_for(|| caught().filter(|signals| signals >> (Signal::TERM.as_raw() - 1) & 1 == 1));
            let maps = || read("maps");
            wait_for(|| maps().contains(flag.path().to_str().expect("UTF-8")).then_some(()));
            let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
            for (nth, signal) in signals.iter().enumerate() {
                rustix::process::kill_process(crate::cli::signals::pid(child.id()), *signal).expect("it runs");
                if nth + 1 < signals.len() {
                    // Once it prints a line, it has handled the first signal.
                    stderr.read_line(&mut String::new()).expect("a line");
                }
            }
            assert_eq!(child.wait().expect("an end").code(), Some(130), "{backend} {signals:?}");
        }
    }
}
