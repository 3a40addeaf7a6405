//! Workers that are killed, tasks that do not end, runs that are stopped: nothing else is lost, and the pool stays usable.

use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::time::Duration;

use wrun::{Event, Input, Job, Limits, Pool, Status, Task};

use crate::library::dispatch::{assert_usable, echo_job};
use crate::support::{
    Flag, PATIENCE, WRUN, each, failed, file, input, kill, pattern, pool, result_words, task_module, text, wait_for,
    words, worker_that_maps, workers_that_hold,
};

#[test]
fn a_killed_worker_fails_only_the_task_that_it_ran() {
    let mut pool = pool(2);
    let marks: Vec<_> = (0..3).map(|_| file(&[1; 4096])).collect();
    let mut tasks: Vec<Task> = (0..600).map(Task::from).collect();
    for (at, mark) in [0, 300, 602].into_iter().zip(&marks) {
        tasks.insert(at, Task::new("hang").input(input(mark)));
    }
    let lost = RefCell::new(Vec::new());
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| marks.iter().for_each(|mark| kill(worker_that_maps(mark.path()))));
        let run = pool.map(&echo_job(), tasks.clone().into_iter()).expect("a run");
        let run = run.observe(|event, _| {
            if let Event::WorkerLost { worker, reason } = event {
                lost.borrow_mut().push((*worker, reason.to_string()));
            }
        });
        run.collect()
    });
    assert_eq!(ended.len(), 603);
    for (outcome, task) in ended.iter().zip(&tasks) {
        if task.argument == b"hang" {
            let message = "its worker was killed by SIGKILL (out of memory?)";
            assert_eq!(failed(outcome), (Status::WorkerLost, message), "{}", outcome.index);
        } else {
            assert_eq!(text(outcome).as_bytes(), &*task.argument);
        }
    }
    assert_eq!(lost.borrow().len(), 3, "{lost:?}");
    assert!(
        lost.borrow().iter().all(|(worker, reason)| *worker < 2 && reason == "was killed by SIGKILL (out of memory?)")
    );
    assert_usable(&mut pool);
}

#[test]
fn a_worker_killed_while_it_has_nothing_to_do_costs_no_task() {
    let mut pool = pool(2);
    let mark = file(&[1; 4096]);
    for _ in 0..3 {
        let job = echo_job().input("mark", input(&mark));
        let ended: Vec<_> = pool.map(&job, 0..100).expect("a run").collect();
        assert!(ended.iter().enumerate().all(|(index, outcome)| text(outcome) == index.to_string()));
        let workers = workers_that_hold(mark.path());
        assert!(!workers.is_empty(), "the control");
        workers.into_iter().for_each(kill);
    }
    assert_usable(&mut pool);
}

#[test]
fn a_task_that_ran_while_many_were_queued_behind_it_is_not_run_again() {
    // While the first task runs, as many tasks pass through its worker's queue as it has slots. Once the other worker also has a
    // task that does not end, the queue is full of tasks that have not begun.
    let marks = [file(&[1; 4096]), file(&[1; 4096])];
    let mut tasks: Vec<Task> = (0..6000).map(Task::from).collect();
    tasks.insert(0, Task::new("hang").input(input(&marks[0])));
    tasks.insert(3000, Task::new("hang").input(input(&marks[1])));
    let job = echo_job().limits(Limits { timeout: Some((PATIENCE / 2).into()), ..Limits::default() });
    let mut pool = pool(2);
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let workers = marks.each_ref().map(|mark| worker_that_maps(mark.path()));
            workers.into_iter().for_each(kill);
        });
        pool.map(&job, tasks.into_iter()).expect("a run").collect()
    });
    for outcome in &ended {
        if outcome.index == 0 || outcome.index == 3000 {
            assert_eq!(outcome.status(), Status::WorkerLost, "{}: {:?}", outcome.index, outcome.result);
        } else {
            assert_eq!(text(outcome).as_bytes(), &*outcome.task.argument);
        }
    }
}

/// Ends immediately or never, in the way that the argument names.
const ENDLESS: &str = r#"
    (func $is (param $what i32) (result i32) (i32.eq (call $arg (i32.const 0)) (local.get $what)))
    (func $begin (if (call $is (i32.const 4)) (then (call $hang))))
    (start $begin)
    (func (export "_initialize") (if (call $is (i32.const 5)) (then (call $hang))))
    (func (export "wrun:task/t") (result i32)
        (if (call $is (i32.const 1)) (then (call $hang)))
        (if (call $is (i32.const 2)) (then (loop (memory.fill (i32.const 65536) (i32.const 1) (i32.const 6000000)) (br 0))))
        (if (call $is (i32.const 3)) (then (loop (drop (call $map (i32.const 0))) (br 0))))
        (call $put (call $arg (i32.const 0)))
        (i32.const 0))"#;

#[test]
fn a_task_that_does_not_end_is_timed_out_alone() {
    let module = task_module("100", ENDLESS);
    let limits = Limits { timeout: Some(Duration::from_millis(200).into()), ..Limits::default() };
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    for job in [Job::new(&module), Job::new(&module).reuse()] {
        let kinds = [0, 1, 0, 2, 3, 0, 0, 4, 5, 0, 0];
        let job = job.input("data", data.clone()).limits(limits.clone());
        let mut pool = pool(2);
        let lost = Cell::new(0);
        let run = pool.map(&job, kinds.iter().map(|&kind| words(&[kind]))).expect("a run");
        let run = run.observe(|event, _| {
            if let Event::WorkerLost { .. } = event {
                lost.set(lost.get() + 1);
            }
        });
        let ended: Vec<_> = run.collect();
        for (outcome, kind) in ended.iter().zip(kinds) {
            let reused_does_not_begin_again = kind >= 4 && outcome.result.is_ok();
            match kind {
                0 => assert_eq!(result_words(outcome), [0]),
                _ if reused_does_not_begin_again => assert_eq!(result_words(outcome), [kind]),
                _ => {
                    let (status, message) = failed(outcome);
                    assert!(status == Status::Timeout && message.starts_with("timed out after 200ms"), "{message}");
                    assert!(outcome.stats.duration >= Duration::from_millis(200));
                }
            }
        }
        let timed_out = ended.iter().filter(|outcome| outcome.status() == Status::Timeout).count();
        assert!(timed_out >= 3 && ended[1].status() == Status::Timeout, "{timed_out}");
        assert_eq!(lost.get(), 0, "a worker that was replaced on purpose was not lost");
        assert_usable(&mut pool);
    }
    // Each task gets a fresh instance, so all five ways time out.
    let job = Job::new(&module).input("data", data).limits(limits);
    for kind in 1..=5 {
        assert_eq!(failed(&each(&job, [words(&[kind])])[0]).0, Status::Timeout, "{kind}");
    }
}

#[test]
fn time_is_counted_from_a_tasks_own_start() {
    // Each takes some time; together they exceed the limit.
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $n i32)
            (local.set $n (i32.const 10000000))
            (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.atomic.load (i32.const 16))))))
            (i32.const 0))
        (data (i32.const 16) "\01")"#,
    );
    let limit = Duration::from_secs(1);
    let job = Job::new(&module).limits(Limits { timeout: Some(limit.into()), ..Limits::default() });
    let mut pool = pool(1);
    let mut total = Duration::ZERO;
    while total < 2 * limit {
        for outcome in pool.map(&job, 0..64).expect("a run") {
            assert_eq!(text(&outcome), "");
            total += outcome.stats.duration;
        }
    }
}

#[test]
fn stopping_soon_lets_running_tasks_end_and_starts_no_more() {
    let flag = Flag::new();
    let mut pool = pool(2);
    let mut tasks = vec![Task::new("wait").input(flag.input()), Task::new("wait").input(flag.input())];
    tasks.extend((0..100_000).map(Task::from));
    let run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
    let stop = run.stop_handle();
    let mut begun = false;
    // While both workers wait, no other task that was taken has begun, queued or not.
    let run = run.observe(move |event, stats| {
        if let (Event::Tick, false) = (event, begun)
            && stats.taken > 2
            && workers_mapping(flag.path()) == 2
        {
            begun = true;
            stop.stop_soon();
        }
        if let (Event::TaskFinished(outcome), true) = (event, begun)
            && outcome.status() == Status::Cancelled
        {
            flag.raise();
        }
    });
    let ended: Vec<_> = run.collect();
    assert!(ended.len() > 2 && ended.len() < 1000, "{}", ended.len());
    assert_eq!([text(&ended[0]), text(&ended[1])], ["wait", "wait"]);
    for outcome in &ended[2..] {
        assert_eq!(failed(outcome), (Status::Cancelled, "the run was stopped before it began"));
    }
    assert_usable(&mut pool);
}

/// How many workers have mapped this file now.
fn workers_mapping(path: &std::path::Path) -> usize {
    let needle = path.to_str().expect("UTF-8");
    let maps = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    workers_that_hold(path).into_iter().filter(|&pid| maps(pid).contains(needle)).count()
}

#[test]
fn stopping_now_kills_running_tasks() {
    let mark = file(&[1; 4096]);
    let path = mark.path();
    let mut pool = pool(2);
    let tasks =
        [Task::new("early")].into_iter().chain(std::iter::repeat_with(|| Task::new("hang").input(input(&mark))));
    let run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
    let stop = run.stop_handle();
    let lost = Cell::new(false);
    let (first_end, first_ended) = mpsc::channel();
    let run = run.observe(|event, _| match event {
        Event::WorkerLost { .. } => lost.set(true),
        Event::TaskFinished(_) => first_end.send(()).unwrap_or_default(),
        _ => {}
    });
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(move || {
            first_ended.recv().expect("the first task ends");
            worker_that_maps(path);
            stop.stop_now();
        });
        run.collect()
    });
    assert_eq!(text(&ended[0]), "early");
    assert!(ended.len() > 1 && ended.len() < 100, "{}", ended.len());
    let (began, not): (Vec<_>, Vec<_>) =
        ended[1..].iter().map(failed).partition(|(_, message)| *message == "the run was stopped while it ran");
    assert!((1..=2).contains(&began.len()), "{began:?}");
    assert!(began.iter().all(|(status, _)| *status == Status::Cancelled));
    assert!(not.iter().all(|failed| *failed == (Status::Cancelled, "the run was stopped before it began")), "{not:?}");
    assert!(!lost.get());
    assert_usable(&mut pool);
}

#[test]
fn a_module_that_workers_cannot_use_ends_the_run_with_an_error() {
    let job = echo_job().call("absent");
    let mut pool = pool(2);
    assert!(pool.map(&job, 0..3).is_err());
    assert_usable(&mut pool);
}

#[test]
fn an_executable_that_is_no_worker_ends_the_run_with_an_error() {
    let one = std::num::NonZeroUsize::MIN;
    for exe in ["/bin/true", "/bin/cat", "/does/not/exist"] {
        let mut pool = Pool::builder().workers(one).worker_exe(exe).build().expect("a pool");
        let mut run = pool.map(&echo_job(), 0..10).expect("a run");
        let ended: Vec<_> = run.by_ref().collect();
        assert!(ended.iter().all(|outcome| outcome.status() == Status::Cancelled), "{exe}");
        let error = run.finish().expect_err("an error").to_string();
        assert!(error.starts_with("workers do not start"), "{exe}: {error}");
    }
}

/// A directory with an executable `worker`: this script, in which `$starts` says how often it was started, and then `wrun`.
fn worker_script(before: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let exe = directory.path().join("worker");
    let count = "echo >> $0.starts\nstarts=$(/usr/bin/wc -l < $0.starts)";
    let script = format!("#!/bin/sh\n{count}\n{before}\nexec {WRUN} \"$@\"\n");
    // A shell writes it: a file that this process, or a child that another test starts at that moment, has open for writing
    // cannot be executed.
    let write = ["-c", r#"printf %s "$1" > "$0" && chmod 700 "$0""#];
    let written = std::process::Command::new("sh").args(write).arg(&exe).arg(script).status().expect("a shell");
    assert!(written.success(), "a script");
    (directory, exe)
}

/// How often the script was started.
fn starts(directory: &tempfile::TempDir) -> usize {
    let lines = std::fs::read_to_string(directory.path().join("worker.starts")).expect("it was started");
    lines.lines().count()
}

fn workers(count: usize) -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(count).expect("workers")
}

#[test]
fn workers_that_are_killed_when_they_start_are_replaced() {
    for count in [1, 3] {
        let (directory, exe) = worker_script("[ $starts -gt 10 ] || kill -9 $$");
        let mut pool = Pool::builder().workers(workers(count)).worker_exe(&exe).build().expect("a pool");
        let mut run = pool.map(&echo_job(), 0..20).expect("a run");
        assert!(run.by_ref().all(|outcome| outcome.result.is_ok()));
        run.finish().expect("workers start in the end");
        assert!(starts(&directory) > 10, "the control");
    }
}

#[test]
fn workers_that_have_no_room_to_start_are_done_without() {
    let fail = "{ echo 'cannot start a thread: no room (os error 11)' >&2; exit 1; }";
    // The first start succeeds, and no other; then the other way round: the first two fail.
    for (condition, count) in [("/bin/mkdir $0.first 2>/dev/null", 4), ("[ $starts -gt 2 ]", 2)] {
        let (directory, exe) = worker_script(&format!("{condition} || {fail}"));
        let mut pool = Pool::builder().workers(workers(count)).worker_exe(&exe).build().expect("a pool");
        let (flag, reasons) = (Flag::new(), RefCell::new(Vec::new()));
        let tasks: Vec<Task> = (0..8).map(|_| Task::new("wait").input(flag.input())).collect();
        let mut run = pool.map(&echo_job(), tasks.into_iter()).expect("a run").observe(|event, _| {
            if let Event::FewerWorkers { reason } = event {
                reasons.borrow_mut().push((*reason).to_owned());
                flag.raise();
            }
        });
        for outcome in run.by_ref() {
            assert!(outcome.result.is_ok() && outcome.stats.attempts == 1, "{condition}: {outcome:?}");
        }
        run.finish().expect("there is a worker");
        drop(pool);
        assert_eq!(
            *reasons.borrow(),
            ["exited with code 1: cannot start a thread: no room (os error 11)"],
            "{condition}"
        );
        assert!((2..=4).contains(&starts(&directory)), "{condition}: {}", starts(&directory));
    }
}

#[test]
fn a_worker_that_says_nothing_does_not_hold_a_run_with_a_time_limit_up() {
    // It neither reads its socket nor reports that it runs a task, so only the pool's own clock can tell.
    let (_directory, exe) = worker_script("exec /bin/sleep 1000");
    let mut pool = Pool::builder().workers(workers(1)).worker_exe(&exe).build().expect("a pool");
    let limits = Limits { timeout: Some(Duration::from_millis(50).into()), ..Limits::default() };
    let mut run = pool.map(&echo_job().limits(limits), 0..3).expect("a run");
    assert!(run.by_ref().all(|outcome| outcome.status() == Status::Cancelled));
    let error = run.finish().expect_err("an error").to_string();
    assert!(error.contains("neither ended its task in time nor reported that it runs it"), "{error}");
}

#[test]
fn the_pools_processes_go_with_it() {
    let mark = file(&[1; 4096]);
    let mut pool = pool(2);
    let job = echo_job().input("mark", input(&mark));
    assert_eq!(pool.map(&job, 0..100).expect("a run").count(), 100);
    assert!(!workers_that_hold(mark.path()).is_empty(), "the control");
    drop(pool);
    wait_for(|| workers_that_hold(mark.path()).is_empty().then_some(()));
}
