//! Failing tasks: retries, and runs that stop early.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use wrun::{Event, Halt, HaltAt, Job, Limits, Outcome, Pool, Retries, Status, Task};

use crate::library::dispatch::{assert_usable, echo_job};
use crate::support::{Flag, failed, file, input, kill, pool, task_module, text, workers_that_hold};

/// A delay that outlasts the test.
const LONG: Duration = Duration::from_secs(3600);

fn retries(count: u32, delay_ms: u64) -> Retries {
    Retries { count, delay: Duration::from_millis(delay_ms) }
}

/// Fails until its instance has been called as often as the argument's first word says; `merge` fails until the third call.
fn pass_on_call() -> Job {
    let module = task_module(
        "3",
        r#"(global $calls (mut i32) (i32.const 0))
        (data (i32.const 100) "too early")
        (func $early (param $least i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (result i32) (i32.lt_u (global.get $calls) (local.get $least))
                (then (call $fail (i32.const 100) (i32.const 9)) (i32.const 1))
                (else (i32.const 0))))
        (func (export "wrun:task/t") (result i32)
            (if (call $early (call $arg (i32.const 0))) (then (return (i32.const 1))))
            (call $put (global.get $calls))
            (i32.const 0))
        (func (export "wrun:task/merge") (result i32)
            (if (call $early (i32.const 6)) (then (return (i32.const 1))))
            (call $put (call $input_count))
            (i32.const 0))"#,
    );
    Job::new(&module).call("t").reuse()
}

fn word(word: u32) -> Task {
    crate::support::words(&[word])
}

#[test]
fn a_task_that_passes_after_failures_is_flaky_and_keeps_their_messages() {
    let job = pass_on_call().retries(retries(4, 1));
    let (mut flaky, reported) = (0, RefCell::new(Vec::new()));
    let ended: Vec<Outcome> = {
        let mut pool = pool(1);
        let run = pool.map(&job, [word(3), word(0)].into_iter()).expect("a run");
        let run = run.observe(|event, stats| {
            flaky = stats.flaky;
            if let Event::Retrying { outcome, delay } = event {
                reported.borrow_mut().push((outcome.index, outcome.stats.attempts, *delay));
            }
        });
        run.collect()
    };
    // The second task may run in between, and its call counts, too.
    let attempts = ended[0].stats.attempts;
    assert!((2..=3).contains(&attempts), "{attempts}");
    assert!(ended[0].is_flaky() && ended[0].result.is_ok());
    let earlier: Vec<_> = ended[0].earlier.iter().map(|error| (error.status, error.message.as_str())).collect();
    assert_eq!(earlier, vec![(Status::Error, "too early"); attempts as usize - 1]);
    let delays = [1, 2].map(Duration::from_millis);
    let wanted: Vec<_> = (1..attempts).zip(delays).map(|(attempt, delay)| (0, attempt, delay)).collect();
    assert_eq!(*reported.borrow(), wanted);
    assert!(!ended[1].is_flaky() && ended[1].earlier.is_empty());
    assert_eq!(flaky, 1);
}

#[test]
fn a_task_that_always_fails_fails_as_its_last_attempt_did() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $kind i32)
            (local.set $kind (call $arg (i32.const 0)))
            (if (i32.eq (local.get $kind) (i32.const 1)) (then (call $fail (i32.const 0) (i32.const 0)) (return (i32.const 1))))
            (if (i32.eq (local.get $kind) (i32.const 2)) (then (unreachable)))
            (if (i32.eq (local.get $kind) (i32.const 3)) (then (call $hang)))
            (if (i32.eq (local.get $kind) (i32.const 4)) (then (drop (memory.grow (i32.const 60000))) (unreachable)))
            (if (i32.eq (local.get $kind) (i32.const 5)) (then (i32.store (call $map (i32.const 0)) (i32.const 1))))
            (i32.const 0))"#,
    );
    let limits = Limits { timeout: Some(Duration::from_millis(300).into()), ..Limits::default() };
    let job = Job::new(&module).limits(limits).retries(retries(2, 1));
    let data = file(b"data");
    let mut tasks: Vec<Task> = (0..=5).map(word).collect();
    tasks[5] = word(5).input(input(&data));
    tasks.push(Task::unrunnable("x", "no such thing"));
    let mut pool = pool(2);
    let ended: Vec<_> = pool.map(&job, tasks.into_iter()).expect("a run").collect();
    let seen: Vec<_> = ended.iter().map(|outcome| (outcome.status(), outcome.stats.attempts)).collect();
    assert_eq!(
        seen,
        [
            (Status::Ok, 1),
            (Status::Error, 3),
            (Status::Trap, 3),
            (Status::Timeout, 3),
            (Status::Limit, 3),
            (Status::InputFault, 3),
            // It cannot start, and never did.
            (Status::Error, 0),
        ]
    );
    assert!(ended[1..6].iter().all(|outcome| outcome.earlier.len() == 2));
    assert_usable(&mut pool);
}

#[test]
fn a_task_whose_worker_was_killed_is_tried_again() {
    let flag = Flag::new();
    let mut pool = pool(1);
    let job = echo_job().retries(retries(1, 1));
    let path = flag.path();
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            kill(crate::support::worker_that_maps(path));
            flag.raise();
        });
        pool.map(&job, [Task::new("wait").input(flag.input())].into_iter()).expect("a run").collect()
    });
    assert_eq!((text(&ended[0]).as_str(), ended[0].stats.attempts), ("wait", 2));
    assert_eq!(ended[0].earlier[0].status, Status::WorkerLost);
}

#[test]
fn a_task_that_waits_for_its_next_attempt_holds_nothing_up() {
    // Far more tasks than may be held back behind the first one, whose next attempt is too far away.
    let job = echo_job().retries(Retries { count: 1, delay: LONG });
    let mut pool = pool(2);
    let tasks = std::iter::once(Task::new("fail")).chain((0..5000).map(Task::from));
    let mut run = pool.map(&job, tasks).expect("a run").unordered();
    let stop = run.stop_handle();
    let others: Vec<_> = run.by_ref().take(5000).map(|outcome| text(&outcome)).collect();
    assert_eq!(others.len(), 5000);
    stop.stop_soon();
    let last: Vec<_> = run.collect();
    assert_eq!(last.len(), 1);
    // It ended as failed, not as cancelled.
    assert_eq!((failed(&last[0]), last[0].stats.attempts), ((Status::Error, "fail"), 1));
}

#[test]
fn results_wait_in_order_for_a_task_that_is_tried_again() {
    let job = echo_job().retries(retries(2, 50));
    let started = Instant::now();
    let mut pool = pool(2);
    // More than may wait for the first one.
    let tasks = std::iter::once(Task::new("fail")).chain((1..40_000).map(Task::from));
    let ended: Vec<_> = pool.map(&job, tasks).expect("a run").collect();
    assert!(started.elapsed() >= Duration::from_millis(150), "50 ms and 100 ms");
    assert_eq!((failed(&ended[0]), ended[0].stats.attempts), ((Status::Error, "fail"), 3));
    assert!(ended[1..].iter().enumerate().all(|(at, outcome)| text(outcome) == (at + 1).to_string()));
}

#[test]
fn waiting_for_an_attempt_takes_no_turns() {
    let job = echo_job().retries(retries(1, 400));
    let ticks = Cell::new(0);
    let mut pool = pool(1);
    let run = pool.map(&job, [Task::new("fail")].into_iter()).expect("a run");
    let run = run.observe(|event, _| ticks.set(ticks.get() + u32::from(matches!(event, Event::Tick))));
    assert_eq!(run.map(|outcome| outcome.stats.attempts).collect::<Vec<_>>(), [2]);
    // A tick comes every 100 ms, with some more while workers start.
    assert!(ticks.get() < 40, "{}", ticks.get());
}

#[test]
fn tasks_that_wait_for_their_next_attempt_are_bounded() {
    let job = echo_job().retries(Retries { count: 1, delay: LONG });
    let mut pool = pool(2);
    for unordered in [true, false] {
        let run = pool.map(&job, std::iter::repeat_with(|| Task::new("fail"))).expect("a run");
        let run = if unordered { run.unordered() } else { run };
        let (stop, mut before) = (run.stop_handle(), 0);
        let run = run.observe(move |event, stats| {
            if let Event::Tick = event {
                if stats.taken > 500 && stats.taken == before {
                    stop.stop_soon();
                }
                before = stats.taken;
            }
        });
        let ended: Vec<_> = run.collect();
        // 1,024 may wait, and each of the two workers may hold as many.
        assert!((500..=3 * 1024).contains(&ended.len()), "{}", ended.len());
        assert!(ended.iter().all(|outcome| matches!(outcome.status(), Status::Error | Status::Cancelled)));
    }
}

#[test]
fn merges_are_tried_again_as_well() {
    let job = pass_on_call().retries(retries(9, 1));
    let mut pool = pool(1);
    let merged = pool.map(&job, (0..3).map(|_| word(2))).expect("a run").reduce("merge", |failed| panic!("{failed:?}"));
    assert_eq!(crate::support::result_words(&merged.expect("a merge")), [3]);
    let job = pass_on_call().retries(retries(1, 1));
    let merged =
        pool.map(&job, std::iter::empty::<Task>()).expect("a run").reduce("merge", |_| {}).expect("an outcome");
    assert_eq!((failed(&merged).1, merged.stats.attempts), ("too early", 2));
}

/// The statuses of a run with this many failing tasks, and why it ended early.
fn halted(halt: Halt, tasks: impl Iterator<Item = Task>) -> (Vec<Outcome>, Vec<String>) {
    let why = RefCell::new(Vec::new());
    let mut pool = pool(2);
    let run = pool.map(&echo_job().halt(halt), tasks).expect("a run").observe(|event, _| {
        if let Event::Halted(halted) = event {
            why.borrow_mut().push(halted.to_string());
        }
    });
    let ended = run.collect();
    assert_usable(&mut pool);
    (ended, why.take())
}

fn count(ended: &[Outcome], status: Status) -> usize {
    ended.iter().filter(|outcome| outcome.status() == status).count()
}

#[test]
fn enough_failures_end_an_endless_run() {
    for (halt, most_done, why) in [
        (Halt::Soon(HaltAt::Count(1)), 1000, "1 task failed"),
        (Halt::Now(HaltAt::Count(3)), 1000, "3 tasks failed"),
        (Halt::Soon(HaltAt::Percent(50)), 1000, "tasks failed"),
    ] {
        let tasks = (0..).map(|index: u32| if index.is_multiple_of(3) { Task::from(index) } else { Task::new("fail") });
        let (ended, whys) = halted(halt, tasks);
        assert_eq!(whys.len(), 1, "{halt}: said once");
        assert!(whys[0].ends_with(why), "{whys:?}");
        let wanted = match halt.at() {
            Some(HaltAt::Count(count)) => count as usize,
            _ => 2,
        };
        assert!(count(&ended, Status::Error) >= wanted, "{halt}");
        assert!(ended.len() < most_done, "{halt}: {} tasks", ended.len());
    }
}

#[test]
fn too_few_failures_end_nothing() {
    let tasks = || (0..300).map(|index| if index < 3 { Task::new("fail") } else { Task::from(index) });
    for halt in [Halt::Never, Halt::Soon(HaltAt::Count(4)), Halt::Now(HaltAt::Count(4))] {
        let (ended, whys) = halted(halt, tasks());
        assert_eq!((count(&ended, Status::Error), count(&ended, Status::Ok)), (3, 297), "{halt}");
        assert!(whys.is_empty(), "{whys:?}");
    }
}

#[test]
fn tasks_that_never_start_count_as_failures() {
    let tasks = (0..).map(|_: u32| Task::unrunnable("x", "no such file"));
    let (ended, whys) = halted(Halt::Soon(HaltAt::Count(5)), tasks);
    assert_eq!((ended.len(), whys), (5, vec!["5 tasks failed".to_owned()]));
}

#[test]
fn halting_now_kills_what_runs_and_halting_soon_does_not() {
    let mark = file(&[1; 4096]);
    let tasks = [Task::new("hang").input(input(&mark)), Task::new("fail")].into_iter().chain((0..100).map(Task::from));
    let (ended, _) = halted(Halt::Now(HaltAt::Count(1)), tasks);
    assert_eq!(failed(&ended[1]).0, Status::Error);
    assert_eq!(failed(&ended[0]).0, Status::Cancelled);

    let flag = Flag::new();
    let mut pool = pool(2);
    let tasks = [Task::new("wait").input(flag.input()), Task::new("fail")].into_iter().chain((0..).map(Task::from));
    let run = pool.map(&echo_job().halt(Halt::Soon(HaltAt::Count(1))), tasks).expect("a run");
    let run = run.observe(|event, _| {
        if let Event::Halted(_) = event {
            flag.raise();
        }
    });
    let ended: Vec<_> = run.collect();
    // It may have been queued behind the task that failed, without having begun.
    let first = &ended[0];
    assert!(first.result.is_ok() || failed(first).1 == "the run was stopped before it began", "{first:?}");
    assert_eq!(failed(&ended[1]).0, Status::Error);
}

#[test]
fn only_the_last_attempt_counts_for_the_end_of_a_run() {
    let job = pass_on_call().retries(retries(5, 1)).halt(Halt::Now(HaltAt::Count(1)));
    let ended: Vec<_> = pool(1).map(&job, [word(3), word(4)].into_iter()).expect("a run").collect();
    assert_eq!(count(&ended, Status::Ok), 2);
}

#[test]
fn a_module_that_kills_every_worker_ends_the_run() {
    kills_every_worker(pool(2));
    kills_every_worker(Pool::builder().backend(pool(2)).build().expect("a pool"));
}

fn kills_every_worker(mut pool: Pool) {
    let mark = file(&[1; 4096]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let why = RefCell::new(Vec::new());
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                // A worker may have exited by itself in the meantime.
                for pid in workers_that_hold(mark.path()) {
                    let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).output();
                }
            }
        });
        let tasks = std::iter::repeat_with(|| Task::new("hang").input(input(&mark)));
        let run = pool.map(&echo_job(), tasks).expect("a run").observe(|event, _| {
            if let Event::Halted(halted) = event {
                why.borrow_mut().push(halted.to_string());
            }
        });
        let ended = run.collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        ended
    });
    let lost = count(&ended, Status::WorkerLost);
    assert_eq!(lost + count(&ended, Status::Cancelled), ended.len());
    assert!((64..200).contains(&lost), "{lost}");
    assert_eq!(why.borrow().len(), 1);
    let wanted =
        " workers in a row died, and no task ended otherwise; the last one was killed by SIGKILL (out of memory?)";
    assert!(why.borrow()[0].ends_with(wanted), "{why:?}");
    assert_usable(&mut pool);
}
