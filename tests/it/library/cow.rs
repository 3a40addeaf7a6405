//! Inputs that tasks write to, each task in private copies of the pages: `InputMode::CopyOnWrite`.

use wrun::job::InputMode;
use wrun::{Job, Limits, Status, Task};

use crate::support::{
    each, failed, file, input, module, patient, pattern, pool, result_words, task_module, task_module_with,
};

/// Length of the file in bytes; it ends inside a page.
const LEN: usize = 200_000;

/// Sums its first input, and then writes to each of its bytes.
fn scribbler() -> wrun::Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/scribble") (result i32) (local $at i32) (local $end i32) (local $sum i32)
            (local.set $at (call $map (i32.const 0)))
            (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0)))))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (i32.store8 (local.get $at) (i32.const 255))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
            (call $put (local.get $sum))
            ;; Every window is its own copy.
            (call $put (i32.load8_u (call $map (i32.const 0))))
            (call $put (i32.load8_u (call $input_map (i32.const 0) (i64.const 0) (i32.const 1))))
            (i32.const 0))
        (func (export "wrun:task/behind") (result i32)
            (i32.store8 offset=65535 (call $input_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 1))
            (i32.const 0))
        ;; Maps nearly the whole input again and again, and unmaps the windows if input 1 exists.
        (func (export "wrun:task/many") (result i32) (local $at i32) (local $n i32)
            (loop $next
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i32.sub (i32.const 200000) (local.get $n))))
                (i32.store8 (local.get $at) (local.get $n))
                (if (i32.eq (call $input_count) (i32.const 2)) (then (call $input_unmap (local.get $at))))
                (br_if $next (i32.lt_u (local.get $n) (i32.const 100))))
            (i32.const 0))"#,
    )
}

fn job(call: &str) -> Job {
    Job::new(&scribbler()).call(call).limits(patient()).input_mode(InputMode::CopyOnWrite)
}

#[test]
fn tasks_write_to_their_inputs_and_nobody_else_sees_it() {
    let bytes = pattern(LEN);
    let data = file(&bytes);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let first = u32::from(bytes[0]);
    for job in [job("scribble"), job("scribble").reuse()] {
        // As a shared input, and as each task's own; also at an offset inside a page.
        let shared = job.clone().input("data", input(&data));
        let ended: Vec<_> = pool(2).map(&shared, 0..20).unwrap().collect();
        ended.iter().for_each(|outcome| assert_eq!(result_words(outcome), [sum, first, first]));
        let part = input(&data).slice(100..LEN as u64 - 3).unwrap();
        let part_sum: u32 = bytes[100..LEN - 3].iter().map(|byte| u32::from(*byte)).sum();
        let ended = each(&job, (0..20).map(|_| Task::new("").input(part.clone())));
        let expected = [part_sum, u32::from(bytes[100]), u32::from(bytes[100])];
        ended.iter().for_each(|outcome| assert_eq!(result_words(outcome), expected));
        assert!(std::fs::read(data.path()).unwrap() == bytes);
    }
    let read_only = Job { input_mode: InputMode::ReadOnly, ..job("scribble").input("data", input(&data)) };
    assert_eq!(failed(&each(&read_only, 0..1)[0]).0, Status::InputFault, "the control");
    assert_eq!(failed(&each(&job("behind").input("data", input(&data)), 0..1)[0]).0, Status::Trap);
}

#[test]
fn pages_that_are_written_count_as_memory() {
    let data = file(&pattern(LEN));
    let with = |call: &str, memory_bytes| {
        let job = job(call).input("data", input(&data)).limits(Limits { memory_bytes, ..patient() });
        each(&job, 0..2).remove(1)
    };
    // The module's own page, 49 pages of the first window, the last page of the second, and the third window.
    let least = 65536 + 51 * 4096;
    let passed = with("scribble", least);
    assert_eq!((passed.status(), passed.stats.usage.peak_memory_bytes), (Status::Ok, least));
    let (status, message) =
        (Status::Limit, format!("it needs {least} bytes of memory, and the limit is {} bytes", least - 1));
    let outcome = with("scribble", least - 1);
    assert_eq!(failed(&outcome), (status, message.as_str()));

    // The limit applies across all windows that it maps and dirties, one after the other.
    assert_eq!(failed(&with("many", 4 << 20)).0, Status::Limit);
    let job = job("many").input("data", input(&data)).input("give back", input(&data));
    let limits = Limits { memory_bytes: least, ..patient() };
    assert_eq!(each(&job.limits(limits), 0..1)[0].status(), Status::Ok, "unmapped windows no longer count");
}

/// Writes to a large input in all possible ways.
fn writer() -> wrun::Module {
    task_module_with(
        crate::library::faults::WASI,
        "1",
        r#"(func $at (result i32) (call $map (i32.const 0)))
        ;; A byte in each of this many MiB.
        (func $touch (param $mib i32) (local $at i32)
            (local.set $at (call $at))
            (loop $next
                (i32.store8 (local.get $at) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 1048576)))
                (br_if $next (local.tee $mib (i32.sub (local.get $mib) (i32.const 1))))))
        (func (export "wrun:task/some") (result i32) (call $touch (i32.const 10)) (i32.const 0))
        (func (export "wrun:task/store") (result i32) (call $touch (i32.const 64)) (i32.const 0))
        (func (export "wrun:task/fill") (result i32)
            (memory.fill (call $at) (i32.const 7) (i32.const 67108864)) (i32.const 0))
        (func (export "wrun:task/copy") (result i32) (local $at i32)
            (local.set $at (call $at))
            (memory.copy (i32.add (local.get $at) (i32.const 65000)) (local.get $at) (i32.const 8))
            (memory.copy (local.get $at) (i32.add (local.get $at) (i32.const 8388608)) (i32.const 30000000)) (i32.const 0))
        (func (export "wrun:task/wasi") (result i32)
            (drop (call $random_get (i32.add (call $at) (i32.const 5)) (i32.const 100000)))
            (drop (call $random_get (call $at) (i32.const 30000000)))
            (i32.const 0))
        (func (export "wrun:task/grow") (result i32)
            (call $touch (i32.const 10))
            (if (i32.eq (memory.grow (i32.const 20)) (i32.const -1)) (then unreachable)) (i32.const 0))"#,
    )
}

#[test]
fn what_is_not_written_of_a_large_input_costs_nothing() {
    let data = tempfile::NamedTempFile::new().unwrap();
    data.as_file().set_len(64 << 20).unwrap();
    let writer = writer();
    let run = |call: &str, memory_bytes| {
        let job = Job::new(&writer).call(call).input("data", input(&data)).input_mode(InputMode::CopyOnWrite);
        each(&job.limits(Limits { memory_bytes, ..patient() }), 0..3)
    };
    // Its own page, and ten pieces of 64 KiB.
    let passed = run("some", 11 << 16);
    assert!(passed.iter().all(|outcome| outcome.stats.usage.peak_memory_bytes == 11 << 16), "{passed:?}");
    let words = "it needs 720896 bytes of memory, and the limit is 720895 bytes";
    assert_eq!(failed(&run("some", (11 << 16) - 1)[2]), (Status::Limit, words));
    for call in ["store", "fill", "copy", "wasi"] {
        let outcomes = run(call, 2 << 20);
        assert!(outcomes.iter().all(|outcome| failed(outcome).0 == Status::Limit), "{call}: {outcomes:?}");
        assert!(failed(&outcomes[0]).1.ends_with("bytes"), "{call}: {outcomes:?}");
        let outcomes = run(call, 80 << 20);
        assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{call}: {outcomes:?}");
    }
    // Written pages leave less for the guest's own memory.
    assert_eq!(run("grow", 31 << 16)[1].status(), Status::Ok);
    assert_eq!(failed(&run("grow", (31 << 16) - 1)[1]).0, Status::Limit);
    assert!(std::fs::read(data.path()).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn writes_in_more_places_than_a_process_may_have_mappings_end_the_task_alone() {
    let data = tempfile::NamedTempFile::new().unwrap();
    data.as_file().set_len(9 << 30).unwrap();
    // Every second piece of a window is written, so that each piece is a mapping. The file has three times as many as Linux allows.
    let writer = module(
        r#"(module
        (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i64) (result i64)))
        (memory (export "memory") i64 1)
        (func (export "wrun:task/scatter") (result i32) (local $at i64) (local $end i64)
            (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i64.const 0x240000000)))
            (local.set $end (i64.add (local.get $at) (i64.const 0x240000000)))
            (loop $next
                (i64.store8 (local.get $at) (i64.const 1))
                (local.set $at (i64.add (local.get $at) (i64.const 0x20000)))
                (br_if $next (i64.lt_u (local.get $at) (local.get $end))))
            (i32.const 0))
        (func (export "wrun:task/one") (result i32)
            (i64.store8 (call $input_map (i32.const 0) (i64.const 0) (i64.const 0x240000000)) (i64.const 1))
            (i32.const 0)))"#,
    );
    let limits = Limits { memory_bytes: 20 << 30, ..patient() };
    let job = Job::new(&writer).input("data", input(&data)).input_mode(InputMode::CopyOnWrite).limits(limits);
    let mut pool = pool(1);
    let outcomes: Vec<_> = pool.map(&job.clone().call("scatter"), 0..1).unwrap().collect();
    let (status, message) = failed(&outcomes[0]);
    assert!(status == Status::Limit && message.ends_with("or no mapping (vm.max_map_count)"), "{outcomes:?}");
    let outcomes: Vec<_> = pool.map(&job.call("one"), 0..1).unwrap().collect();
    assert!(outcomes[0].result.is_ok(), "{outcomes:?}");
}
