//! When tasks may start, how far ahead items are taken, and idle workers.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wrun::backend::BuiltIn;
use wrun::job::{Admission, Machine, Shortage};
use wrun::{Event, OutputFile, Pool, Status, Task};

use crate::cli::kit::{Place, finish};
use crate::library::dispatch::{echo, echo_job};
use crate::support::{Flag, WRUN, module, patient, pool, task_module, text, wait_for, within_patience};

/// A machine with this much free memory, in bytes, which a test may change.
fn machine(free: &Arc<AtomicU64>) -> Admission {
    let free = free.clone();
    let asked = Admission { free_memory_bytes: Some(1000), ..Admission::default() };
    asked.measured_by(move || Machine { free_memory_bytes: free.load(Ordering::Relaxed), load: 0.0 })
}

#[test]
fn nothing_starts_while_memory_is_short() {
    within_patience(|| {
        for backend in BuiltIn::ALL {
            let free = Arc::new(AtomicU64::new(999));
            let job = wrun::Job::new(&echo()).call("echo").admission(machine(&free));
            let mut pool = Pool::builder().worker_exe(WRUN).backend(backend).build().expect("a pool");
            let taken = Cell::new(0);
            let tasks = (0..10).inspect(|_| taken.set(taken.get() + 1));
            let run = pool.map(&job, tasks).expect("a run");
            let run = run.observe(|event, stats| {
                if let Event::HeldUp(shortage) = event {
                    let expected =
                        Shortage::Memory { free_bytes: 999, wanted_bytes: 1000, total_bytes: None, dire: false };
                    assert_eq!(**shortage, expected);
                    assert!(stats.taken <= 10 && stats.done == 0, "{stats:?}");
                    // Memory becomes available.
                    free.store(1000, Ordering::Relaxed);
                }
            });
            let results: Vec<_> = run.map(|outcome| text(&outcome)).collect();
            assert_eq!(results.len(), 10);
            assert_eq!(free.load(Ordering::Relaxed), 1000, "it was reported: {backend:?}");
        }
    });
}

#[test]
fn the_task_that_began_last_gives_its_memory_back_and_runs_again() {
    within_patience(|| {
        let free = Arc::new(AtomicU64::new(1 << 20));
        let (flag, events) = (Flag::new(), Arc::new(Mutex::new(Vec::new())));
        let job = echo_job().admission(machine(&free));
        let mut pool = pool(2);
        let tasks = ["wait", "wait"].map(|word| Task::from(word).input(flag.input()));
        let pids = Cell::new(0);
        let run = pool.map(&job, tasks.into_iter()).expect("a run");
        let (reported, path) = (events.clone(), flag.path().to_owned());
        let run = run.observe(move |event, _| match event {
            // Both tasks are running; now memory runs out.
            Event::Tick if pids.get() == 0 && crate::support::workers_that_hold(&path).len() == 2 => {
                pids.set(2);
                free.store(499, Ordering::Relaxed);
            }
            Event::Requeued { index, .. } => {
                reported.lock().expect("the list").push(*index);
                free.store(1 << 20, Ordering::Relaxed);
                flag.raise();
            }
            _ => {}
        });
        let outcomes: Vec<_> = run.collect();
        assert_eq!(outcomes.iter().map(text).collect::<Vec<_>>(), ["wait", "wait"]);
        assert_eq!(events.lock().expect("the list").len(), 1, "one of the two continues");
        assert!(outcomes.iter().all(|outcome| outcome.stats.attempts == 1 && outcome.earlier.is_empty()));
    });
}

/// Fails if the first byte of its slice is not 0; writes it, waits for its input if it has one, and writes the last byte.
fn writes_once() -> wrun::Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $at i32)
            (local.set $at (call $region_map (i32.const 0) (i64.const 0) (i32.const 8192)))
            (if (i32.load8_u (local.get $at)) (then (return (i32.const 2))))
            (i32.store8 (local.get $at) (i32.const 9))
            (if (call $input_count) (then (call $wait (call $map (i32.const 0)))))
            (i32.store8 offset=8191 (local.get $at) (i32.const 9))
            (i32.const 0))"#,
    )
}

#[test]
fn the_slice_of_a_task_that_runs_again_is_zeros() {
    within_patience(|| {
        let (free, flag, again) = (Arc::new(AtomicU64::new(1 << 20)), Flag::new(), Cell::new(0));
        let out = OutputFile::in_memory(8192).expect("memory");
        let job = wrun::Job::new(&writes_once()).out(out.clone()).admission(machine(&free)).limits(patient());
        let mut pool = pool(2);
        let tasks = [(); 2].map(|()| Task::new("").input(flag.input()));
        let run = pool.map(&job, tasks.into_iter()).expect("a run");
        let first_of = |slice: u64| out.read(slice * 8192..slice * 8192 + 1).is_ok_and(|byte| byte == [9]);
        let run = run.observe(|event, _| match event {
            Event::Tick if again.get() == 0 && first_of(0) && first_of(1) => free.store(499, Ordering::Relaxed),
            Event::Requeued { index, .. } => {
                assert!(!first_of(*index) && first_of(1 - index));
                again.set(again.get() + 1);
                free.store(1 << 20, Ordering::Relaxed);
                flag.raise();
            }
            _ => {}
        });
        assert!(run.map(|outcome| outcome.status()).eq([Status::Ok; 2]));
        assert_eq!(again.get(), 1);
        assert!((0..2).all(first_of));
    });
}

#[test]
fn tasks_that_are_stopped_at_any_moment_end_once() {
    let (looks, again) = (Arc::new(AtomicU64::new(0)), Cell::new(0));
    let asked = Admission { free_memory_bytes: Some(1000), ..Admission::default() };
    // Every second measurement finds none.
    let measured = asked.measured_by(move || {
        let is_short = looks.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        Machine { free_memory_bytes: if is_short { 0 } else { 1000 }, load: 0.0 }
    });
    let (count, out) = (Cell::new(0), OutputFile::in_memory(8192).expect("memory"));
    let job = wrun::Job::new(&writes_once()).out(out.clone()).admission(measured).limits(patient());
    let mut pool = pool(4);
    let tasks = (0u64..).map_while(|index| {
        count.set(index + 1);
        (again.get() < 3).then(|| Task::from(index))
    });
    let run = pool.map(&job, tasks).expect("a run");
    let run = run.observe(|event, _| again.set(again.get() + u32::from(matches!(event, Event::Requeued { .. }))));
    let ended: Vec<_> =
        run.unordered().map(|outcome| (outcome.index, outcome.status(), outcome.stats.attempts)).collect();
    let mut indices: Vec<_> = ended.iter().map(|ended| ended.0).collect();
    indices.sort_unstable();
    assert!(indices.iter().copied().eq(0..count.get() - 1), "each has one outcome");
    assert!(ended.iter().all(|ended| (ended.1, ended.2) == (Status::Ok, 1)));
    let whole =
        |index| out.read(index * 8192..index * 8192 + 8192).is_ok_and(|slice| slice[0] == 9 && slice[8191] == 9);
    assert!((0..count.get() - 1).all(whole));
}

#[test]
fn the_command_waits_for_memory_and_says_so() {
    let place = Place::new();
    let stderr = place.path().join("stderr");
    let mut command = place.wrun(&["map", "sqrt.wat", "4", "--memfree", "1000T"]);
    let mut child = command.stderr(std::fs::File::create(&stderr).expect("a file")).spawn().expect("wrun");
    let why = "MiB of memory are available, and 1048576000 MiB are to stay free, which is never so on a machine with ";
    let advice = "MiB; ask for less than ";
    wait_for(|| {
        let said = std::fs::read_to_string(&stderr).ok().filter(|said| said.ends_with('\n'))?;
        assert!(said.contains(why) && said.contains(advice), "{said}");
        Some(())
    });
    child.kill().expect("it waits");
    child.wait().expect("an end");
    let easy = finish(place.wrun(&["map", "sqrt.wat", "4", "9", "--memfree", "1M", "--load", "100000"]));
    assert_eq!((easy.code, &*easy.stdout, &*easy.stderr), (Some(0), "2\n3\n", ""));
}

#[test]
fn no_more_items_are_taken_ahead_than_that() {
    for ahead in [0, 1, 5] {
        let taken = Cell::new(0_u64);
        let mut pool = pool(2);
        let tasks = (0..500).inspect(|_| taken.set(taken.get() + 1));
        let mut run = pool.map(&echo_job(), tasks).expect("a run").unordered().ahead(ahead);
        let mut ended = 0;
        while run.next().is_some() {
            ended += 1;
            assert!(taken.get() <= ended + 2 + ahead, "{} taken, {ended} ended", taken.get());
        }
        assert_eq!(ended, 500);
    }
    let place = Place::new();
    let said =
        place.map_lines("echo", &["--ahead", "0", "-j", "2"], (0..100).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(said.stdout, (0..100).map(|n| format!("{n}\n")).collect::<String>());
}

#[test]
fn workers_without_work_expire_and_the_next_run_has_new_ones() {
    within_patience(|| {
        let two = NonZeroUsize::new(2).expect("two");
        let idle = Pool::builder().workers(two).worker_exe(WRUN).idle_timeout(Duration::from_millis(50));
        let mut pool = idle.build().expect("a pool");
        let mut lost = 0;
        for _ in 0..3 {
            let run = pool.map(&echo_job(), 0..20).expect("a run");
            let run = run.observe(|event, _| lost += usize::from(matches!(event, Event::WorkerLost { .. })));
            assert_eq!(run.filter(|outcome| outcome.result.is_ok()).count(), 20);
            let pids = pool.worker_pids();
            assert!(!pids.is_empty());
            let ended = |pid: &u32| {
                let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
                stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
            };
            wait_for(|| pids.iter().all(ended).then_some(()));
        }
        assert_eq!(lost, 0, "that is not a loss");

        let mut kept = Pool::builder()
            .workers(two)
            .worker_exe(WRUN)
            .idle_timeout(Duration::from_secs(3600))
            .build()
            .expect("a pool");
        let sqrt = module(r#"(module (func (export "sqrt") (param f64) (result f64) (f64.sqrt (local.get 0))))"#);
        let job = wrun::Job::new(&sqrt).limits(patient());
        let mut pids_of = || {
            assert_eq!(kept.map(&job, 0..20).expect("a run").filter(|outcome| outcome.result.is_ok()).count(), 20);
            kept.worker_pids()
        };
        let first = pids_of();
        assert!(first.iter().all(|pid| pids_of().contains(pid)), "workers are kept");
    });
}

#[test]
fn the_cpus_that_this_process_may_use_are_counted() {
    let place = Place::new();
    let items: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let workers = |before: &[&str], jobs: &str| {
        let wrun = place.wrun(&["map", "kit.wat", "--call", "echo", "--json", "-j", jobs]);
        let mut words =
            before.iter().copied().chain([WRUN]).map(std::ffi::OsString::from).chain(wrun.get_args().map(Into::into));
        let mut command = std::process::Command::new(words.next().expect("a program"));
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .args(words)
            .args(&items)
            .current_dir(place.path())
            .env_clear();
        command.env("WRUN_CACHE_DIR", crate::support::cache_dir());
        let said = finish(command);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let workers = said
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["worker"].clone());
        workers.map(|worker| worker.as_u64().expect("a number")).max().expect("a task") + 1
    };
    // taskset(1) leaves the command one of this process's CPUs.
    let status = std::fs::read_to_string("/proc/self/status").expect("a process");
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("CPUs").trim();
    let first = cpus.split(['-', ',']).next().expect("a number");
    let one = ["/usr/bin/taskset", "-c", first];
    assert_eq!(workers(&one, "-1"), 1);
    assert_eq!(workers(&one, "-2"), 1, "never below one");
    assert!(workers(&one, "3") > 1, "more than there are CPUs, if requested");
}
