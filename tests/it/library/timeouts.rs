//! Tasks that run longer than allowed: they are stopped wherever they are, and the outcome says where that was.

use std::time::Duration;

use wrun::{Grants, Job, Limits, Module, Outcome, Status, Task};

use crate::support::{
    Flag, each, failed, failure, module, pool, rust_guest, task_module, task_module_with, text, wait_for,
    within_patience, words, worker_that_maps, workers_that_hold,
};

/// A limit that is short, but long enough for a worker to reach the point at which its task hangs.
fn short() -> Limits {
    Limits { timeout: Some(Duration::from_millis(100).into()), memory_bytes: 1 << 30, ..Limits::default() }
}

/// Runs one task with a short limit, which it exceeds. Returns where the task was, according to the message.
fn stopped_in(job: Job, task: impl Into<Task>) -> (String, Outcome) {
    let (task, job) = (task.into(), job.limits(short()));
    let run = || {
        within_patience({
            let (job, task) = (job.clone(), task.clone());
            move || each(&job, [task]).remove(0)
        })
    };
    // On an overloaded machine the worker may not answer in time.
    for _ in 0..5 {
        let outcome = run();
        let (status, message) = failed(&outcome);
        assert_eq!(status, Status::Timeout, "{message}");
        let place = message.strip_prefix("timed out after 100ms").expect("what happened comes first");
        if !place.is_empty() {
            return (place.trim_start().to_owned(), outcome);
        }
    }
    panic!("the task never said where it was");
}

/// The functions of the outcome's backtrace, innermost first.
fn functions(outcome: &Outcome) -> Vec<&str> {
    let frames = failure(outcome).backtrace.as_deref().unwrap_or_default().lines();
    let numbered = frames.filter_map(|line| line.trim_start().split_once(": "));
    let numbered = numbered.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    numbered.map(|(_, frame)| frame.rsplit(" - ").next().expect("a last part").trim()).collect()
}

#[test]
fn an_endless_loop_is_found_with_all_its_callers_in_order() {
    let module = task_module(
        "1",
        r#"(func $innermost (loop (br 0)))
        (func $middle (call $innermost))
        (func $outermost (call $middle))
        (func $task (export "wrun:task/t") (result i32) (call $outermost) (i32.const 0))
        (func $number (export "n") (param i32) (result i32) (call $outermost) (i32.const 0))"#,
    );
    let (place, outcome) = stopped_in(Job::new(&module).call("t"), "");
    assert_eq!(place, "in innermost");
    assert_eq!(functions(&outcome), ["innermost", "middle", "outermost", "task"]);
    assert!(outcome.stats.duration == Duration::from_millis(100), "the limit is the duration");
    let (place, outcome) = stopped_in(Job::new(&module).call("n"), "1");
    assert_eq!(place, "in innermost");
    assert_eq!(functions(&outcome), ["innermost", "middle", "outermost", "number"]);
}

#[test]
fn code_that_runs_while_an_instance_is_made_is_found() {
    let module = task_module(
        "1",
        r#"(func $begin (if (i32.eq (call $arg (i32.const 0)) (i32.const 1)) (then (call $hang))))
        (start $begin)
        (func $init (export "_initialize") (if (call $arg (i32.const 0)) (then (call $hang))))
        (func (export "wrun:task/t") (result i32) (i32.const 0))"#,
    );
    for (argument, function) in [(1, "begin"), (2, "init")] {
        let (place, outcome) = stopped_in(Job::new(&module), words(&[argument]));
        assert_eq!((place.as_str(), &functions(&outcome)[..]), ("in hang", &["hang", function][..]));
    }
    assert_eq!(text(&each(&Job::new(&module).limits(short()), [words(&[0])])[0]), "", "the control");
}

#[test]
fn recursion_is_found() {
    let module = task_module(
        "1",
        r#"(func $even (param i32) (result i32) (if (result i32) (local.get 0)
            (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
        (func $odd (param i32) (result i32) (if (result i32) (local.get 0)
            (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
        (func $task (export "wrun:task/t") (result i32) (local $depth i32)
            (local.set $depth (call $arg (i32.const 0)))
            (loop (drop (call $even (local.get $depth))) (br 0)) (i32.const 0))"#,
    );
    for depth in [20, 5000] {
        let (place, outcome) = stopped_in(Job::new(&module), words(&[depth]));
        let found = functions(&outcome);
        assert!(["in even", "in odd", "in task"].contains(&place.as_str()), "{place}");
        assert!(!found.is_empty() && found.len() <= 64, "{found:?}");
        let names =
            |pair: &[&str]| [["even", "odd"], ["odd", "even"], ["even", "task"]].iter().any(|good| good == pair);
        assert!(found.windows(2).all(names), "{found:?}");
        assert!(found.len() == 64 || found.last() == Some(&"task"), "{found:?}");
    }
}

#[test]
fn a_call_of_the_host_is_reported_by_its_caller() {
    let module = task_module(
        "4096",
        r#"(func $filler (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x10000000)))
        (func $fills (export "wrun:task/fill") (result i32) (loop (call $filler) (br 0)) (i32.const 0))
        (func $teller (loop (call $log (i32.const 1) (i32.const 0) (i32.const 9)) (br 0)))
        (func $tells (export "wrun:task/tell") (result i32) (call $teller) (i32.const 0))"#,
    );
    let (place, outcome) = stopped_in(Job::new(&module).call("fill"), "");
    assert_eq!(place, "in filler");
    assert_eq!(functions(&outcome), ["filler", "fills"]);
    let (place, outcome) = stopped_in(Job::new(&module).call("tell"), "");
    assert_eq!(place, "in teller");
    assert_eq!(functions(&outcome), ["teller", "tells"]);
}

#[test]
fn a_guest_that_sleeps_for_an_hour_is_found() {
    let module = task_module_with(
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#,
        "1",
        r#"(func $sleeper
            (i32.store (i32.const 16) (i32.const 1)) ;; the monotonic clock
            (i64.store (i32.const 24) (i64.const 3600000000000))
            (drop (call $poll (i32.const 0) (i32.const 104) (i32.const 1) (i32.const 200))))
        (func $task (export "wrun:task/t") (result i32) (call $sleeper) (i32.const 0))"#,
    );
    // Without the real clock it would sleep in no time.
    let grants = Grants { clock: true, ..Grants::default() };
    let (place, outcome) = stopped_in(Job::new(&module).grants(grants), "");
    assert_eq!(place, "in sleeper");
    assert_eq!(functions(&outcome), ["sleeper", "task"]);
}

#[test]
fn a_function_without_a_name_has_its_number() {
    let wat = r#"(module (func (loop (br 0))) (func (export "f") (param i32) (call 0)))"#;
    let (place, outcome) = stopped_in(Job::new(&module(wat)), "1");
    assert_eq!(place, "in <wasm function 0>");
    assert_eq!(functions(&outcome), ["<wasm function 0>", "f"], "an export has a name");
}

#[test]
fn a_guest_with_debug_information_is_found_by_file_and_line() {
    let source = include_str!("../../../examples/guests/probe/src/lib.rs");
    let line_of = |text: &str| source.lines().position(|line| line.contains(text)).expect("a line") + 1;
    let (place, outcome) = stopped_in(Job::new(&rust_guest("probe")).call("endless"), "");
    let backtrace = failure(&outcome).backtrace.as_deref().expect("a backtrace");
    // For a library function, the line is the one in the guest's own code.
    assert_eq!(place, format!("in probe::spin (probe/src/lib.rs:{})", line_of("black_box")), "{backtrace}");
    let caller = format!("endless at probe/src/lib.rs:{}:5", line_of("    spin();"));
    assert!(backtrace.contains(&caller), "{caller}\n{backtrace}");
}

#[test]
fn debug_information_that_makes_no_sense_leaves_names() {
    let noise = r#""\13\00\00\00\04\00\00\00\00\00\04\01\ff\ff\ff\7f""#;
    let sections = [".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges"];
    let sections: String = sections.iter().map(|name| format!("(@custom \"{name}\" {noise})")).collect();
    let text = r#"(func $endless (loop (br 0)))
        (func $task (export "wrun:task/t") (result i32) (call $endless) (i32.const 0))
        (func $crash (unreachable))
        (func $other (export "wrun:task/trap") (result i32) (call $crash) (i32.const 0))"#;
    let module = task_module("1", &format!("{text} {sections}"));
    let (place, outcome) = stopped_in(Job::new(&module).call("t"), "");
    assert_eq!((place.as_str(), functions(&outcome)), ("in endless", vec!["endless", "task"]));
    for outcome in each(&Job::new(&module).call("trap"), ["", ""]) {
        assert_eq!(functions(&outcome), ["crash", "other"]);
    }
}

/// Loops, or returns its argument.
fn sometimes_endless() -> Module {
    task_module(
        "1",
        r#"(func $endless (loop (br 0)))
        (func (export "wrun:task/t") (result i32)
            (if (call $arg (i32.const 0)) (then (call $endless)))
            (i32.const 0))"#,
    )
}

#[test]
fn many_workers_that_time_out_at_once_are_all_found_and_others_go_on() {
    let module = sometimes_endless();
    for job in [Job::new(&module), Job::new(&module).reuse()] {
        let tasks: Vec<Task> = (0..64).map(|index| words(&[u32::from(index % 4 == 0)])).collect();
        let job = job.limits(short());
        let ended = within_patience(move || pool(8).map(&job, tasks.into_iter()).expect("a run").collect::<Vec<_>>());
        for (index, outcome) in ended.iter().enumerate() {
            if index % 4 != 0 {
                assert_eq!(text(outcome), "");
                continue;
            }
            let (status, message) = failed(outcome);
            assert_eq!(status, Status::Timeout);
            // On an overloaded machine the worker may not answer in time.
            assert!(["timed out after 100ms", "timed out after 100ms in endless"].contains(&message), "{message}");
        }
        let found = |outcome: &&Outcome| outcome.result.as_ref().is_err_and(|error| error.backtrace.is_some());
        assert!(ended.iter().filter(found).count() > 0, "no task said where it was");
    }
}

#[test]
fn timeouts_again_and_again_leave_no_process() {
    let flag = Flag::new();
    let job = Job::new(&sometimes_endless()).input("mark", flag.input());
    let job = job.limits(Limits { timeout: Some(Duration::from_millis(20).into()), ..Limits::default() });
    let mut pool = pool(2);
    let ended: Vec<_> = pool.map(&job, (0..200).map(|_| words(&[1]))).expect("a run").collect();
    let mut found = 0;
    for outcome in &ended {
        let (status, message) = failed(outcome);
        assert_eq!(status, Status::Timeout, "{message}");
        found += usize::from(message == "timed out after 20ms in endless");
    }
    assert_eq!(ended.len(), 200);
    assert!(found >= 100, "only {found} of them were found");
    drop(pool);
    wait_for(|| workers_that_hold(flag.path()).is_empty().then_some(()));
}

#[test]
fn a_stopped_worker_is_killed_all_the_same() {
    let flag = Flag::new();
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32)
            (drop (call $map (i32.const 0)))
            (loop (br 0))
            (i32.const 0))"#,
    );
    let limits = Limits { timeout: Some(Duration::from_secs(2).into()), ..Limits::default() };
    let (job, task) = (Job::new(&module).limits(limits), Task::new("").input(flag.input()));
    let ended = std::thread::spawn(move || each(&job, [task]));
    let worker = worker_that_maps(flag.path());
    let process = rustix::process::Pid::from_raw(worker as i32).expect("a process number");
    rustix::process::kill_process(process, rustix::process::Signal::STOP).expect("a process that is there");
    let ended = within_patience(|| ended.join().expect("no panic"));
    // A stopped worker cannot say where its task was.
    assert_eq!(failed(&ended[0]), (Status::Timeout, "timed out after 2s"));
    assert!(failure(&ended[0]).backtrace.is_none());
}
