//! Tests with workers that lie: each may fail only its own tasks, and must cost the pool's process nothing.

use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::liar::{ENDLESS, ENDS, FLIPS, HIDES, LIE, LIES, SILENT};
use crate::test_program;
use crate::{Job, Limits, Module, Outcome, Pool, Status};

/// Marks the process in which the lies are tried: its open files and children are then known.
const ROLE: &str = "WRUN_TEST_LIED_TO";

/// How long one run may take. The time limit of its tasks is much shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time limit of tasks if only that ends a lie.
const SHORT: Duration = Duration::from_secs(2);

/// No time limit: a lie that nothing else detects never ends.
const NONE: Duration = Duration::MAX;

const TASKS: usize = 300;

/// How many tasks there are if each worker ends one at most.
const FEW_TASKS: usize = 10;

/// Returns its argument.
const ECHO: &str = r#"(module
    (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
    (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
    (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "wrun:task/echo") (result i32)
        (call $arg_read (i32.const 0))
        (call $output_write (i32.const 0) (call $arg_len))
        (i32.const 0)))"#;

/// Which of the workers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liars {
    /// The first worker that is started. There is no other until it is gone.
    FirstAlone,
    /// The first worker that is started; the other begins once the first has told its lie.
    FirstOfTwo,
    All,
}

/// Runs the tasks on workers of which some lie; returns the outcomes and the error that ended the run early, if any.
fn run(module: &Module, lie: &str, liars: Liars, timeout: Duration) -> (Vec<Outcome>, Option<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = directory.path().display();
    let exe = directory.path().join("worker");
    let is_liar = if liars == Liars::All { "true" } else { "[ $n = 1 ]" };
    let wait = if liars == Liars::FirstOfTwo { "while [ ! -e $traces/lied ]; do /bin/sleep 0.01; done" } else { ":" };
    let script = format!(
        "#!/bin/sh\ntraces={traces}\nn=1\nwhile ! /bin/mkdir $traces/$n 2>/dev/null; do n=$((n + 1)); done\n\
         if {is_liar}; then export {LIE}='{lie} in {traces}'; else {wait}; fi\nexec {} \"$@\"\n",
        std::env::current_exe().expect("this program").display()
    );
    std::fs::write(&exe, script).expect("a script");
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o700)).expect("executable");

    let workers = if liars == Liars::FirstAlone { 1 } else { 2 };
    let pool = Pool::builder().workers(NonZeroUsize::new(workers).expect("workers")).worker_exe(exe);
    let mut pool = pool.start_timeout(3 * SHORT).build().expect("a pool");
    let job =
        Job::new(module).limits(Limits { timeout: (timeout != NONE).then_some(timeout.into()), ..Limits::default() });
    let tasks = if liars == Liars::All { FEW_TASKS } else { TASKS };
    let mut run = pool.map(&job, 0..tasks).expect("a run");
    let outcomes = run.by_ref().collect();
    let error = run.finish().err().map(|error| error.to_string());
    drop(pool);
    assert!(directory.path().join("lied").exists(), "the control: {lie} was told");
    if let Ok(holder) = std::fs::read_to_string(directory.path().join("holder")) {
        wait_until(|| !Path::new("/proc").join(&holder).exists());
    }
    (outcomes, error)
}

fn wait_until(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it has not happened");
        std::thread::yield_now();
    }
}

/// Checks that each task has one outcome, and that all but `lost` have the right one.
fn assert_only_the_liars_task_failed(outcomes: &[Outcome], lost: usize, what: &str) {
    assert!(outcomes.iter().map(|outcome| outcome.index).eq(0..TASKS as u64), "{what}: an outcome each, in order");
    let mut failed = Vec::new();
    for outcome in outcomes {
        match &outcome.result {
            Ok(output) => assert_eq!(**output, *outcome.index.to_string().as_bytes(), "{what}: {}", outcome.index),
            Err(error) => failed.push((outcome.index, error.status, &error.message)),
        }
    }
    let own = |status| matches!(status, Status::WorkerLost | Status::Timeout | Status::InputFault);
    assert!(failed.len() <= lost && failed.iter().all(|(_, status, _)| own(*status)), "{what}: {failed:?}");
}

/// Tries the lie in every setting.
fn try_lie(module: &Module, lie: &str, timeout: Duration) {
    let lost = match lie {
        "takes all tasks and ends" | "stops without saying what it runs" => TASKS,
        _ => 1,
    };
    eprintln!("{lie}");
    for liars in [Liars::FirstAlone, Liars::FirstOfTwo] {
        let (outcomes, error) = within_patience(lie, || run(module, lie, liars, timeout));
        assert_eq!(error, None, "{lie}");
        if lie == "sends a longer file than announced" {
            // It is believed: the result is as much of the file as was announced.
            let (believed, rest): (Vec<_>, Vec<_>) =
                outcomes.iter().partition(|outcome| outcome.result.as_ref().is_ok_and(|output| **output == [b'x'; 10]));
            assert_eq!((believed.len(), rest.len()), (1, TASKS - 1));
        } else if lie == "places its result anywhere" || lie == "says that its task started long ago" {
            // The first is an empty result at an impossible position; the second may or may not end in time.
            let right = outcomes.iter().filter(|outcome| {
                outcome.result.as_ref().is_ok_and(|output| **output == *outcome.index.to_string().as_bytes())
            });
            assert!(right.count() >= TASKS - 1);
        } else {
            assert_only_the_liars_task_failed(&outcomes, lost, lie);
        }
    }
    // Even if all workers lie, the run ends.
    if timeout > SHORT {
        let (outcomes, error) = within_patience(lie, || run(module, lie, Liars::All, timeout));
        let harmless = |text: &str| !text.chars().any(char::is_control);
        assert!(error.is_none_or(|error| harmless(&error)), "{lie}");
        assert!(outcomes.iter().map(|outcome| outcome.index).eq(0..outcomes.len() as u64), "{lie}");
    }
}

/// Aborts the process if this takes too long.
fn within_patience<T>(lie: &str, work: impl FnOnce() -> T) -> T {
    let (ended, end) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("a worker that {lie}: the run does not end");
                std::process::abort();
            }
        });
        let done = work();
        drop(ended);
        done
    })
}

/// How many descriptors this process has open.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Bytes of this process's private dirty memory.
fn private_bytes() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc");
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty")).expect("a line of smaps_rollup");
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number") << 10
}

/// The child processes that this one has not reaped.
fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok()).collect()
}

/// Runs this in a process of its own.
fn alone(name: &str, work: impl FnOnce(&Module)) {
    if std::env::var_os(ROLE).is_none() {
        let name = format!("pool::crew::liar_tests::{name}");
        let output = Command::new("/proc/self/exe").args(["--exact", &name, "--nocapture"]).env(ROLE, "1").output();
        let output = output.expect("this program");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let module = test_program::compiler().load_bytes("echo.wat", ECHO.as_bytes()).expect("a module");
    // A first run sets up everything that is set up only once.
    run(&module, ENDS, Liars::FirstAlone, PATIENCE);
    let before = (open_files(), private_bytes());
    work(&module);
    assert_eq!((open_files(), children().as_str()), (before.0, ""));
    let more = private_bytes().saturating_sub(before.1);
    assert!(more < 16 << 20, "{more} bytes more than before");
}

#[test]
fn a_lie_that_is_seen_costs_only_the_liars_task() {
    alone("a_lie_that_is_seen_costs_only_the_liars_task", |module| {
        for (lie, _) in LIES {
            try_lie(module, lie, NONE);
        }
        try_lie(module, ENDS, NONE);
    });
}

#[test]
fn a_worker_that_goes_on_for_ever_is_ended_by_the_time_limit() {
    alone("a_worker_that_goes_on_for_ever_is_ended_by_the_time_limit", |module| {
        // All at the same time, because each waits.
        std::thread::scope(|scope| {
            for (lie, _) in ENDLESS {
                scope.spawn(move || try_lie(module, lie, SHORT));
            }
        });
    });
}

#[test]
fn a_worker_that_does_not_get_ready_is_replaced() {
    alone("a_worker_that_does_not_get_ready_is_replaced", |module| {
        let (outcomes, error) = within_patience(SILENT, || run(module, SILENT, Liars::FirstAlone, NONE));
        assert_eq!(error, None);
        // It has not begun the task, so not even that one is lost.
        assert_only_the_liars_task_failed(&outcomes, 0, SILENT);
    });
}

#[test]
fn a_worker_whose_socket_outlives_it_is_seen_to_end() {
    alone("a_worker_whose_socket_outlives_it_is_seen_to_end", |module| try_lie(module, HIDES, NONE));
}

#[test]
fn a_worker_that_changes_its_memory_while_it_is_read_harms_nobody_else() {
    alone("a_worker_that_changes_its_memory_while_it_is_read_harms_nobody_else", |module| {
        for _ in 0..10 {
            let (outcomes, error) = within_patience(FLIPS, || run(module, FLIPS, Liars::FirstOfTwo, SHORT));
            assert_eq!(error, None);
            assert!(outcomes.iter().map(|outcome| outcome.index).eq(0..TASKS as u64));
            let wrong = outcomes.iter().filter(|outcome| match &outcome.result {
                Ok(output) => **output != *outcome.index.to_string().as_bytes(),
                Err(_) => true,
            });
            let mut workers: Vec<u32> = wrong.map(|outcome| outcome.stats.worker).collect();
            workers.sort_unstable();
            workers.dedup();
            assert!(workers.len() <= 1, "only the liar's may be: {workers:?}");
        }
    });
}
