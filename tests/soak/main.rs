//! A pool under every kind of stress at once: good and hostile tasks of several modules, workers that are killed and stopped,
//! inputs that are truncated, runs that are dropped. Each task must have exactly one outcome, and a good task the right one. At the
//! end the process must not hold more resources than at the beginning.
//!
//! `make soak` runs a million tasks; as an ordinary test it is short. `SOAK_TASKS` and `SOAK_SECONDS` limit it (whichever is
//! reached first), and `SOAK_SEED` seeds all random choices.

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "most of it is for other tests")]
mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use wrun::{Input, Job, Limits, Module, Outcome, Pool, Source, Status, Task};

use support::{file, input, pattern, pool, task_module};

/// The first byte of a task's argument decides what the task does. The module appends its own number to results.
fn module(number: u32) -> Module {
    task_module(
        "3",
        &format!(
            r#"(func $dive (param i32) (result i32) (i32.add (call $dive (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
            (func (export "wrun:task/t") (result i32) (local $kind i32) (local $at i32) (local $end i32) (local $sum i32)
              (call $arg_read (i32.const 1024))
              (local.set $kind (i32.load8_u (i32.const 1024)))
              (if (i32.eq (local.get $kind) (i32.const {trap})) (then (unreachable)))
              (if (i32.eq (local.get $kind) (i32.const {fail})) (then
                (call $fail (i32.const 1024) (call $arg_len)) (return (i32.const 1))))
              (if (i32.eq (local.get $kind) (i32.const {hang})) (then (call $hang)))
              (if (i32.eq (local.get $kind) (i32.const {dive})) (then (drop (call $dive (i32.const 0)))))
              (if (i32.eq (local.get $kind) (i32.const {grow})) (then
                (if (i32.eq (memory.grow (i32.const 20000)) (i32.const -1)) (then (unreachable)))))
              (if (i32.eq (local.get $kind) (i32.const {write})) (then
                (i32.store (call $map (i32.const 0)) (i32.const 1))))
              (if (i32.eq (local.get $kind) (i32.const {large})) (then
                (call $output_write (i32.const 0) (i32.const 180000)) (return (i32.const 0))))
              (if (i32.eq (local.get $kind) (i32.const {sum})) (then
                (local.set $at (call $map (i32.const 0)))
                (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0)))))
                (loop
                  (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                  (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
                (call $put (local.get $sum)) (return (i32.const 0))))
              (call $output_write (i32.const 1024) (call $arg_len))
              (call $put (i32.const {number}))
              (i32.const 0))"#,
            trap = b't',
            fail = b'f',
            hang = b'h',
            dive = b'd',
            grow = b'g',
            write = b'w',
            large = b'l',
            sum = b's',
        ),
    )
}

/// Pseudorandom numbers (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

const FILE_BYTES: usize = 40_000;

/// The sum of a file's bytes.
static SUM: LazyLock<u32> = LazyLock::new(|| pattern(FILE_BYTES).iter().map(|&byte| u32::from(byte)).sum());

/// The tasks of one run.
struct Tasks {
    chance: Chance,
    files: Vec<Input>,
    left: u64,
}

impl Iterator for Tasks {
    type Item = Task;

    fn next(&mut self) -> Option<Task> {
        self.left = self.left.checked_sub(1)?;
        let file = self.files[self.chance.below(self.files.len() as u64) as usize].clone();
        let number = self.chance.below(1 << 40);
        let argument = |kind: char| format!("{kind}{number}");
        Some(match self.chance.below(1000) {
            0..100 => Task::new(argument('s')).input(file),
            100..105 => Task::new(argument('l')),
            105..125 => Task::new(argument('t')),
            125..145 => Task::new(argument('f')),
            145 => Task::new(argument('d')),
            150..155 => Task::new(argument('g')),
            155..160 => Task::new(argument('w')).input(file),
            160 if self.chance.one_in(40) => Task::new(argument('h')),
            _ => Task::new(argument('e')),
        })
    }
}

/// How often each kind of event happened, by name.
#[derive(Default)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

/// Good tasks that were lost with a worker.
const LOST: &str = "good tasks lost with their worker";
const KILLED: &str = "workers killed";
const STOPPED: &str = "workers stopped for good";
const PAUSED: &str = "workers stopped for a while";
const CUT: &str = "files truncated";
const DROPPED: &str = "runs dropped";

/// Checks an outcome against what its task should have done.
fn check(outcome: &Outcome, number: u32, is_cut: bool, counts: &mut Counts) {
    let argument = &outcome.task.argument;
    let sum = *SUM;
    let (wanted, status): (Option<Vec<u8>>, Status) = match argument[0] {
        b't' => (None, Status::Trap),
        b'f' => (None, Status::Error),
        b'h' => (None, Status::Timeout),
        b'd' | b'g' => (None, Status::Limit),
        b'w' => (None, Status::InputFault),
        b'l' => (None, Status::Ok),
        b's' => (Some(sum.to_le_bytes().to_vec()), Status::Ok),
        _ => (Some([&argument[..], &number.to_le_bytes()].concat()), Status::Ok),
    };
    counts.add(outcome.status().as_str());
    match outcome.status() {
        found if found == status => {
            if let (Ok(output), Some(wanted)) = (&outcome.result, &wanted) {
                assert!(**output == **wanted, "task {} has a wrong result", outcome.index);
            }
            if argument[0] == b'l' {
                assert_eq!(outcome.result.as_ref().expect("it is ok").len(), 180_000);
            }
        }
        Status::WorkerLost | Status::Timeout => counts.add(LOST),
        Status::InputFault if is_cut && argument[0] == b's' => {}
        found => panic!("task {} ({:?}) is {found}, not {status}", outcome.index, char::from(argument[0])),
    }
}

/// Performs one run of up to this many tasks; returns its number of outcomes.
fn run(pool: &mut Pool, module: &(u32, Module), count: u64, chance: &mut Chance, counts: &mut Counts) -> u64 {
    let files: Vec<NamedTempFile> = (0..8).map(|_| file(&pattern(FILE_BYTES))).collect();
    let limits = Limits { timeout: Some(Duration::from_secs(2).into()), memory_bytes: 64 << 20, ..Limits::default() };
    let job = Job::new(&module.1).limits(limits);
    let job = if chance.one_in(3) { job.reuse() } else { job };
    let tasks =
        Tasks { chance: Chance(chance.below(1 << 50) + 1), files: files.iter().map(input).collect(), left: count };
    let run = pool.map(&job, tasks).expect("a run");
    let mut run = if chance.one_in(2) { run.unordered() } else { run };
    let mut seen = vec![false; count as usize];
    let drop_at = if chance.one_in(5) { chance.below(count) } else { u64::MAX };
    let (mut is_cut, mut paused) = (false, Vec::new());
    let mut outcomes = 0;
    while let Some(outcome) = run.next() {
        assert!(!std::mem::replace(&mut seen[outcome.index as usize], true), "task {} ended twice", outcome.index);
        check(&outcome, module.0, is_cut, counts);
        outcomes += 1;
        if outcomes == drop_at {
            counts.add(DROPPED);
            drop(run);
            resume(&mut paused);
            return outcomes;
        }
        if chance.one_in(4000) {
            disturb(&mut run, chance, &mut paused, counts);
        }
        if chance.one_in(400) {
            resume(&mut paused);
        }
        if chance.one_in(10_000) {
            let file = &files[chance.below(files.len() as u64) as usize];
            file.as_file().set_len(chance.below(FILE_BYTES as u64)).expect("a file of ours");
            (is_cut, _) = (true, counts.add(CUT));
        }
    }
    resume(&mut paused);
    let stats = run.finish().expect("workers start");
    assert_eq!((stats.taken, stats.done, outcomes), (count, count, count));
    outcomes
}

/// Kills or stops a worker.
fn disturb<S: Source>(run: &mut wrun::Run<'_, S>, chance: &mut Chance, paused: &mut Vec<u32>, counts: &mut Counts) {
    // Only this thread reaps workers, during the run, so their process ids are still valid.
    let workers = run.worker_pids();
    if workers.is_empty() {
        return;
    }
    let worker = workers[chance.below(workers.len() as u64) as usize];
    let (signal, what) = match chance.below(40) {
        0 => (Signal::STOP, STOPPED),
        1..10 => (Signal::STOP, PAUSED),
        _ => (Signal::KILL, KILLED),
    };
    send(worker, signal);
    counts.add(what);
    if what == PAUSED {
        paused.push(worker);
    }
}

fn resume(paused: &mut Vec<u32>) {
    paused.drain(..).for_each(|worker| send(worker, Signal::CONT));
}

/// Sends a signal to a process that may already be gone.
fn send(process: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(process as i32).expect("a number"), signal);
}

/// This process's number of open descriptors, its private dirty memory in bytes, and its number of unreaped children.
fn state() -> (usize, u64, String) {
    let open = std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc");
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty")).expect("a line of smaps_rollup");
    let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number");
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok()).collect();
    (open, kib << 10, children)
}

fn setting(name: &str, unless_set: u64) -> u64 {
    std::env::var(name).map_or(unless_set, |value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn a_pool_survives_everything_at_once() {
    let tasks = setting("SOAK_TASKS", 30_000);
    let deadline = Instant::now() + Duration::from_secs(setting("SOAK_SECONDS", 180));
    let seed = setting("SOAK_SEED", 1);
    println!("SOAK_SEED={seed}");
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut counts = Counts::default();
    let modules: Vec<(u32, Module)> = (1..4).map(|number| (number, module(number))).collect();

    let start = Instant::now();
    let mut done = 0;
    // A first run performs all one-time initialization.
    done += run(&mut pool(3), &modules[0], 1000.min(tasks), &mut chance, &mut counts);
    let before = state();
    let mut runs = 1;
    let mut pool = pool(3);
    while done < tasks && Instant::now() < deadline {
        let count = (1 + chance.below(20_000)).min(tasks - done);
        let module = &modules[chance.below(3) as usize];
        done += run(&mut pool, module, count, &mut chance, &mut counts);
        runs += 1;
    }
    drop(pool);
    let after = state();

    let seconds = start.elapsed().as_secs_f64();
    println!("{done:>10} outcomes in {runs} runs, {seconds:.1} s, {:.0} a second", done as f64 / seconds);
    counts.0.iter().for_each(|(what, count)| println!("{count:>10} {what}"));
    println!("{:>10} KiB of private memory before, {} after", before.1 >> 10, after.1 >> 10);
    println!("{:>10} descriptors before, {} after", before.0, after.0);

    let disturbed = counts.get(KILLED) + counts.get(STOPPED) + counts.get(PAUSED);
    assert!(counts.get(LOST) <= disturbed, "a worker takes at most one task with it");
    assert!(disturbed > 0 && counts.get(DROPPED) < runs && counts.get("ok") > done / 2, "the control");
    assert_eq!((after.0, after.2.as_str()), (before.0, ""), "descriptors and processes");
    assert!(after.1 < before.1 + (24 << 20), "{} more bytes of memory", after.1 - before.1);
}
