//! Which worker runs which task, and when: order, take-back, backpressure; and data that passes through a pool.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::mpsc;
use std::task::Poll;

use wrun::backend::Waker;
use wrun::{Event, Input, Job, Limits, Module, Outcome, Pool, RunStats, Source, Status, Task};

use crate::support::{
    Flag, bytes, each, failed, file, input, open_files, patient, pattern, pool, result_words, task_module, text,
    within_patience, words, workers_that_hold,
};

/// Returns the argument; `hang` never ends, `wait` ends when the last input's flag is raised, `fail` fails.
pub fn echo() -> Module {
    task_module(
        "3",
        r#"(func $is (param $word i32) (result i32)
            (i32.and (i32.eq (call $arg_len) (i32.const 4)) (i32.eq (call $arg (i32.const 0)) (local.get $word))))
        (func $last (result i32) (call $map (i32.sub (call $input_count) (i32.const 1))))
        (func (export "wrun:task/echo") (result i32)
            (if (call $is (i32.const 0x676e6168)) (then (if (call $input_count) (then (drop (call $last)))) (call $hang)))
            (if (call $is (i32.const 0x74696177)) (then (call $wait (call $last))))
            (if (call $is (i32.const 0x6c696166)) (then (call $fail (i32.const 1024) (i32.const 4)) (return (i32.const 1))))
            (call $arg_read (i32.const 65536))
            (call $output_write (i32.const 65536) (call $arg_len))
            (i32.const 0))
        (func (export "wrun:task/concatenate") (result i32) (local $i i32)
            (block $done (loop $next
                (br_if $done (i32.eq (local.get $i) (call $input_count)))
                (call $output_write (call $map (local.get $i)) (i32.wrap_i64 (call $input_len (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
            (i32.const 0))
        (func (export "wrun:task/refuse") (result i32)
            (call $fail (i32.const 1) (i32.const 0))
            (i32.const 1))
        (data (i32.const 100) "<>")
        (func (export "wrun:task/bracket") (result i32) (local $i i32)
            (call $output_write (i32.const 100) (i32.const 1))
            (block $done (loop $next
                (br_if $done (i32.eq (local.get $i) (call $input_count)))
                (call $output_write (call $map (local.get $i)) (i32.wrap_i64 (call $input_len (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
            (call $output_write (i32.const 101) (i32.const 1))
            (i32.const 0))"#,
    )
}

pub fn echo_job() -> Job {
    Job::new(&echo()).call("echo").limits(patient())
}

/// Checks that a pool works: two tasks per worker return the right results.
pub fn assert_usable(pool: &mut Pool) {
    let ended: Vec<_> = pool.map(&echo_job(), 0..8).expect("a run").map(|outcome| text(&outcome)).collect();
    assert_eq!(ended, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn outcomes_come_in_item_order_or_all_the_same_as_they_end() {
    let mut pool = pool(4);
    let ordered: Vec<_> = pool.map(&echo_job(), 0..3000).expect("a run").collect();
    for (index, outcome) in ordered.iter().enumerate() {
        assert_eq!((outcome.index, text(outcome)), (index as u64, index.to_string()));
    }
    let all: Vec<_> = pool.map(&echo_job(), 0..3000).expect("a run").unordered().collect();
    assert_eq!(all.len(), 3000);
    assert!(all.iter().all(|outcome| text(outcome) == outcome.index.to_string()));
    assert_eq!(all.iter().map(|outcome| outcome.index).collect::<HashSet<_>>().len(), 3000);
}

#[test]
fn a_hundred_thousand_tasks_run_exactly_once_each() {
    const COUNT: u64 = 100_000;
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/index") (result i32)
            (call $put (i32.wrap_i64 (call $task_index))) (call $put (call $arg (i32.const 0))) (i32.const 0))"#,
    );
    let events = RefCell::new(vec![0u8; COUNT as usize]);
    let mut pool = pool(4);
    let run = pool.map(&Job::new(&module), (0..COUNT).map(|n| words(&[n as u32 ^ 0xabcd]))).expect("a run");
    let mut run = run.observe(|event, _| {
        if let Event::TaskFinished(outcome) = event {
            events.borrow_mut()[outcome.index as usize] += 1;
        }
    });
    for index in 0..COUNT {
        let outcome = run.next().expect("an outcome for each task");
        assert_eq!((outcome.index, outcome.stats.attempts), (index, 1));
        assert_eq!(result_words(&outcome), [index as u32, index as u32 ^ 0xabcd]);
    }
    assert!(run.next().is_none());
    let mut stats = RunStats::default();
    (stats.taken, stats.done) = (COUNT, COUNT);
    assert_eq!(run.finish().expect("an ordinary end"), stats);
    assert!(events.borrow().iter().all(|&count| count == 1));
}

/// Runs these tasks. `waiting` of them wait for the flag, which is raised when all others have ended; so the run succeeds only
/// if no task is queued behind one of those.
fn run_around_waiting_tasks(workers: usize, tasks: Vec<Task>, flag: &Flag, waiting: usize) -> Vec<Outcome> {
    let others = tasks.len() - waiting;
    let ends = RefCell::new(Vec::new());
    let mut pool = pool(workers);
    let run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
    let run = run.observe(|event, _| {
        if let Event::TaskFinished(outcome) = event {
            ends.borrow_mut().push(outcome.task.argument == b"wait");
            if ends.borrow().len() == others {
                flag.raise();
            }
        }
    });
    let ended: Vec<_> = run.collect();
    for outcome in &ended {
        assert_eq!(text(outcome).as_bytes(), &*outcome.task.argument);
    }
    let last: Vec<_> = ends.borrow().iter().skip(others).copied().collect();
    assert_eq!(last, vec![true; waiting], "those that waited ended last");
    ended
}

#[test]
fn a_slow_first_task_does_not_stop_others_from_ending() {
    let flag = Flag::new();
    let mut tasks = vec![Task::new("wait").input(flag.input())];
    tasks.extend((1..2000).map(Task::from));
    let ended = run_around_waiting_tasks(2, tasks, &flag, 1);
    assert!(ended.iter().map(|outcome| outcome.index).eq(0..2000), "still delivered in item order");
}

#[test]
fn tasks_queued_behind_a_slow_one_are_taken_back() {
    // After many short tasks, many are queued ahead on workers; then comes a slow one, with more behind it.
    for workers in [2, 3] {
        let flag = Flag::new();
        let mut tasks: Vec<Task> = (0..5000).map(Task::from).collect();
        tasks.push(Task::new("wait").input(flag.input()));
        tasks.extend((0..5000).map(Task::from));
        run_around_waiting_tasks(workers, tasks, &flag, 1);
    }
}

#[test]
fn all_workers_but_one_may_be_busy_with_slow_tasks() {
    let flag = Flag::new();
    let slow = || Task::new("wait").input(flag.input());
    let mut tasks: Vec<Task> = (0..1000).map(Task::from).collect();
    tasks.extend([slow(), slow(), slow()]);
    tasks.extend((0..1000).map(Task::from));
    run_around_waiting_tasks(4, tasks, &flag, 3);
}

#[test]
fn dropping_a_run_cancels_it_and_the_pool_is_usable_again() {
    let mut pool = pool(2);
    let pulled = Cell::new(0);
    let tasks = std::iter::from_fn(|| {
        pulled.set(pulled.get() + 1);
        Some(Task::new(if pulled.get() == 1 { "first" } else { "hang" }))
    });
    let mut run = pool.map(&echo_job(), tasks).expect("a run");
    assert_eq!(text(&run.next().expect("an outcome")), "first");
    drop(run);
    let at_the_end = pulled.get();
    assert!((2..100).contains(&at_the_end), "{at_the_end}");
    assert_usable(&mut pool);
    assert_eq!(pulled.get(), at_the_end);
    // A run that is never polled takes nothing.
    drop(pool.map(&echo_job(), std::iter::from_fn(|| -> Option<Task> { panic!("taken") })).expect("a run"));
    assert_usable(&mut pool);
}

#[test]
fn a_worker_from_which_all_was_taken_back_does_not_hold_up_the_next_run() {
    // One worker runs a slow task, and everything that was queued behind it was given to the other: the queue is full of
    // tasks that no longer belong to the worker.
    within_patience(|| {
        for _ in 0..5 {
            let flag = Flag::new();
            let mut tasks: Vec<Task> = (0..1000).map(Task::from).collect();
            tasks.insert(0, Task::new("wait").input(flag.input()));
            let mut pool = pool(2);
            let run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
            let mut run = run.observe(|_, stats| {
                if stats.done == 1000 {
                    flag.raise();
                }
            });
            assert_eq!(text(&run.next().expect("an outcome")), "wait");
            drop(run);
            assert_usable(&mut pool);
        }
    });
}

#[test]
fn a_slow_task_does_not_keep_others_from_being_queued_ahead() {
    // If tasks are queued ahead, the pool is woken once for many completions, not for each.
    let flag = Flag::new();
    let turns = Cell::new(0u64);
    let mut pool = pool(2);
    let first = Task::new("wait").input(flag.input());
    let run = pool.map(&echo_job(), std::iter::once(first).chain((0..12_000).map(Task::from))).expect("a run");
    let run = run.observe(|event, stats| {
        turns.set(turns.get() + u64::from(matches!(event, Event::Tick)));
        if stats.done == 12_000 {
            flag.raise();
        }
    });
    assert_eq!(run.filter(|outcome| outcome.status() == Status::Ok).count(), 12_001);
    assert!(turns.get() < 6000, "{} turns", turns.get());
}

#[test]
fn a_pool_is_usable_after_any_number_of_dropped_runs() {
    // Short tasks, so that hundreds of them are in flight: begun, queued, or not yet visible to their worker.
    within_patience(|| {
        let mut pool = pool(2);
        for taken in (0..150).chain([1000, 0, 3000, 1, 10_000, 2]) {
            let mut run = pool.map(&echo_job(), 0u64..).expect("a run");
            for index in 0..taken {
                assert_eq!(text(&run.next().expect("an outcome")), index.to_string());
            }
            drop(run);
            assert_usable(&mut pool);
        }
    });
}

#[test]
fn the_source_is_asked_only_as_far_ahead_as_workers_can_hold() {
    for ordered in [true, false] {
        let pulled = Cell::new(0u64);
        let mut pool = pool(2);
        let tasks = std::iter::from_fn(|| {
            pulled.set(pulled.get() + 1);
            Some(pulled.get())
        });
        let run = pool.map(&echo_job(), tasks).expect("a run");
        let mut run = if ordered { run } else { run.unordered() };
        // At most as many tasks are in flight as fit into the rings, while as many outcomes are delivered; in order, outcomes may
        // also have to wait for an earlier one.
        let bound = if ordered { 16 << 10 } else { 2 * 2 * 1024 };
        for taken in 1..=20_000 {
            assert_eq!(run.next().expect("an outcome").status(), Status::Ok);
            assert!(pulled.get() <= taken + bound, "{} pulled for {taken}", pulled.get());
        }
        assert!(pulled.get() >= 20_000, "the control: the source was polled at all");
    }
}

#[test]
fn a_source_that_takes_its_time_does_not_hold_outcomes_up() {
    let (pulled, delivered) = (Cell::new(0), Cell::new(0));
    let (_nobody_sends, never) = std::sync::mpsc::channel::<()>();
    let tasks = (0..40).inspect(|index| {
        // In the meantime the workers finish, and have room for thousands. The machine may be slow, so the more outcomes are missing, the
        // longer this waits.
        let missing: u64 = pulled.get() - delivered.get();
        let _ = never.recv_timeout(std::time::Duration::from_millis(15 << missing));
        pulled.set(index + 1);
        assert!(pulled.get() <= delivered.get() + 8, "{} pulled, {} delivered", pulled.get(), delivered.get());
    });
    for outcome in pool(2).map(&echo_job(), tasks).expect("a run") {
        assert_eq!(text(&outcome), delivered.get().to_string());
        delivered.set(delivered.get() + 1);
    }
    assert_eq!(delivered.get(), 40);
}

#[test]
fn outcomes_that_wait_for_an_earlier_one_are_bounded() {
    let flag = Flag::new();
    let pulled = Cell::new(0u64);
    let before = Cell::new((0, 0));
    let raised_at = Cell::new(0);
    let tasks = std::iter::from_fn(|| {
        pulled.set(pulled.get() + 1);
        Some(if pulled.get() == 1 { Task::new("wait").input(flag.input()) } else { Task::from(pulled.get()) })
    });
    let mut pool = pool(2);
    let run = pool.map(&echo_job(), tasks).expect("a run");
    let mut run = run.observe(|event, stats| {
        // Twice in a row all but the first have ended and no other was taken: the run holds as many as it can.
        if let Event::Tick = event {
            let now = (stats.taken, stats.done);
            if stats.taken > 1 && stats.done + 1 == stats.taken && before.replace(now) == now && raised_at.get() == 0 {
                raised_at.set(stats.taken);
                flag.raise();
            }
        }
    });
    // Without a bound this task would wait until it times out.
    assert_eq!(text(&run.next().expect("an outcome")), "wait");
    assert!(raised_at.get() > 1000, "the control: other tasks continued, {}", raised_at.get());
    assert!(pulled.get() <= 40_000, "{}", pulled.get());
}

#[test]
fn a_pool_runs_job_after_job_of_different_modules_and_limits() {
    let constant = |n: i32| {
        task_module(
            "1",
            &format!(r#"(func (export "wrun:task/t") (result i32) (call $put (i32.const {n})) (i32.const 0))"#),
        )
    };
    let modules: Vec<Module> = (0..5).map(constant).collect();
    let mut pool = pool(2);
    for round in 0..20u32 {
        let number = round as usize % modules.len();
        let mut job = Job::new(&modules[number]);
        if round % 3 == 0 {
            job = job.limits(Limits { stack_bytes: 128 << 10, ..Limits::default() });
        }
        if round % 4 == 0 {
            job = job.reuse();
        }
        for outcome in pool.map(&job, 0..20).expect("a run") {
            assert_eq!(result_words(&outcome), [number as u32]);
        }
    }
    assert_usable(&mut pool);
}

#[test]
fn many_files_pass_through_two_workers_that_keep_few_of_them_open() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32)
            (call $output_write (call $map (i32.const 0)) (i32.wrap_i64 (call $input_len (i32.const 0))))
            (call $put (i32.load8_u (call $map (i32.const 2))))
            (i32.const 0))"#,
    );
    let directory = tempfile::tempdir().expect("a directory");
    let files: Vec<Input> = (0..500)
        .map(|n| {
            let path = directory.path().join(n.to_string());
            std::fs::write(&path, format!("content of file {n}")).expect("room");
            Input::open(path).expect("a file")
        })
        .collect();
    let shared = file(b"shared");
    let job = Job::new(&module).input("shared", input(&shared)).limits(patient());
    let mut pool = pool(2);
    for round in 0..3 {
        // Each task has two inputs of its own, the second of which is another task's first.
        let other = |n: usize| files[(n * 7 + round) % 500].clone();
        let tasks = (0..500).map(|n| Task::new("").input(files[n].clone()).input(other(n)));
        for outcome in pool.map(&job, tasks).expect("a run") {
            let mut expected = format!("content of file {}", outcome.index).into_bytes();
            expected.extend(u32::from(b's').to_le_bytes());
            assert!(bytes(&outcome) == expected, "{}", outcome.index);
        }
    }
    for worker in workers_that_hold(shared.path()) {
        let open = open_files(worker).into_iter().filter(|path| path.starts_with(directory.path())).count();
        assert!((1..450).contains(&open), "{open}");
    }
}

#[test]
fn large_results_arrive_as_they_were_written() {
    // Words that count up from the index, written with `output_write` in pieces or with `output_map`.
    let module = task_module(
        "2",
        r#"(func $words (param $at i32) (param $from i32) (param $count i32)
            (block $done (loop $next
                (br_if $done (i32.eqz (local.get $count)))
                (i32.store (local.get $at) (local.get $from))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (local.set $from (i32.add (local.get $from) (i32.const 1)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br $next))))
        (func (export "wrun:task/mapped") (result i32)
            (call $words (call $output_map (i32.shl (call $arg (i32.const 0)) (i32.const 2)))
                (i32.wrap_i64 (call $task_index)) (call $arg (i32.const 0)))
            (i32.const 0))
        (func (export "wrun:task/written") (result i32) (local $done i32) (local $now i32)
            (loop $next
                (local.set $now (i32.sub (call $arg (i32.const 0)) (local.get $done)))
                (if (i32.gt_u (local.get $now) (i32.const 16384)) (then (local.set $now (i32.const 16384))))
                (call $words (i32.const 65536) (i32.add (i32.wrap_i64 (call $task_index)) (local.get $done)) (local.get $now))
                (call $output_write (i32.const 65536) (i32.shl (local.get $now) (i32.const 2)))
                (local.set $done (i32.add (local.get $done) (local.get $now)))
                (br_if $next (i32.lt_u (local.get $done) (call $arg (i32.const 0)))))
            (call $log (i32.const 3) (i32.const 1024) (i32.const 1))
            (i32.const 0))"#,
    );
    let counts: Vec<u32> =
        [16383, 16384, 16385, 25_600, 1, 1_310_720].into_iter().chain((0..60).map(|n| 25_600 + n)).collect();
    for call in ["mapped", "written"] {
        let mut pool = pool(2);
        let job = Job::new(&module).call(call).limits(patient());
        let run = pool.map(&job, counts.iter().map(|&count| words(&[count]))).expect("a run");
        for (outcome, &count) in run.zip(&counts) {
            let first = outcome.index as u32;
            assert!(result_words(&outcome).into_iter().eq(first..first + count), "{count} words by {call}");
            assert_eq!(outcome.log.len(), usize::from(call == "written"));
        }
    }
}

#[test]
fn tasks_that_cannot_run_fail_in_their_place() {
    let tasks = (0..100).map(|n| match n % 3 {
        0 => Task::unrunnable(n.to_string(), format!("file {n} does not open")),
        _ => Task::from(n),
    });
    for (index, outcome) in each(&echo_job(), tasks).iter().enumerate() {
        assert_eq!(outcome.index, index as u64);
        if index % 3 == 0 {
            assert_eq!(failed(outcome), (Status::Error, format!("file {index} does not open").as_str()));
        } else {
            assert_eq!(text(outcome), index.to_string());
        }
    }
}

/// Tasks sent by another thread.
struct Sent {
    tasks: mpsc::Receiver<Task>,
    waker: mpsc::Sender<Waker>,
    pendings: u32,
}

impl Source for Sent {
    fn attach(&mut self, waker: Waker) {
        self.waker.send(waker).expect("the other thread");
    }

    fn poll_task(&mut self) -> Poll<Option<Task>> {
        match self.tasks.try_recv() {
            Ok(task) => Poll::Ready(Some(task)),
            Err(mpsc::TryRecvError::Disconnected) => Poll::Ready(None),
            Err(mpsc::TryRecvError::Empty) => {
                self.pendings += 1;
                Poll::Pending
            }
        }
    }
}

#[test]
fn a_source_that_has_nothing_for_now_is_asked_again_when_it_wakes_the_run() {
    let (send, tasks) = mpsc::channel();
    let (waker_to, waker_from) = mpsc::channel::<Waker>();
    let (delivered, wait) = mpsc::channel();
    let mut pool = pool(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let waker = waker_from.recv().expect("attached");
            // Each task is sent only after the previous one was delivered, so the source is empty in between.
            for n in 0..200 {
                send.send(Task::from(n)).expect("the run");
                waker.wake();
                if wait.recv().is_err() {
                    return;
                }
            }
            drop(send);
            waker.wake();
        });
        let source = Sent { tasks, waker: waker_to, pendings: 0 };
        let mut count = 0;
        for outcome in pool.map(&echo_job(), source).expect("a run") {
            assert_eq!(text(&outcome), count.to_string());
            count += 1;
            delivered.send(()).expect("the other thread");
        }
        assert_eq!(count, 200);
    });
}

#[test]
fn results_are_inputs_of_later_tasks() {
    let module = echo();
    let mut pool = pool(2);
    let concatenate = Job::new(&module).call("concatenate");
    let small = pool.run(&echo_job(), "small").expect("a run");
    let large = pool.run(&echo_job(), pattern(60_000)).expect("a run");
    let mut output = large.result.expect("a result");
    // Doubling: from a result that is copied to ones that are not.
    for _ in 0..6 {
        let input = output.to_input().expect("an input");
        let doubled = pool.run(&concatenate, Task::new("").input(input.clone()).input(input)).expect("a run");
        output = doubled.result.expect("a result");
    }
    assert!(*output == pattern(60_000).repeat(64));
    let small = small.result.expect("a result").to_input().expect("an input");
    let part = output.to_input().expect("an input").slice(59_990..60_010).expect("a range");
    let mixed = pool.run(&concatenate, Task::new("").input(part).input(small)).expect("a run");
    let expected = [&pattern(60_000)[59_990..], &pattern(60_000)[..10], b"small"].concat();
    assert_eq!(bytes(&mixed), expected);
}
