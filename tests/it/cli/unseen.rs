//! What tasks cannot see is refused instead of ignored: inputs of a module that reads none.

use crate::cli::kit::{Place, hello, ok, said};

/// A task whose result is its argument.
const READS_ITS_ARGUMENT: &str = r#"(module
    (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
    (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
    (import "wrun_v1" "output_write" (func $write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "wrun:task/t") (result i32)
        (call $arg_read (i32.const 0)) (call $write (i32.const 0) (call $arg_len)) (i32.const 0)))"#;

/// A WASI program that imports this function and does nothing.
fn program(import: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" {import}) (memory (export "memory") 1) (func (export "_start")))"#
    )
}

const FD_READ: &str = r#""fd_read" (func (param i32 i32 i32 i32) (result i32))"#;
const PATH_OPEN: &str = r#""path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))"#;
const FD_WRITE: &str = r#""fd_write" (func (param i32 i32 i32 i32) (result i32))"#;

#[test]
fn files_for_a_module_that_reads_none_are_refused() {
    let place = Place::new();
    place.file("a.txt", "hello\n");
    place.file("m.wat", READS_ITS_ARGUMENT);
    place.file("writes.wat", program(FD_WRITE));
    for module in ["m.wat", "writes.wat", "sqrt.wat"] {
        let why = "reads no inputs (it imports no wrun_v1::input_* and neither path_open nor fd_read of WASI)";
        let advice = "leave --files, --split or --file out if tasks need only the names of files";
        let refused = said(2, "", &format!("wrun: module {module} {why}; {advice}\n"));
        for words in [
            &["map", module, "--files", "a.txt"][..],
            &["map", module, "--split", "2", "a.txt"],
            &["map", module, "--split-into", "2", "a.txt"],
            &["map", module, "--dry-run", "--files", "a.txt"],
            &["run", module, "--file", "a.txt"],
        ] {
            assert_eq!(place.says(words), refused, "{words:?}");
        }
        assert_eq!(place.says_to(&["map", module, "--files"], "a.txt\n"), refused, "names on standard input");
    }
    // A program that can read its standard input, or open files, gets them.
    for import in [FD_READ, PATH_OPEN] {
        place.file("reads.wat", program(import));
        assert_eq!(place.says(&["map", "reads.wat", "--files", "a.txt"]), ok(""));
        assert_eq!(place.says(&["run", "reads.wat", "--file", "a.txt"]), ok(""));
    }
    assert_eq!(place.map("cat", &["--files", "a.txt"]), ok("hello\n"));
}

#[test]
fn inputs_that_tasks_share_are_refused_if_none_can_read_them() {
    let place = Place::new();
    place.file("a.txt", "hello\n");
    place.file("m.wat", READS_ITS_ARGUMENT);
    place.file("stdin.wat", program(FD_READ));
    for module in ["m.wat", "stdin.wat"] {
        let why = "reads no inputs that tasks share (it imports no wrun_v1::input_* and no path_open of WASI)";
        let refused = said(2, "", &format!("wrun: module {module} {why}; leave --input out\n"));
        for command in ["map", "run"] {
            assert_eq!(place.says(&[command, module, "--input", "data=a.txt", "1"]), refused, "{command}");
        }
    }
    place.file("opens.wat", program(PATH_OPEN));
    assert_eq!(place.says(&["map", "opens.wat", "--input", "data=a.txt", "1"]), ok(""));
    assert_eq!(place.says(&["run", "opens.wat", "--input", "data=a.txt"]), ok(""));
    assert_eq!(place.map("cat", &["--input", "data=a.txt", "1"]), ok("hello\n"));
}

#[test]
fn names_of_files_are_items_like_any_other() {
    let place = Place::new();
    place.file("m.wat", READS_ITS_ARGUMENT);
    assert_eq!(place.says(&["map", "m.wat", "a.txt", "none.txt"]), ok("a.txt\nnone.txt\n"));
    assert_eq!(place.says(&["map", &hello(), "a.txt"]), ok("hello, a.txt\n"));
}

#[test]
fn a_task_that_cannot_read_results_cannot_merge() {
    let place = Place::new();
    place.file(
        "m.wat",
        r#"(module (func (export "wrun:task/a") (result i32) (i32.const 0))
            (func (export "wrun:task/merge") (result i32) (i32.const 0)))"#,
    );
    let why = r#""merge" cannot merge: results are its inputs, and module m.wat imports no wrun_v1::input_*"#;
    let refused = said(2, "", &format!("wrun: {why}\n"));
    assert_eq!(place.says(&["map", "m.wat", "--reduce", "merge", "1"]), refused);
}
