//! What a task may use, the different ways in which it can end, and the ways to call a module without an SDK.

use wrun::result::{Level, LogLine};
use wrun::{Input, Job, Limits, Module, Status, Task};

use crate::support::{
    bytes, each, failed, failure, file, input, module, outcomes, patient, pattern, pool, result_words, rust_guest,
    task_module, text, words,
};

/// Runs one task of this module.
fn one(job: &Job, task: impl Into<Task>) -> wrun::Outcome {
    each(job, [task.into()]).remove(0)
}

fn with_memory(bytes: u64) -> Limits {
    Limits { memory_bytes: bytes, ..Limits::default() }
}

/// Grows its memory by `arg 0` pages: `grow` needs them, `ask` continues without.
fn growing() -> Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/grow") (result i32)
            (if (i32.eq (memory.grow (call $arg (i32.const 0))) (i32.const -1)) (then (unreachable)))
            (i32.store8 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)) (i32.const 1))
            (i32.const 0))
        (func (export "wrun:task/ask") (result i32)
            (call $put (memory.grow (call $arg (i32.const 0))))
            (call $put (memory.grow (i32.const 1)))
            (i32.const 0))"#,
    )
}

#[test]
fn a_task_that_needs_more_memory_than_allowed_ends_at_its_limit() {
    let job = Job::new(&growing()).call("grow").limits(with_memory(1 << 20));
    let ended = each(&job, [words(&[15]), words(&[16]), words(&[15])]);
    assert_eq!(text(&ended[0]), "");
    let message = "it needs 1114112 bytes of memory, and the limit is 1048576 bytes";
    assert_eq!(failed(&ended[1]), (Status::Limit, message));
    assert_eq!(text(&ended[2]), "", "the limit is each task's own");
}

#[test]
fn a_task_that_copes_with_less_memory_goes_on() {
    let job = Job::new(&growing()).call("ask").limits(with_memory(1 << 20));
    let ended = each(&job, [words(&[16]), words(&[14]), words(&[60_000])]);
    assert_eq!(result_words(&ended[0]), [u32::MAX, 1]);
    assert_eq!(result_words(&ended[1]), [1, 15]);
    assert_eq!(result_words(&ended[2]), [u32::MAX, 1]);
}

#[test]
fn a_memory_that_begins_larger_than_allowed_is_a_limit() {
    let module = task_module("17", r#"(func (export "wrun:task/t") (result i32) (i32.const 0))"#);
    let (status, message) = {
        let outcome = one(&Job::new(&module).limits(with_memory(1 << 20)), "");
        let error = failure(&outcome);
        (error.status, error.message.clone())
    };
    let expected = "it needs 1114112 bytes of memory, and the limit is 1048576 bytes";
    assert_eq!((status, message.as_str()), (Status::Limit, expected));
    assert_eq!(text(&one(&Job::new(&module).limits(with_memory(17 << 16)), "")), "");
}

#[test]
fn tables_count_as_memory() {
    let module = task_module(
        "1",
        r#"(table $t 0 funcref)
        (func (export "wrun:task/t") (result i32)
            (call $put (table.grow $t (ref.null func) (call $arg (i32.const 0))))
            (if (i32.eqz (table.size $t)) (then (unreachable)))
            (i32.const 0))"#,
    );
    let job = Job::new(&module).limits(with_memory(64 << 10 | 8000));
    let ended = each(&job, [words(&[1000]), words(&[1001])]);
    assert_eq!(result_words(&ended[0]), [0]);
    let message = "it needs 73544 bytes of memory, and the limit is 73536 bytes";
    assert_eq!(failed(&ended[1]), (Status::Limit, message));
}

#[test]
fn reused_instances_count_what_they_keep() {
    let job = Job::new(&growing()).call("ask").limits(with_memory(1 << 20)).reuse();
    let mut pool = pool(1);
    let ended: Vec<_> = pool.map(&job, (0..10).map(|_| words(&[2]))).expect("a run").collect();
    let grown: Vec<_> = ended.iter().map(result_words).collect();
    assert_eq!(grown[..5], [[1, 3], [4, 6], [7, 9], [10, 12], [13, 15]]);
    assert!(grown[5..].iter().all(|grown| *grown == [u32::MAX, u32::MAX]), "{grown:?}");
}

#[test]
fn a_stack_that_is_too_deep_is_a_limit_that_can_be_raised() {
    let module = task_module(
        "1",
        r#"(func $down (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (i32.const 0))))
        (func (export "wrun:task/t") (result i32) (call $put (call $down (call $arg (i32.const 0)))) (i32.const 0))"#,
    );
    let stack = |bytes: u64| Job::new(&module).limits(Limits { stack_bytes: bytes, ..patient() });
    let ended = each(&stack(1 << 20), [1000, 1_000_000, 1000].map(|depth| words(&[depth])));
    assert_eq!(result_words(&ended[0]), [1000]);
    let message = "it needs more stack than the limit of 1048576 bytes";
    assert_eq!(failed(&ended[1]), (Status::Limit, message));
    assert_eq!(result_words(&ended[2]), [1000]);
    assert_eq!(result_words(&one(&stack(64 << 20), words(&[1_000_000]))), [1_000_000]);
    let message = "it needs more stack than the limit of 16384 bytes";
    assert_eq!(failed(&one(&stack(16 << 10), words(&[10_000]))), (Status::Limit, message));
    assert_eq!(result_words(&one(&stack(16 << 10), words(&[100]))), [100]);
    let mut pool = pool(1);
    assert!(pool.map(&stack(0), 0..1).is_err());
    assert!(pool.map(&stack((64 << 20) + 1), 0..1).is_err());
}

#[test]
fn a_result_may_be_as_long_as_the_limit() {
    let module = task_module(
        "2",
        r#"(func (export "wrun:task/t") (result i32)
            (call $output_write (i32.const 0) (i32.const 50))
            (call $output_write (i32.const 0) (i32.sub (call $arg (i32.const 0)) (i32.const 50)))
            (i32.const 0))"#,
    );
    let job = Job::new(&module).limits(Limits { output_bytes: 1000, ..Limits::default() });
    let ended = each(&job, [1000, 1001, 60_000, 1000].map(|len| words(&[len])));
    assert_eq!([bytes(&ended[0]).len(), bytes(&ended[3]).len()], [1000, 1000]);
    for outcome in &ended[1..3] {
        let message = "its result is longer than the limit of 1000 bytes";
        assert_eq!(failed(outcome), (Status::Limit, message));
    }
}

#[test]
fn the_log_is_kept_up_to_its_limit_and_says_what_is_missing() {
    let module = task_module(
        "1",
        r#"(data (i32.const 100) "0123456789")
        (func (export "wrun:task/t") (result i32) (local $n i32)
            (local.set $n (call $arg (i32.const 0)))
            (loop $next
                (call $log (i32.const 4) (i32.const 100) (i32.const 10))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i32.const 0))
        (func (export "wrun:task/levels") (result i32)
            (call $log (call $arg (i32.const 0)) (i32.const 100) (i32.const 10)) (i32.const 0))"#,
    );
    let job = Job::new(&module).call("t").limits(Limits { log_bytes: 1000, ..Limits::default() });
    let ended = each(&job, [3, 1000, 3].map(|lines| words(&[lines])));
    let line = || LogLine::new(Level::Debug, "0123456789");
    for short in [0, 2] {
        assert_eq!(ended[short].log, [line(), line(), line()]);
    }
    let (last, kept) = ended[1].log.split_last().expect("lines");
    assert!(kept.len() > 50 && kept.len() <= 100 && kept.iter().all(|kept| *kept == line()), "{}", kept.len());
    let dropped = 1000 - kept.len();
    let said = format!("{dropped} more log lines ({} bytes) were dropped", dropped * 10);
    assert_eq!(*last, LogLine::new(Level::Warn, said));

    let levels = Job::new(&module).call("levels");
    for level in Level::ALL {
        let logged = one(&levels, words(&[level as u32])).log;
        assert_eq!(logged, [LogLine::new(level, "0123456789")]);
    }
    let message = "log(6, 0x64, 10): levels are 1 (error) to 5 (trace)";
    assert_eq!(failed(&one(&levels, words(&[6]))), (Status::Trap, message));
    assert_eq!(failed(&one(&levels, words(&[0]))).0, Status::Trap);
}

/// Ends in different ways, deep inside named functions.
fn ends() -> Module {
    task_module(
        "1",
        r#"(type $none (func)) (table 2 2 funcref) (elem (i32.const 0) $other_type)
        (func $other_type (param i64))
        (data (i32.const 100) "line 3: not a number")
        (func $innermost (param $how i32)
            (if (i32.eq (local.get $how) (i32.const 1)) (then (drop (i32.div_s (i32.const 1) (i32.const 0)))))
            (if (i32.eq (local.get $how) (i32.const 2)) (then (unreachable)))
            (if (i32.eq (local.get $how) (i32.const 3)) (then (call_indirect (type $none) (i32.const 1))))
            (if (i32.eq (local.get $how) (i32.const 4)) (then (call_indirect (type $none) (i32.const 0))))
            (if (i32.eq (local.get $how) (i32.const 5)) (then (call_indirect (type $none) (i32.const 7))))
            (if (i32.eq (local.get $how) (i32.const 6)) (then (drop (i32.load (i32.const 65536)))))
            (if (i32.eq (local.get $how) (i32.const 7)) (then (memory.fill (i32.const 65530) (i32.const 0) (i32.const 7))))
            (if (i32.eq (local.get $how) (i32.const 8)) (then (drop (i32.trunc_f32_s (f32.const nan)))))
            (if (i32.eq (local.get $how) (i32.const 9)) (then (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))))
            (if (i32.eq (local.get $how) (i32.const 10)) (then (call $output_write (i32.const 65530) (i32.const 7))))
            (if (i32.eq (local.get $how) (i32.const 11)) (then (call $arg_read (i32.const -4))))
            (if (i32.eq (local.get $how) (i32.const 12)) (then (drop (i32.atomic.load (i32.const 2)))))
            (if (i32.eq (local.get $how) (i32.const 13)) (then
                (call $fail (i32.const 100) (i32.const 20)) (unreachable))))
        (func $middle (param $how i32) (call $innermost (local.get $how)))
        (func (export "wrun:task/trap") (result i32) (call $middle (call $arg (i32.const 0))) (i32.const 0))
        (func (export "wrun:task/return") (result i32)
            (call $put (i32.const 1))
            (if (call $arg (i32.const 1)) (then (call $fail (i32.const 100) (call $arg (i32.const 1)))))
            (call $arg (i32.const 0)))"#,
    )
}

#[test]
fn traps_are_told_apart_and_have_a_backtrace() {
    let job = Job::new(&ends()).call("trap");
    let expected = [
        (1, "integer divide by zero"),
        (2, "wasm `unreachable` instruction executed"),
        (3, "uninitialized element"),
        (4, "indirect call type mismatch"),
        (5, "undefined element: out of bounds table access"),
        (6, "out of bounds memory access"),
        (7, "out of bounds memory access"),
        (8, "invalid conversion to integer"),
        (9, "integer overflow"),
        (10, "output_write(0xfffa, 7): these bytes do not lie in memory"),
        (11, "arg_read(0xfffffffc): 4 bytes there do not lie in memory"),
        (12, "unaligned atomic"),
        (13, "line 3: not a number (wasm `unreachable` instruction executed)"),
    ];
    for (how, message) in expected {
        let outcome = one(&job, words(&[how]));
        assert_eq!(failed(&outcome), (Status::Trap, message), "{how}");
        let backtrace = failure(&outcome).backtrace.as_deref().expect("a backtrace");
        let places: Vec<_> =
            ["innermost", "middle"].iter().map(|name| backtrace.find(name).expect("a frame by its name")).collect();
        assert!(places.is_sorted(), "innermost first: {backtrace}");
    }
    assert_eq!(text(&one(&job, words(&[0]))), "");
}

#[test]
fn a_task_that_returns_an_error_has_its_own_message_or_its_code() {
    let job = Job::new(&ends()).call("return");
    let ended = each(&job, [[0, 0], [1, 20], [7, 0], [0, 20], [u32::MAX, 6]].map(|args| words(&args)));
    assert_eq!(result_words(&ended[0]), [1]);
    assert_eq!(failed(&ended[1]), (Status::Error, "line 3: not a number"));
    assert_eq!(failed(&ended[2]), (Status::Error, "the task function returned 7"));
    assert_eq!(result_words(&ended[3]), [1], "a message alone is not a failure");
    assert_eq!(failed(&ended[4]), (Status::Error, "line 3"));
    assert!(failure(&ended[1]).backtrace.is_none());
}

#[test]
fn the_error_of_a_rust_guest_reaches_the_user() {
    let wordcount = rust_guest("wordcount");
    let table = Input::from_bytes("table", b"a 1\nb\n").expect("memory");
    let merge = Job::new(&wordcount).call("merge");
    let outcome = one(&merge, Task::new("").input(table));
    assert_eq!(failed(&outcome), (Status::Error, "table 0: line 2 is not `WORD COUNT`: \"b\""));
    // An extractor without its input reports that.
    let outcome = one(&Job::new(&wordcount).call("count"), "");
    assert_eq!(outcome.status(), Status::Error);
    assert!(failed(&outcome).1.contains("input"), "{}", failed(&outcome).1);
}

#[test]
fn scalar_exports_take_and_give_all_four_types() {
    let module = module(
        r#"(module
            (func (export "i32") (param i32) (result i32) (local.get 0))
            (func (export "i64") (param i64) (result i64) (local.get 0))
            (func (export "f32") (param f32) (result f32) (local.get 0))
            (func (export "f64") (param f64) (result f64) (local.get 0))
            (func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
                (local.get 3) (local.get 2) (local.get 1) (local.get 0))
            (func (export "none"))
            (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))"#,
    );
    let call = |name: &str, argument: &str| one(&Job::new(&module).call(name), argument);
    let good = [
        ("i32", "-2147483648", "-2147483648"),
        ("i32", "4294967295", "-1"),
        ("i64", "18446744073709551615", "-1"),
        ("i64", " 9223372036854775807\n", "9223372036854775807"),
        ("f32", "0.1", "0.1"),
        ("f32", "1e10", "10000000000"),
        ("f64", "0.1", "0.1"),
        ("f64", "-0", "-0"),
        ("f64", "inf", "inf"),
        ("f64", "nan", "NaN"),
        ("all", "1 2 3.5 4.25", "4.25 3.5 2 1"),
        ("all", "1,2,3.5,4.25", "4.25 3.5 2 1"),
        ("none", "", ""),
        ("divide", "7 2", "3"),
    ];
    for (name, argument, expected) in good {
        assert_eq!(text(&call(name, argument)), expected, "{name}({argument})");
    }
    let bad = [
        ("i32", "4294967296", Status::Error, "\"4294967296\" is not a valid i32"),
        ("i32", "1.5", Status::Error, "\"1.5\" is not a valid i32"),
        ("f64", "abc", Status::Error, "\"abc\" is not a valid f64"),
        ("all", "1 2 3", Status::Error, "`all` takes 4 numbers, not 3: \"1 2 3\""),
        ("none", "1", Status::Error, "`none` takes 0 numbers, not 1: \"1\""),
        ("divide", "1 0", Status::Trap, "integer divide by zero"),
    ];
    for (name, argument, status, message) in bad {
        assert_eq!(failed(&call(name, argument)), (status, message), "{name}({argument})");
    }
}

/// A WASI command with this text, imports and two helpers: `$print` writes bytes to standard output, `$number` a number.
fn command(text: &str) -> Module {
    module(format!(
        r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 4)
        (data (i32.const 16) "/etc/hostname") (data (i32.const 40) "it went wrong\n")
        (func $write (param $fd i32) (param $at i32) (param $len i32)
            (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $len))
            (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func $print (param i32 i32) (call $write (i32.const 1) (local.get 0) (local.get 1)))
        (func $number (param i32) (i32.store (i32.const 12) (local.get 0)) (call $print (i32.const 12) (i32.const 4)))
        (func (export "_start") {text}))"#
    ))
}

/// Prints its arguments, each followed by its zero byte.
const ARGUMENTS: &str = r#"
    (drop (call $args_sizes_get (i32.const 100) (i32.const 104)))
    (drop (call $args_get (i32.const 1024) (i32.const 65536)))
    (call $print (i32.const 65536) (i32.load (i32.const 104)))"#;

#[test]
fn a_command_gets_the_item_or_the_words_with_the_item_in_them() {
    let job = Job::new(&command(ARGUMENTS));
    let ended = each(&job, ["one item", "", "ünï"]);
    let texts: Vec<_> = ended.iter().map(text).collect();
    assert_eq!(texts, ["test.wat\0one item\0", "test.wat\0\0", "test.wat\0ünï\0"]);
    let words = ["-n", "{}", "a{}b{}", "plain", "{", "}{}"].map(String::from).to_vec();
    let job = Job { argv: Some(words), ..job };
    assert_eq!(text(&one(&job, "X")), "test.wat\0-n\0X\0aXbX\0plain\0{\0}X\0");
    let not_a_command = Job { argv: Some(Vec::new()), ..Job::new(&growing()).call("grow") };
    assert!(pool(1).map(&not_a_command, 0..1).is_err());
}

#[test]
fn a_commands_standard_input_is_its_piece_and_its_output_the_result() {
    let cat = r#"(local $n i32)
        (loop $next
            (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 10000))
            (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return)))
            (local.set $n (i32.load (i32.const 8)))
            (call $print (i32.const 4096) (local.get $n))
            (br_if $next (local.get $n)))"#;
    let content = pattern(300_000);
    let file = file(&content);
    let whole = input(&file);
    let ranges = [0..300_000, 5..100_005, 0..0, 299_999..300_000, 4096..4097];
    let job = Job::new(&command(cat)).input("shared", Input::from_bytes("shared", b"not this").expect("memory"));
    let pieces = ranges.clone().map(|range| Task::from(whole.slice(range).expect("a range")));
    for (outcome, range) in each(&job, pieces).iter().zip(ranges) {
        assert!(bytes(outcome) == &content[range.start as usize..range.end as usize], "{range:?}");
    }
    assert_eq!(text(&one(&job, "no file")), "", "without a file or piece there is nothing to read");
}

#[test]
fn a_commands_exit_code_and_standard_error_say_how_it_ended() {
    let print = "(call $print (i32.const 16) (i32.const 4))";
    let complain = "(call $write (i32.const 2) (i32.const 40) (i32.const 14))";
    let exit = |code: u32| format!("(call $proc_exit (i32.const {code}))");
    let run = |text: &str| one(&Job::new(&command(text)), "");
    assert_eq!(text(&run(&format!("{print} {}", exit(0)))), "/etc");
    let warned = run(&format!("{print} {complain}"));
    assert_eq!(
        (text(&warned).as_str(), &warned.stderr[..], &warned.log[..]),
        ("/etc", &b"it went wrong\n"[..], &[][..])
    );
    let ended = run(&format!("{print} {complain} {}", exit(3)));
    assert_eq!(failed(&ended), (Status::Error, "it went wrong (exit code 3)"));
    let error = ended.result.as_ref().expect_err("it failed");
    assert_eq!((ended.exit_code, error.stdout.as_deref().map(|stdout| &stdout[..])), (Some(3), Some(&b"/etc"[..])));
    assert_eq!(ended.stderr, b"it went wrong\n");
    assert_eq!(failed(&run(&format!("{print} {}", exit(3)))), (Status::Error, "exited with code 3"));
    assert_eq!(failed(&run("(unreachable)")).0, Status::Trap);
    let (status, message) = {
        let outcome = run(&format!("{complain} (unreachable)"));
        (outcome.status(), failed(&outcome).1.to_owned())
    };
    assert_eq!(status, Status::Trap);
    assert_eq!(message, "it went wrong (wasm `unreachable` instruction executed)");
}

#[test]
fn a_commands_output_and_errors_have_limits() {
    let endless = |fd: u32| {
        Job::new(&command(&format!("(loop (call $write (i32.const {fd}) (i32.const 0) (i32.const 5000)) (br 0))")))
    };
    let limits = Limits { output_bytes: 100_000, ..patient() };
    let message = "its result is longer than the limit of 100000 bytes";
    assert_eq!(failed(&one(&endless(1).limits(limits), "")), (Status::Limit, message));
    // Standard error is truncated, and the task continues.
    let many = "(local $n i32) (loop $next (call $write (i32.const 2) (i32.const 40) (i32.const 14))
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
        (call $print (i32.const 16) (i32.const 4))";
    let limits = Limits { log_bytes: 1000, ..patient() };
    let outcome = one(&Job::new(&command(many)).limits(limits), "");
    assert_eq!(text(&outcome), "/etc");
    assert_eq!(outcome.stderr.len(), 1000);
}

#[test]
fn clock_and_random_numbers_depend_on_the_task_alone() {
    let module = command(
        "(drop (call $random_get (i32.const 1024) (i32.const 16)))
         (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 1040)))
         (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 1048)))
         (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 1056)))
         (call $print (i32.const 1024) (i32.const 40))",
    );
    let run = |workers: usize| -> Vec<Vec<u8>> {
        pool(workers).map(&Job::new(&module), 0..300).expect("a run").map(|outcome| bytes(&outcome).to_vec()).collect()
    };
    let (alone, many) = (run(1), run(4));
    assert!(alone == many);
    let different: std::collections::HashSet<&[u8]> = alone.iter().map(|output| &output[..16]).collect();
    assert_eq!(different.len(), 300, "random numbers differ from task to task");
    let clock = |output: &[u8], at: usize| u64::from_le_bytes(output[at..at + 8].try_into().expect("eight bytes"));
    assert!(alone.iter().all(|output| clock(output, 40 - 8) > clock(output, 40 - 16)), "time passes");
}

#[test]
fn a_command_has_no_files_and_no_environment() {
    // The control: this process has an environment, none of which may be visible.
    assert!(std::env::vars_os().count() > 0);
    let module = command(
        "(drop (call $environ_sizes_get (i32.const 100) (i32.const 104)))
         (call $number (i32.load (i32.const 100)))
         (call $number (i32.load (i32.const 104)))
         (call $number (call $fd_prestat_get (i32.const 3) (i32.const 1024)))
         (call $number (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 13)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1024)))
         (call $number (call $path_open (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 13)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1024)))
         (call $number (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))",
    );
    let found = result_words(&one(&Job::new(&module), ""));
    const PERM: u32 = 63;
    assert_eq!(found[..4], [0, 0, 0, PERM], "no variables; a root of its own, and no file of the system");
    assert_ne!(found[4], 0, "standard input is not a directory");
    assert_eq!(found[5], 0, "the control: a call that is allowed");
}

#[test]
fn an_ordinary_wasi_program_runs_unmodified() {
    let job = Job::new(&rust_guest("hello-wasi"));
    let ended = outcomes(&job, ["alice", "bob"].into_iter());
    assert_eq!([text(&ended[0]), text(&ended[1])], ["hello, alice\n", "hello, bob\n"]);
    let file = file(b"text to shout");
    let shouted = one(&job, input(&file));
    assert_eq!(text(&shouted), format!("hello, {}\nTEXT TO SHOUT", file.path().display()));
    let not_text = one(&job, Task::new("x").input(Input::from_bytes("data", b"\xff\xfe").expect("memory")));
    assert_eq!(failed(&not_text), (Status::Error, "hello-wasi: stream did not contain valid UTF-8 (exit code 1)"));
}
