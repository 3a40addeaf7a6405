//! Arguments of any length: short ones go through the ring, long ones are in memory that workers map.

use std::cell::Cell;

use wrun::{Argument, Event, Input, Job, Limits, Module, Outcome, Retries, Status, Task};

use crate::cli::kit::{Place, objects, ok};
use crate::library::dispatch::{assert_usable, echo_job};
use crate::support::{
    Flag, bytes, each, failed, failure, file, input, kill, open_files, outcomes, patient, pattern, pool, result_words,
    rust_guest, task_module, wait_for, worker_that_maps, workers_that_hold,
};

/// The longest argument that goes through the ring.
const INLINE: usize = 64 << 10;

/// Allocates memory for the argument and returns its length, its last byte and a checksum; then the bytes that follow the argument.
fn checksum() -> Module {
    task_module(
        "2",
        r#"(func $read (result i32) (local $start i32)
            (local.set $start (i32.shl (memory.grow (i32.add (i32.shr_u (call $arg_len) (i32.const 16)) (i32.const 1))) (i32.const 16)))
            (call $arg_read (local.get $start))
            (local.get $start))
        (func (export "wrun:task/sum") (result i32) (local $at i32) (local $end i32) (local $sum i32)
            (local.set $end (i32.add (local.tee $at (call $read)) (call $arg_len)))
            (local.set $sum (i32.const 0x811c9dc5))
            (loop $next
                (local.set $sum (i32.mul (i32.xor (local.get $sum) (i32.load8_u (local.get $at))) (i32.const 0x01000193)))
                (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
            (call $put (call $arg_len))
            (call $put (local.get $sum))
            (call $put (i32.load8_u (local.get $end)))
            (i32.const 0))
        (func (export "wrun:task/trap") (result i32) (drop (call $read)) (unreachable))
        (func (export "wrun:task/wait") (result i32)
            (if (call $input_count) (then (call $wait (call $map (i32.const 0)))))
            (call $put (call $arg_len))
            (call $put (i32.load8_u (call $read)))
            (i32.const 0))"#,
    )
}

/// A job of that module with arguments of up to 64 MiB.
fn job(function: &str) -> Job {
    Job::new(&checksum()).call(function).limits(Limits { argument_bytes: 64 << 20, ..patient() })
}

/// What `sum` returns.
fn sum(argument: &[u8]) -> [u32; 3] {
    let sum = argument.iter().fold(0x811c_9dc5u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    [argument.len() as u32, sum, 0]
}

/// Whether a process has the memory of a long argument open or mapped.
fn has_arguments(pid: u32) -> bool {
    let is_argument = |text: &str| text.contains("memfd:wrun-input");
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("a process");
    is_argument(&maps) || open_files(pid).iter().any(|path| is_argument(&path.to_string_lossy()))
}

#[test]
fn an_argument_may_have_64_kib_unless_the_limit_is_raised() {
    let lens = [0, 1, 4096, INLINE - 1, INLINE, INLINE + 1, 10];
    let ended = each(&echo_job(), lens.map(|len| Task::new(pattern(len))));
    for (outcome, len) in ended.iter().zip(lens) {
        if len > INLINE {
            let message = "its argument has 65537 bytes, and the limit is 65536";
            assert_eq!(failed(outcome), (Status::Limit, message));
        } else {
            assert!(bytes(outcome) == pattern(len), "{len}");
        }
    }
    // Many together do not fit into the ring.
    for most in [INLINE, 2 * INLINE] {
        let job = echo_job().limits(Limits { argument_bytes: most as u64, ..Limits::default() });
        let many = each(&job, (0..100u8).map(|n| Task::new(vec![n; most])));
        assert!(many.iter().enumerate().all(|(n, outcome)| bytes(outcome) == vec![n as u8; most]));
    }
    let limits = |bytes| Limits { argument_bytes: bytes, ..Limits::default() };
    let (most, mut pool) = (Task::MAX_ARGUMENT_BYTES as u64, pool(1));
    assert!(pool.map(&echo_job().limits(limits(most)), 0..1).is_ok());
    let refused = pool.map(&echo_job().limits(limits(most + 1)), 0..1).err().expect("too much");
    let message =
        "a limit of 1073741825 bytes for the argument is not possible: give at least 0 and at most 1073741824";
    assert_eq!(refused.to_string(), message);
}

#[test]
fn a_guest_sees_exactly_its_argument_however_long_it_is() {
    let lens = [1, 20 << 20, 3, INLINE, INLINE + 1, 5, 4095, 100 * 4096, 100 * 4096 + 1, 8, 1 << 20];
    for job in [job("sum"), job("sum").reuse()] {
        // One worker, so that it gets long and short ones alternately.
        let mut pool = pool(1);
        let ended: Vec<Outcome> =
            pool.map(&job, lens.map(|len| Task::new(pattern(len))).into_iter()).expect("a run").collect();
        for (outcome, len) in ended.iter().zip(lens) {
            assert_eq!(result_words(outcome), sum(&pattern(len)), "{len}");
            assert!(outcome.task.argument == pattern(len), "the task is returned with its argument");
        }
        // A returned task can be run again.
        let again: Vec<Task> = ended.into_iter().map(|outcome| outcome.task).collect();
        for (outcome, len) in pool.map(&job, again.into_iter()).expect("a run").zip(lens) {
            assert_eq!(result_words(&outcome), sum(&pattern(len)), "{len}");
        }
    }
}

#[test]
fn a_long_argument_takes_the_guests_own_memory() {
    let limits = Limits { memory_bytes: 4 << 20, argument_bytes: 64 << 20, ..patient() };
    let ended = each(&job("sum").limits(limits), [1 << 20, 8 << 20].map(|len| Task::new(pattern(len))));
    assert_eq!(result_words(&ended[0]), sum(&pattern(1 << 20)));
    // Two pages, and those for the argument and what follows it.
    let message = "it needs 8585216 bytes of memory, and the limit is 4194304 bytes";
    assert_eq!(failed(&ended[1]), (Status::Limit, message));
}

#[test]
fn nothing_of_long_arguments_stays_in_workers_when_their_tasks_have_ended() {
    let mark = file(&[1; 4096]);
    for (function, reuse) in [("sum", false), ("sum", true), ("trap", false), ("trap", true)] {
        let mut job = job(function).input("mark", input(&mark));
        if reuse {
            job = job.reuse();
        }
        let mut pool = pool(2);
        let mut most = 0;
        for outcome in pool.map(&job, (0..300).map(|n| Task::new(pattern(INLINE + 1 + n)))).expect("a run") {
            assert_eq!(outcome.result.is_ok(), function == "sum", "{:?}", outcome.result);
            let workers = workers_that_hold(mark.path());
            most = most.max(workers.into_iter().filter(|&pid| has_arguments(pid)).count());
        }
        assert!(most > 0, "the control");
        let workers = workers_that_hold(mark.path());
        assert!(!workers.is_empty());
        workers.into_iter().for_each(|pid| wait_for(|| (!has_arguments(pid)).then_some(())));
    }
}

#[test]
fn a_task_with_a_long_argument_is_tried_again_when_its_worker_was_killed() {
    let flag = Flag::new();
    let job = job("wait").retries(Retries { count: 1, ..Retries::default() });
    let mut tasks: Vec<Task> = (0..20).map(|n| Task::new(vec![n as u8; INLINE + 1 + n])).collect();
    tasks[3].inputs.push(flag.input());
    let mut pool = pool(2);
    let ended: Vec<Outcome> = std::thread::scope(|scope| {
        scope.spawn(|| {
            kill(worker_that_maps(flag.path()));
            flag.raise();
        });
        pool.map(&job, tasks.into_iter()).expect("a run").collect()
    });
    for (n, outcome) in ended.iter().enumerate() {
        assert_eq!(result_words(outcome), [(INLINE + 1 + n) as u32, n as u32]);
        assert_eq!(outcome.stats.attempts, 1 + u32::from(n == 3), "{n}");
        assert!(outcome.task.argument == vec![n as u8; INLINE + 1 + n]);
    }
    assert_usable(&mut pool);
}

#[test]
fn tasks_with_long_arguments_are_taken_back_from_a_busy_worker() {
    const COUNT: usize = 200;
    let (flag, done) = (Flag::new(), Cell::new(0));
    let tasks = (0..COUNT).map(|n| {
        let task = Task::new(vec![n as u8; INLINE + 1 + n]);
        if n == 100 { task.input(flag.input()) } else { task }
    });
    let mut pool = pool(2);
    let run = pool.map(&job("wait"), tasks).expect("a run").observe(|event, _| {
        if let Event::TaskFinished(_) = event {
            done.set(done.get() + 1);
            if done.get() == COUNT - 1 {
                flag.raise();
            }
        }
    });
    for (n, outcome) in run.enumerate() {
        assert_eq!(result_words(&outcome), [(INLINE + 1 + n) as u32, u32::from(n as u8)]);
    }
    // A worker keeps no argument of tasks that were taken back from it.
    for pid in workers_that_hold(flag.path()) {
        wait_for(|| (!has_arguments(pid)).then_some(()));
    }
}

#[test]
fn more_bytes_of_arguments_than_workers_hold_at_a_time_pass_through_them() {
    let ended = outcomes(&job("wait"), (0..12u8).map(|n| Task::new(vec![n; 40 << 20])));
    for (n, outcome) in ended.iter().enumerate() {
        assert_eq!(result_words(outcome), [40 << 20, n as u32]);
    }
}

#[test]
fn tasks_share_an_argument() {
    let shared = Argument::shared(pattern(1 << 20)).expect("memory");
    let mark = file(&[1; 4096]);
    let job = job("sum").input("mark", input(&mark));
    let expected = sum(&pattern(1 << 20));
    let mut pool = pool(2);
    let tasks = (0..40).map(|n| if n % 3 == 0 { Task::from(n) } else { Task::new(shared.clone()) });
    for (n, outcome) in pool.map(&job, tasks).expect("a run").enumerate() {
        let expected = if n % 3 == 0 { sum(n.to_string().as_bytes()) } else { expected };
        assert_eq!(result_words(&outcome), expected);
    }
    for pid in workers_that_hold(mark.path()) {
        let open = open_files(pid).into_iter().filter(|path| path.to_string_lossy().contains("memfd:wrun-input"));
        assert!(open.count() <= 1, "each worker got it once");
    }
    // Together with one of the task's own inputs.
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    let both = pool.run(&job, Task::new(shared.clone()).input(data)).expect("a run");
    assert_eq!(result_words(&both), expected);
}

#[test]
fn a_command_gets_long_words_as_far_as_its_memory_could_hold_them() {
    let long = "x".repeat(1 << 20);
    let limits = Limits { argument_bytes: 4 << 20, memory_bytes: 32 << 20, ..patient() };
    let mut job = Job::new(&rust_guest("hello-wasi")).limits(limits);
    assert_eq!(bytes(&each(&job, [long.as_str()])[0]), format!("hello, {long}\n").as_bytes());
    job.argv = Some(vec!["{}{}".to_owned(); 20]);
    let message =
        "its words have 41943040 bytes, and its memory may have 33554432 (they can also be passed as an input)";
    assert_eq!(failed(&each(&job, [long.as_str()])[0]), (Status::Limit, message));
}

#[test]
fn words_with_many_places_for_a_short_item_are_not_made() {
    let item = "x".repeat(60_000);
    let job = |memory_bytes: u64, places: usize| {
        let limits = Limits { memory_bytes, ..patient() };
        let argv = Some(vec!["{}".repeat(places); 1]);
        Job { argv, ..Job::new(&rust_guest("hello-wasi")).limits(limits) }
    };
    let short = failed(&each(&job(16 << 20, 20_000), [item.as_str()])[0]).1.to_owned();
    assert_eq!(
        short,
        "its words have 1200000000 bytes, and its memory may have 16777216 (they can also be passed as an input)"
    );
    let outcomes = each(&job(4 << 30, 20_000), [item.as_str()]);
    let message = "its words have 1200000000 bytes, and they may have 2097152 (they can also be passed as an input)";
    assert_eq!(failed(&outcomes[0]), (Status::Limit, message));
    assert_eq!(failure(&outcomes[0]).setting, Some(wrun::result::Setting::ArgumentSize));
    let expected = format!("hello, {}\n", item.repeat(30));
    assert_eq!(bytes(&each(&job(64 << 20, 30), [item.as_str()])[0]), expected.as_bytes());
}

#[test]
fn a_function_of_numbers_takes_no_long_text() {
    let place = Place::new();
    let list = place.file("list", format!("4\n{}\n", " 4".repeat(100_000)));
    let args = ["map", "sqrt.wat", "--max-argument", "1M", "--items", list.to_str().expect("UTF-8")];
    let said = place.says(&args);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), "2\n"));
    let message = " failed: `sqrt` takes 1 numbers, in at most 65536 bytes, not 200000\n";
    assert!(said.stderr.contains(message), "{}", said.stderr);
}

#[test]
fn long_items_are_logged_and_found_again() {
    let place = Place::new();
    let items: Vec<String> = (0..5).map(|n| n.to_string().repeat(INLINE + 1)).collect();
    let list = place.file("list", items.join("\n"));
    let list = list.to_str().expect("UTF-8");
    let says = |more: &[&str]| {
        let options = ["--max-argument", "100K", "--joblog", "log", "--items", list];
        place.map("echo", &[&options, more].concat())
    };
    let results = ok(&items.iter().map(|item| format!("{item}\n")).collect::<String>());
    assert!(says(&[]) == results);
    let log = || objects(&std::fs::read_to_string(place.path().join("log")).expect("a log"));
    assert!(log().iter().all(|line| line["item"].as_str().is_some_and(|item| items.iter().any(|i| i == item))));
    assert!(says(&["--resume"]) == results, "the results come from the log");
    assert_eq!(log().len(), 5, "nothing was run again");
}

#[test]
fn the_same_long_argument_of_many_tasks_is_one_memory_file() {
    let long = pattern(1 << 20);
    let mut pool = pool(2);
    let tasks = (0..40).map(|n| if n % 4 == 0 { vec![n; 100_000] } else { long.clone() });
    let run = pool.map(&job("sum"), tasks).expect("a run");
    let outcomes: Vec<Outcome> = run.collect();
    let same: Vec<_> = outcomes.iter().filter(|outcome| outcome.index % 4 != 0).collect();
    assert!(same.iter().all(|outcome| result_words(outcome) == sum(&long)));
    // All outcomes are kept, so none of these arguments was copied.
    let place = same[0].task.argument.as_ptr();
    assert!(same.iter().all(|outcome| std::ptr::eq(outcome.task.argument.as_ptr(), place)));
    let others = outcomes.iter().filter(|outcome| outcome.index % 4 == 0);
    assert!(others.clone().all(|outcome| result_words(outcome) == sum(&[outcome.index as u8; 100_000])));
    assert!(others.clone().all(|outcome| !std::ptr::eq(outcome.task.argument.as_ptr(), place)));
}
