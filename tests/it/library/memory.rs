//! Memory: all workers share the inputs, and a worker's own memory is small.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wrun::{Event, Input, Job, Limits, Outcome, SplitAt, SplitSize, Status, Task};

use crate::support::{
    Flag, each, kill, module, patient, pool, task_module, within_patience, worker_that_maps, workers_that_hold,
};

/// Sums the 64-bit words of its piece, which it maps as a whole.
const SUM: &str = include_str!("sum.wat");

/// Bytes private to this process, which would be freed if it ended (proc(5), `Private_Dirty`). Pages of an input that only one
/// worker is using right now are `Private_Clean`: they belong to the page cache.
fn private_bytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process of ours");
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty")).expect("a line of smaps_rollup");
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number") << 10
}

#[test]
fn workers_are_ended_before_their_pool_if_memory_runs_out() {
    let mark = Flag::new();
    let mut job =
        Job::new(&module(r#"(module (import "wrun_v1" "input_count" (func (result i32))) (func (export "f")))"#));
    job.inputs.push(("mark".to_owned(), mark.input()));
    let mut pool = pool(1);
    assert!(pool.run(&job, Task::default()).expect("a run").result.is_ok());
    let score = |process: &str| {
        let text = std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).expect("a process of ours");
        text.trim().parse::<i32>().expect("a number")
    };
    let worker = workers_that_hold(mark.path())[0];
    assert_eq!(score(&worker.to_string()), (score("self") + 300).min(1000));
}

/// Grows by 16 pages and is refused 60,000 more; then it maps its input if it has one, and ends unless its argument is a word.
const GROWS: &str = r#"(func (export "wrun:task/grow") (result i32)
    (drop (memory.grow (i32.const 16)))
    (drop (memory.grow (i32.const 60000)))
    (if (call $input_count) (then (drop (call $map (i32.const 0)))))
    (if (call $arg_len) (then (call $hang)))
    (i32.const 0))"#;

#[test]
fn a_task_that_was_refused_memory_says_so_however_it_ends() {
    const PAGE: u64 = 64 << 10;
    let grows = task_module("2", GROWS);
    let memory = |outcome: &Outcome, status: Status| {
        assert_eq!(outcome.status(), status, "{outcome:?}");
        (outcome.stats.usage.peak_memory_bytes / PAGE, outcome.stats.usage.refused_memory_bytes)
    };
    let refused = Some((2 + 16 + 60_000) * PAGE);
    let job = Job::new(&grows);
    let passed = &each(&job, [""])[0];
    assert_eq!(memory(passed, Status::Ok), (18, refused));
    // The worker is killed for the time limit, with a stack trace and without.
    let limits = Limits { timeout: Some(Duration::from_millis(300).into()), ..Limits::default() };
    let stopped = &each(&job.clone().limits(limits), ["hang"])[0];
    assert_eq!(memory(stopped, Status::Timeout), (18, refused));
    // The worker dies.
    let mark = Flag::new();
    let outcomes = std::thread::scope(|scope| {
        scope.spawn(|| kill(worker_that_maps(mark.path())));
        each(&job, [Task::new("hang").input(mark.input())])
    });
    assert_eq!(memory(&outcomes[0], Status::WorkerLost), (18, refused));
    // The next task of the worker has numbers of its own, and a task that gets all it asks for was refused nothing.
    let job = Job::new(&task_module("2", "(func (export \"wrun:task/none\") (result i32) (i32.const 0))"));
    assert!(each(&job, ["", ""]).iter().all(|outcome| memory(outcome, Status::Ok) == (2, None)));
    let limits = Limits { memory_bytes: 4 << 30, ..patient() };
    assert_eq!(memory(&each(&Job::new(&grows).limits(limits), [""])[0], Status::Ok), (60_018, None));
}

/// The first task waits for its input; the next 4,000 end at once, and later ones have a result of 1 MiB.
const LONG_RESULTS: &str = r#"(func (export "wrun:task/long") (result i32)
    (if (call $input_count) (then (call $wait (call $map (i32.const 0)))))
    (if (i64.gt_u (call $task_index) (i64.const 4000)) (then
        (memory.fill (call $output_map (i32.const 0x100000)) (i32.const 1) (i32.const 0x100000))))
    (i32.const 0))"#;

#[test]
fn few_long_results_wait_for_an_earlier_one_however_many_tasks_workers_hold() {
    const TASKS: u64 = 8000;
    let flag = Flag::new();
    let job = Job::new(&task_module("2", LONG_RESULTS)).limits(patient());
    let mut tasks = vec![Task::default(); TASKS as usize];
    tasks[0] = Task::default().input(flag.input());
    let mut pool = pool(2);
    let (mut long, mut last, mut is_raised) = (0, Instant::now(), false);
    let run = pool.map(&job, tasks.into_iter()).expect("a run").observe(|event, _| match event {
        Event::TaskFinished(outcome) if outcome.index > 4000 && !is_raised => (long, last) = (long + 1, Instant::now()),
        // None has ended for a while.
        Event::Tick if long > 0 && last.elapsed() > Duration::from_millis(500) && !is_raised => {
            is_raised = true;
            flag.raise();
        }
        _ => {}
    });
    let indices: Vec<u64> = run.map(|outcome| outcome.result.map(|_| outcome.index).expect("a result")).collect();
    assert_eq!(indices, (0..TASKS).collect::<Vec<_>>());
    // 32 MiB of results, and those that end within the milliseconds until the pool looks. Workers hold several hundred tasks.
    assert!((32..64).contains(&long), "{long} long results");
}

#[test]
fn a_run_that_nobody_watches_goes_on_after_the_task_that_all_wait_for() {
    const TASKS: u64 = 100;
    let indices = within_patience(|| {
        let flag = Flag::new();
        // Without a time limit, nothing wakes the pool from time to time.
        let job = Job::new(&task_module("2", LONG_RESULTS));
        let taken = AtomicU64::new(0);
        let task = |number| match number {
            0 => Task::default().input(flag.input()),
            _ => Task::default(),
        };
        let tasks = (0..TASKS).map(task).inspect(|_| {
            taken.fetch_add(1, Ordering::Relaxed);
        });
        let mut pool = pool(2);
        let run = pool.map(&job, tasks).expect("a run").first_index(4000).ahead(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // All have been taken that can be: 32 MiB of results wait.
                let (mut last, mut since) = (0, Instant::now());
                while last < 32 || since.elapsed() < Duration::from_millis(300) {
                    let now = taken.load(Ordering::Relaxed);
                    if now != last {
                        (last, since) = (now, Instant::now());
                    }
                    std::thread::yield_now();
                }
                flag.raise();
            });
            run.map(|outcome| outcome.result.map(|_| outcome.index).expect("a result")).collect::<Vec<_>>()
        })
    });
    assert_eq!(indices, (4000..4000 + TASKS).collect::<Vec<_>>());
}

#[test]
fn workers_share_an_input_and_have_little_memory_of_their_own() {
    const MIB: u64 = 1 << 20;
    const INPUT: u64 = 256 * MIB;
    const WORKERS: u64 = 4;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory-input");
    let words: Vec<u8> = (0..INPUT / 8).flat_map(u64::to_le_bytes).collect();
    std::fs::write(&path, words).expect("a file");

    let mut pool = pool(WORKERS as usize);
    let input = Input::open(&path).expect("the file");
    let pieces = input.split(SplitSize::Bytes(16 * MIB), SplitAt::Bytes).expect("pieces");
    let pieces = pieces.map(|piece| piece.expect("a piece"));
    let job = Job::new(&module(SUM));
    let mut sum = 0u64;
    let mut used = Vec::new();
    for outcome in pool.map(&job, pieces).expect("a job") {
        let output = outcome.result.as_ref().expect("a sum");
        sum += u64::from_le_bytes(output[..8].try_into().expect("eight bytes"));
        used.push(outcome.stats.worker);
    }
    assert_eq!(sum, (INPUT / 8) * (INPUT / 8 - 1) / 2, "all of the input was seen");
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len() as u64, WORKERS, "all workers took part");

    let pids = pool.worker_pids();
    assert_eq!(pids.len() as u64, WORKERS);
    let private: u64 = pids.into_iter().map(private_bytes).sum();
    println!("{} MiB of private memory in {WORKERS} workers", private / MIB);
    assert!(private < 64 * MIB, "{private} bytes of private memory in {WORKERS} workers");
    std::fs::remove_file(&path).expect("the file of this test");
}
