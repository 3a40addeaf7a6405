//! Inputs that tasks write to, each in private copies of the pages: `InputMode::CopyOnWrite`.

use wrun::{InputMode, Job, Limits, Status, Task};

use crate::support::{each, failed, file, input, patient, pattern, pool, result_words, task_module};

/// Bytes of the file; it ends within a page.
const LEN: usize = 200_000;

/// Sums up its first input, and then writes to each byte of it.
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
            ;; Every window is a copy of its own.
            (call $put (i32.load8_u (call $map (i32.const 0))))
            (call $put (i32.load8_u (call $input_map (i32.const 0) (i64.const 0) (i32.const 1))))
            (i32.const 0))
        (func (export "wrun:task/behind") (result i32)
            (i32.store8 offset=65535 (call $input_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 1))
            (i32.const 0))
        ;; Maps nearly the whole input again and again, and gives the windows back where input 1 is there.
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
        // As an input that all share, and as one of each task; at an offset inside a page, too.
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
fn windows_that_may_be_written_count_as_memory() {
    let data = file(&pattern(LEN));
    let with = |call: &str, memory_bytes| {
        let job = job(call).input("data", input(&data)).limits(Limits { memory_bytes, ..patient() });
        each(&job, 0..2).remove(1)
    };
    // The module's own page, 49 pages of each of two windows, and one of the third.
    let least = 65536 + 99 * 4096;
    assert_eq!(with("scribble", least).status(), Status::Ok);
    let (status, message) =
        (Status::Limit, format!("it needs {least} bytes of memory, and the limit is {} bytes", least - 1));
    let outcome = with("scribble", least - 1);
    assert_eq!(failed(&outcome), (status, &format!("{message}; raise it with --memory")[..]));

    // However many windows it makes, and dirties, one after the other.
    assert_eq!(failed(&with("many", 4 << 20)).0, Status::Limit);
    let job = job("many").input("data", input(&data)).input("give back", input(&data));
    let limits = Limits { memory_bytes: least, ..patient() };
    assert_eq!(each(&job.limits(limits), 0..1)[0].status(), Status::Ok, "what was given back counts no more");
}
