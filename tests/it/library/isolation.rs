//! What a task can see of earlier tasks: nothing, or with reused instances only what the instance itself keeps.

use wrun::{Input, Job, Limits, Module, Status, Task};

use crate::library::windows::GONE;
use crate::support::{
    each, failed, file, input, patient, pattern, pool, result_words, task_module, task_module_with, words,
    worker_that_maps,
};

/// Leaves traces and ends as the argument's first word says, or looks for traces of other tasks.
///
/// `scan` grows the memory to 64 pages and counts the bytes that are not 0, in the original memory (except for the scratch
/// space) and in the added pages.
fn traces() -> Module {
    task_module_with(
        r#"(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))"#,
        "2",
        r#"(global $left (mut i32) (i32.const 0))
        (func $dirty (result i32) (local $at i32)
            (global.set $left (i32.const 77))
            (local.set $at (call $map (i32.const 0)))
            ;; Own memory: a copy of the input at 64 KiB, and in three pages after the window.
            (memory.copy (i32.const 65536) (local.get $at) (i32.const 65536))
            (memory.copy (i32.shl (memory.grow (i32.const 3)) (i32.const 16)) (local.get $at) (i32.const 100000))
            (local.get $at))
        (func $count (param $at i32) (param $end i32) (result i32) (local $n i32)
            (block $done (loop $next
                (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                (if (i32.load8_u (local.get $at)) (then (local.set $n (i32.add (local.get $n) (i32.const 1)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $next)))
            (local.get $n))
        (func (export "wrun:task/t") (result i32) (local $at i32) (local $how i32)
            (local.set $how (call $arg (i32.const 0)))
            (if (i32.eqz (local.get $how)) (then
                (call $put (global.get $left))
                (call $put (call $count (i32.const 4096) (i32.const 131072)))
                (drop (memory.grow (i32.sub (i32.const 64) (memory.size))))
                (call $put (call $count (i32.const 131072) (i32.const 0x400000)))
                (return (i32.const 0))))
            (local.set $at (call $dirty))
            (if (i32.eq (local.get $how) (i32.const 1)) (then
                (call $put (call $count (local.get $at) (i32.add (local.get $at) (i32.const 200000))))
                (return (i32.const 0))))
            (if (i32.eq (local.get $how) (i32.const 2)) (then (unreachable)))
            (if (i32.eq (local.get $how) (i32.const 3)) (then (i32.store8 (local.get $at) (i32.const 1))))
            (if (i32.eq (local.get $how) (i32.const 4)) (then (memory.fill (local.get $at) (i32.const 1) (i32.const 200000))))
            (if (i32.eq (local.get $how) (i32.const 5)) (then (call $hang)))
            (if (i32.eq (local.get $how) (i32.const 6)) (then (return (i32.const 1))))
            (if (i32.eq (local.get $how) (i32.const 7)) (then
                (drop (call $random_get (local.get $at) (i32.const 200000)))))
            (if (i32.eq (local.get $how) (i32.const 8)) (then
                (call $input_unmap (local.get $at))
                (drop (i32.load (local.get $at)))))
            (if (i32.eq (local.get $how) (i32.const 9)) (then
                (call $input_unmap (local.get $at))
                (return (i32.const 0))))
            (if (i32.eq (local.get $how) (i32.const 10)) (then
                (memory.copy (call $output_map (i32.const 200000)) (local.get $at) (i32.const 200000))
                (return (i32.const 0))))
            (i32.const 0))"#,
    )
}

#[test]
fn nothing_of_a_task_is_visible_to_the_next_one_whatever_its_end() {
    let content = pattern(200_000);
    // Three alignments: with and without copied edges.
    let whole = Input::from_bytes("data", &content).expect("memory");
    let limits = Limits { timeout: Some(std::time::Duration::from_millis(200).into()), ..Limits::default() };
    let job = Job::new(&traces()).limits(limits);
    let expected = [
        (1, Status::Ok),
        (2, Status::Trap),
        (3, Status::InputFault),
        (4, Status::InputFault),
        (5, Status::Timeout),
        (6, Status::Error),
        (7, Status::InputFault),
        (8, Status::Trap),
        (9, Status::Ok),
        (10, Status::Ok),
    ];
    let mut pool = pool(1);
    for (how, status) in expected {
        let scan = || words(&[0]).input(whole.clone());
        let tasks = [words(&[how]).input(whole.clone()), scan(), scan()];
        let ended: Vec<_> = pool.map(&job, tasks.into_iter()).expect("a run").collect();
        assert_eq!(ended[0].status(), status, "{how}: {:?}", ended[0].result);
        if how == 1 {
            assert_eq!(result_words(&ended[0]), [200_000], "the count finds what is there");
        }
        for scanned in &ended[1..] {
            assert_eq!(result_words(scanned), [0, 0, 0], "after a task that ended in way {how}");
        }
    }
}

#[test]
fn reused_instances_keep_their_memory_and_lose_their_windows() {
    let module = task_module(
        "1",
        r#"(global $count (mut i32) (i32.const 0)) (global $at (mut i32) (i32.const 0)) (global $out (mut i32) (i32.const 0))
        (func (export "wrun:task/t") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (i32.store (i32.const 5000) (i32.add (i32.load (i32.const 5000)) (i32.const 10)))
            (if (i32.eq (call $arg (i32.const 0)) (i32.const 1)) (then (drop (i32.load (global.get $at)))))
            (if (i32.eq (call $arg (i32.const 0)) (i32.const 2)) (then (drop (i32.load (global.get $out)))))
            (global.set $at (call $map (i32.const 0)))
            (global.set $out (call $output_map (i32.const 16)))
            (i32.store (global.get $out) (global.get $count))
            (i32.store offset=4 (global.get $out) (i32.load (i32.const 5000)))
            (i32.store offset=8 (global.get $out) (i32.load8_u (global.get $at)))
            (i32.store offset=12 (global.get $out) (memory.size))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    let task = |how: u32| words(&[how]).input(data.clone());
    let mut pool = pool(1);
    let mut run = |job: &Job, hows: &[u32]| -> Vec<_> {
        pool.map(job, hows.iter().map(|&how| task(how))).expect("a run").collect()
    };
    let fresh = run(&Job::new(&module), &[0, 0]);
    assert_eq!(result_words(&fresh[1]), [1, 10, 1, 5], "the control: fresh instances know nothing");

    let reused = run(&Job::new(&module).reuse(), &[0, 0, 0, 1, 0, 0, 2, 0]);
    for (index, count) in [(0, 1), (1, 2), (2, 3), (4, 1), (5, 2), (7, 1)] {
        assert_eq!(result_words(&reused[index]), [count, count * 10, 1, 5], "task {index}");
    }
    for index in [3, 6] {
        assert_eq!(failed(&reused[index]), (Status::Trap, GONE), "a window of the task before");
    }
    // A later job begins with a fresh instance.
    assert_eq!(result_words(&run(&Job::new(&module).reuse(), &[0])[0]), [1, 10, 1, 5]);
}

#[test]
fn reused_instances_do_not_run_out_of_addresses() {
    let file = file(&[]);
    file.as_file().set_len(1 << 30).expect("a sparse file");
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (drop (call $map (i32.const 0))) (call $put (memory.size)) (i32.const 0))"#,
    );
    let whole = input(&file);
    let job = Job::new(&module).reuse().limits(patient());
    for outcome in each(&job, (0..100).map(|_| Task::new("").input(whole.clone()))) {
        // The module's own page, the window's pages, and less than 2 MiB for the alignment of a large window.
        assert!((0x4001..0x4021).contains(&result_words(&outcome)[0]), "{outcome:?}");
    }
}

#[test]
fn reused_instances_keep_windows_of_shared_inputs_alone() {
    // The argument's words: whether to map the last and the first input, and whether to use the window of an earlier task.
    let module = task_module(
        "1",
        r#"(global $at (mut i32) (i32.const 0))
        (func (export "wrun:task/t") (result i32)
            (if (call $arg (i32.const 0)) (then
                (global.set $at (call $map (i32.sub (call $input_count) (i32.const 1))))
                (call $put (global.get $at))
                (call $put (i32.load8_u (global.get $at)))
                (call $put (i32.load8_u (call $map (i32.const 0))))))
            (if (call $arg (i32.const 1)) (then (i32.store (global.get $at) (i32.const 1))))
            (i32.const 0))"#,
    );
    let (shared, own) = (file(&pattern(100_000)), file(&pattern(90_000)[1..]));
    let job = Job::new(&module).reuse().limits(patient()).input("data", input(&shared));
    let mut pool = pool(1);
    let mut run = |tasks: Vec<Task>| -> Vec<_> { pool.map(&job, tasks.into_iter()).expect("a run").collect() };

    // All tasks get the same window, however many inputs of their own they have.
    let maps = |count: usize| (0..count).fold(words(&[1, 0]), |task, _| task.input(input(&own)));
    let bytes = pattern(2);
    for outcome in run((0..9).map(|task| maps(task % 3)).collect()) {
        let first = bytes[usize::from(outcome.index % 3 > 0)];
        assert_eq!(result_words(&outcome), [65536, u32::from(bytes[0]), u32::from(first)]);
    }
    let worker = worker_that_maps(shared.path());
    let maps_of_worker = std::fs::read_to_string(format!("/proc/{worker}/maps")).expect("it lives");
    assert!(!maps_of_worker.contains(own.path().to_str().expect("UTF-8")), "a task's own input is unmapped with it");
    // A window that only one task has mapped stays for one more task, which may not use it without mapping it.
    let outcomes = run(vec![maps(0), words(&[0, 1])]);
    assert_eq!(failed(&outcomes[1]), (Status::Trap, GONE));
}

#[test]
fn windows_that_stay_make_room_for_others() {
    // Each task maps a different quarter of the 32-bit address space, and one page of the same input.
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32)
            (call $put (i32.load8_u (call $input_map (i32.const 0) (i64.extend_i32_u (call $arg (i32.const 0))) (i32.const 0x40000000))))
            (call $put (i32.load8_u (call $input_map (i32.const 0) (i64.const 0) (i32.const 65536))))
            (i32.const 0))"#,
    );
    let file = file(&[]);
    file.as_file().set_len(2 << 30).expect("a sparse file");
    let job = Job::new(&module).reuse().limits(patient()).input("data", input(&file));
    let mut pool = pool(1);
    let tasks = (0..64u32).map(|task| words(&[task * (4 << 20)]));
    for outcome in pool.map(&job, tasks).expect("a run") {
        assert_eq!(result_words(&outcome), [0, 0], "task {}", outcome.index);
    }
}

#[test]
fn a_shared_input_that_is_cut_off_fails_the_tasks_that_map_it() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32)
            (if (call $arg (i32.const 0)) (then
                (drop (i32.load8_u (call $map (i32.const 0))))))
            (i32.const 0))"#,
    );
    let file = file(&pattern(100_000));
    let job = Job::new(&module).reuse().limits(patient()).input("data", input(&file));
    let mut pool = pool(1);
    let mut status = |how: u32| pool.run(&job, words(&[how])).expect("an outcome").status();
    assert_eq!((status(1), status(1)), (Status::Ok, Status::Ok));
    // Inside the last page, where no read faults.
    file.as_file().set_len(99_999).expect("a length");
    assert_eq!((status(0), status(1), status(0)), (Status::Ok, Status::InputFault, Status::Ok));
}
