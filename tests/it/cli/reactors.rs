//! Functions of WASI programs that are no commands: they see arguments as a command does, and can end by exiting.

use crate::cli::kit::{Place, objects, ok, said};

/// Functions that return, or write as their result, what WASI gives them as arguments.
const REACTOR: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wrun_v1" "output_write" (func $write (param i32 i32)))
    (import "wrun_v1" "input_count" (func $input_count (result i32)))
    (memory (export "memory") 3)
    (func (export "_initialize"))
    ;; Writes the number of arguments, and all of them with a newline after each.
    (func $print_args (local $at i32) (local $end i32)
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 1024) (i32.const 8192)))
        (i32.store8 (i32.const 16) (i32.add (i32.const 48) (i32.load (i32.const 0))))
        (i32.store8 (i32.const 17) (i32.const 10))
        (call $write (i32.const 16) (i32.const 2))
        (local.set $end (i32.add (i32.const 8192) (i32.load (i32.const 4))))
        (local.set $at (i32.const 8192))
        (block (loop
            (br_if 1 (i32.ge_u (local.get $at) (local.get $end)))
            (if (i32.eqz (i32.load8_u (local.get $at))) (then (i32.store8 (local.get $at) (i32.const 10))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br 0)))
        (call $write (i32.const 8192) (i32.load (i32.const 4))))
    (func (export "wrun:task/args") (result i32) (call $print_args) (i32.const 0))
    (func (export "wrun:task/merge") (result i32)
        (drop (call $input_count)) (call $print_args) (i32.const 0))
    ;; Looks at no arguments.
    (func (export "wrun:task/blind") (result i32) (i32.const 0))
    ;; Writes its arguments, and exits with their number.
    (func (export "wrun:task/leave") (result i32) (call $print_args) (call $exit (i32.load (i32.const 0))) (i32.const 0))
    (func (export "count") (param i32 f64) (result i32)
        (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0)))
    (func (export "bytes") (result i32)
        (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 4))))"#;

fn place() -> Place {
    let place = Place::new();
    place.file("r.wat", REACTOR);
    place
}

#[test]
fn a_task_sees_its_item_as_an_argument() {
    let place = place();
    assert_eq!(place.says(&["map", "r.wat", "--call", "args", "a b", "c"]), ok("2\nr.wat\na b\n2\nr.wat\nc\n"));
    assert_eq!(place.says(&["run", "r.wat", "--call", "args", "a", "b"]), ok("2\nr.wat\na b\n"));
    assert_eq!(
        place.says(&["map", "r.wat", "--call", "args", "--reuse", "-j1", "a", "b"]),
        ok("2\nr.wat\na\n2\nr.wat\nb\n")
    );
    let words = ["map", "r.wat", "--call", "args", "x", "--", "-v", "in={}", "{}{}"];
    assert_eq!(place.says(&words), ok("4\nr.wat\n-v\nin=x\nxx\n"));
    let item = ["run", "r.wat", "--call", "args", "--item", "x", "--", "in={}"];
    assert_eq!(place.says(&item), ok("2\nr.wat\nin=x\n"));
}

#[test]
fn a_function_of_numbers_sees_them_as_arguments() {
    let place = place();
    assert_eq!(place.says(&["map", "r.wat", "--call", "count", "1 2.5", " 3,4 "]), ok("3\n3\n"));
    assert_eq!(place.says(&["run", "r.wat", "--call", "count", "1", "2.5"]), ok("3\n"));
    assert_eq!(place.says(&["map", "r.wat", "--call", "count", "1 2", "--", "{}", "b", "c"]), ok("4\n"));
}

#[test]
fn a_function_without_parameters_sees_the_words_of_the_command_line() {
    let place = place();
    // The name takes 6 bytes.
    assert_eq!(place.says(&["map", "r.wat", "--call", "bytes", "", " "]), ok("6\n6\n"));
    assert_eq!(place.says(&["run", "r.wat", "--call", "bytes"]), ok("6\n"));
    assert_eq!(place.says(&["run", "r.wat", "--call", "bytes", "-v", "{}"]), ok("12\n"));
    assert_eq!(place.says(&["map", "r.wat", "--call", "bytes", "", "--", "-v", "{}"]), ok("12\n"));
}

#[test]
fn only_a_task_that_asks_for_its_arguments_needs_an_item_that_can_be_one() {
    let place = place();
    for (item, why) in [
        (&b"a\0b\n"[..], "its item contains a NUL byte, which an argument of a program cannot"),
        (&b"\xff\n"[..], "its item is not UTF-8, and arguments of a WASI program must be"),
    ] {
        assert_eq!(place.says_to(&["map", "r.wat", "--call", "blind"], item), ok(""));
        let failed = place.says_to(&["map", "r.wat", "--call", "args", "--json"], item);
        let task = &objects(&failed.stdout)[0];
        assert_eq!((&task["status"], &task["error"]), (&"error".into(), &why.into()), "{}", failed.stdout);
    }
}

#[test]
fn a_merge_has_no_item_and_sees_the_words_as_they_are() {
    let place = place();
    let merge = ["map", "r.wat", "--call", "blind", "--reduce", "merge", "x"];
    assert_eq!(place.says(&merge), ok("1\nr.wat\n"));
    assert_eq!(place.says(&[&merge[..], &["--", "a{}"]].concat()), ok("2\nr.wat\na{}\n"));
}

#[test]
fn arguments_beyond_the_limit_are_refused_when_they_are_asked_for() {
    let place = place();
    let item = "x".repeat(1000);
    let words: Vec<&str> = std::iter::repeat_n("{}{}{}{}", 1000).collect();
    let map = |task: &str| place.says(&[&["map", "r.wat", "--json", "--call", task, &item, "--"], &words[..]].concat());
    assert_eq!(map("blind").code, Some(0));
    let task = objects(&map("args").stdout).remove(0);
    assert_eq!(task["status"], "limit", "{task}");
    assert!(task["error"].as_str().is_some_and(|why| why.starts_with("its words have 4000000 bytes")), "{task}");
}

#[test]
fn words_for_a_module_that_reads_none_are_refused() {
    let place = place();
    let why = "words after -- are a WASI program's arguments, and module kit.wat imports no args_get of WASI";
    assert_eq!(place.map("echo", &["x", "--", "y"]), said(2, "", &format!("wrun: {why}\n")));
}

#[test]
fn a_task_that_exits_passes_with_the_codes_that_are_given() {
    let place = place();
    let leave = ["map", "r.wat", "--call", "leave", "x"];
    let failed = place.says(&leave);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(100), ""));
    assert!(failed.stderr.contains("exited with code 2"), "{}", failed.stderr);
    assert_eq!(place.says(&[&leave[..], &["--ok-exit-codes", "0,2"]].concat()), ok("2\nr.wat\nx\n"));
    assert_eq!(place.says(&[&leave[..], &["--ok-exit-codes", "3"]].concat()).code, Some(100));
    // Its result is complete when it returns, whatever codes are given.
    let args = ["map", "r.wat", "--call", "args", "x", "--ok-exit-codes", "2"];
    assert_eq!(place.says(&args), ok("2\nr.wat\nx\n"));
    let scalar = place.says(&["map", "r.wat", "--call", "bytes", "", "--ok-exit-codes", "2"]);
    let why = "exit codes are for WASI programs, and \"bytes\" of module r.wat is no command, nor a task that can exit";
    assert_eq!(scalar, said(2, "", &format!("wrun: {why}\n")));
}

#[test]
fn nothing_stands_for_an_item_on_the_terminal() {
    let place = Place::new();
    let hello = crate::cli::kit::hello();
    assert_eq!(place.says_to(&["run", &hello, "{}"], ""), ok("hello, {}\n"));
}

#[test]
fn the_export_without_a_name_is_called_by_default_and_may_exit() {
    let place = Place::new();
    place.file(
        "pipeline.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_initialize"))
            (func (export "") (call $exit (i32.const 0)))
            (func (export "fail") (call $exit (i32.const 3)))
            (func (export "number") (result i32) (call $exit (i32.const 0)) (i32.const 0)))"#,
    );
    // It returns nothing, so nothing is incomplete.
    assert_eq!(place.says(&["map", "pipeline.wat", ""]), ok(""));
    assert_eq!(place.says(&["run", "pipeline.wat"]), ok(""));
    let ended =
        |call: &str| objects(&place.says(&["map", "--json", "pipeline.wat", "--call", call, ""]).stdout).remove(0);
    assert_eq!(ended("fail")["error"], "exited with code 3");
    assert_eq!(ended("number")["error"], "exited with code 0 before it returned");
}
