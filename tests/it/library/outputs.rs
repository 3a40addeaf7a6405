//! Results that a task writes in place, and windows of regions.

use wrun::{Job, Limits, Module, Status, Task};

use crate::library::windows::{GONE, PAGE, WASM_PAGE};
use crate::support::{bytes, each, failed, result_words, task_module, words};

/// Fills a result of `arg 0` bytes, mapped with `output_map`, with bytes that count up from its index's low byte.
fn mapped_output() -> Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/make") (result i32) (local $at i32) (local $i i32) (local $len i32)
            (local.set $len (call $arg (i32.const 0)))
            (local.set $at (call $output_map (local.get $len)))
            (if (i32.eqz (local.get $at)) (then (unreachable)))
            (if (i32.rem_u (local.get $at) (i32.const 4096)) (then (unreachable)))
            (block $done (loop $next
                (br_if $done (i32.eq (local.get $i) (local.get $len)))
                (if (i32.load8_u (i32.add (local.get $at) (local.get $i))) (then (unreachable)))
                (i32.store8 (i32.add (local.get $at) (local.get $i))
                    (i32.add (local.get $i) (i32.wrap_i64 (call $task_index))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
            (i32.const 0))
        (func (export "wrun:task/twice") (result i32)
            (drop (call $output_map (i32.const 10)))
            (drop (call $output_map (call $arg (i32.const 0))))
            (i32.const 0))
        (func (export "wrun:task/write_then_map") (result i32)
            (call $put (i32.const 1))
            (drop (call $output_map (call $arg (i32.const 0))))
            (i32.const 0))
        (func (export "wrun:task/map_then_write") (result i32)
            (drop (call $output_map (call $arg (i32.const 0))))
            (call $output_write (i32.const 16) (i32.const 4))
            (i32.const 0))
        (func (export "wrun:task/map_then_fail") (result i32)
            (i32.store (call $output_map (call $arg (i32.const 0))) (i32.const -1))
            (i32.const 1))
        (func (export "wrun:task/unmap") (result i32)
            (call $input_unmap (call $output_map (call $arg (i32.const 0))))
            (i32.const 0))
        (func (export "wrun:task/behind") (result i32)
            (i32.store8 (i32.add (call $output_map (call $arg (i32.const 0))) (i32.const 4096)) (i32.const 1))
            (i32.const 0))"#,
    )
}

#[test]
fn a_result_that_is_written_in_place_arrives_as_it_was_written() {
    let job = Job::new(&mapped_output()).call("make");
    let lens = [1, PAGE - 1, PAGE, PAGE + 1, WASM_PAGE, WASM_PAGE + 1, 300_000, 0, 0, 1];
    let ended = each(&job, lens.map(|len| words(&[len as u32])));
    for (index, (outcome, len)) in ended.iter().zip(lens).enumerate() {
        let expected: Vec<u8> = (0..len).map(|at| (at + index) as u8).collect();
        assert!(bytes(outcome) == expected, "{len} bytes");
    }
    let reused = each(&job.reuse(), lens.map(|len| words(&[len as u32])));
    for (index, (outcome, len)) in reused.iter().zip(lens).enumerate() {
        let expected: Vec<u8> = (0..len).map(|at| (at + index) as u8).collect();
        assert!(bytes(outcome) == expected, "{len} bytes from a reused instance");
    }
}

#[test]
fn a_task_has_one_result() {
    let module = mapped_output();
    let one = |name: &str| each(&Job::new(&module).call(name), [words(&[100])]).remove(0);
    assert_eq!(failed(&one("twice")), (Status::Trap, "output_map(100): the task has a result already"));
    assert_eq!(failed(&one("write_then_map")), (Status::Trap, "output_map(100): the task has a result already"));
    let mixed = "output_write(0x10, 4): the result is what output_map gave; write it there";
    assert_eq!(failed(&one("map_then_write")), (Status::Trap, mixed));
    assert_eq!(failed(&one("map_then_fail")), (Status::Error, "the task function returned 1"));
    assert_eq!(failed(&one("unmap")), (Status::Trap, "input_unmap(0x20000): no window begins there"));
    assert_eq!(failed(&one("behind")), (Status::Trap, GONE));
    assert_eq!(one("make").status(), Status::Ok);
}

#[test]
fn a_result_in_place_may_be_as_long_as_the_limit() {
    let job = |call: &str| {
        let limits = Limits { output_bytes: 100, ..Limits::default() };
        Job::new(&mapped_output()).call(call).limits(limits)
    };
    let ended = each(&job("make"), [words(&[100]), words(&[101]), words(&[u32::MAX]), words(&[100])]);
    let limit = (Status::Limit, "its result is longer than the limit of 100 bytes");
    assert_eq!(bytes(&ended[0]).len(), 100);
    assert_eq!(failed(&ended[1]), limit);
    assert_eq!(failed(&ended[2]), limit);
    assert_eq!(bytes(&ended[3]).len(), 100);
}

#[test]
fn a_job_has_no_regions_unless_it_is_given_some() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/count") (result i32) (call $put (call $region_count)) (i32.const 0))
        (func (export "wrun:task/len") (result i32) (drop (call $region_len (i32.const 0))) (i32.const 0))
        (func (export "wrun:task/map") (result i32)
            (drop (call $region_map (i32.const 1) (i64.const 2) (i32.const 3))) (i32.const 0))"#,
    );
    let one = |name: &str| each(&Job::new(&module).call(name), [Task::new("")]).remove(0);
    assert_eq!(result_words(&one("count")), [0]);
    assert_eq!(
        failed(&one("len")),
        (Status::Trap, "region_len(0): this task has neither an output slice nor shared memory")
    );
    assert_eq!(
        failed(&one("map")),
        (Status::Trap, "region_map(1, 2, 3): this task has neither an output slice nor shared memory")
    );
}
