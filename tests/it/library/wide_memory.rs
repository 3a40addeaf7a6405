//! Modules whose memory has 64-bit addresses: the contract's addresses and lengths in memory are then 64 bits wide.

use wrun::{Job, OutputFile, Task};

use crate::support::{bytes, each, failed, file, input, module, pattern};

/// Maps, reads and writes with 64-bit addresses.
fn wide() -> wrun::Module {
    module(
        r#"(module
        (import "wrun_v1" "arg_len" (func $arg_len (result i64)))
        (import "wrun_v1" "arg_read" (func $arg_read (param i64)))
        (import "wrun_v1" "input_find" (func $input_find (param i64 i64) (result i32)))
        (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
        (import "wrun_v1" "input_read" (func $input_read (param i32 i64 i64 i64)))
        (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i64) (result i64)))
        (import "wrun_v1" "input_map_at" (func $input_map_at (param i32 i64 i64 i64) (result i64)))
        (import "wrun_v1" "input_unmap" (func $input_unmap (param i64)))
        (import "wrun_v1" "output_write" (func $output_write (param i64 i64)))
        (import "wrun_v1" "output_map" (func $output_map (param i64) (result i64)))
        (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i64) (result i64)))
        (import "wrun_v1" "region_map_at" (func $region_map_at (param i32 i64 i64 i64) (result i64)))
        (import "wrun_v1" "fail" (func $fail (param i64 i64)))
        (memory (export "memory") i64 8)
        (data (i64.const 0) "data")
        ;; The argument, and the input four times: read, mapped into new pages twice, mapped over own ones.
        (func (export "wrun:task/all") (result i32) (local $input i32) (local $len i64) (local $at i64)
            (call $arg_read (i64.const 100))
            (call $output_write (i64.const 100) (call $arg_len))
            (local.set $input (call $input_find (i64.const 0) (i64.const 4)))
            (local.set $len (call $input_len (local.get $input)))
            (call $input_read (local.get $input) (i64.const 0) (local.get $len) (i64.const 1000))
            (call $output_write (i64.const 1000) (local.get $len))
            (local.set $at (call $input_map (local.get $input) (i64.const 0) (local.get $len)))
            (call $output_write (local.get $at) (local.get $len))
            (call $input_unmap (local.get $at))
            (call $output_write (call $input_map (local.get $input) (i64.const 0) (local.get $len)) (local.get $len))
            (local.set $at (call $input_map_at (local.get $input) (i64.const 0) (local.get $len) (i64.const 0x20000)))
            (call $output_write (local.get $at) (local.get $len))
            (i32.const 0))
        (func (export "wrun:task/result") (result i32)
            (memory.fill (call $output_map (i64.const 100000)) (i32.const 7) (i64.const 100000))
            (i32.const 0))
        (func (export "wrun:task/slice") (result i32)
            (i64.store (call $region_map (i32.const 0) (i64.const 8) (i64.const 8)) (i64.const -1))
            (i32.store8 (call $region_map_at (i32.const 0) (i64.const 0) (i64.const 1) (i64.const 0x10000)) (i32.const 1))
            (i32.const 0))
        (func (export "wrun:task/fails") (result i32) (call $fail (i64.const 0) (i64.const 4)) (i32.const 1)))"#,
    )
}

#[test]
fn the_whole_contract_works_with_64_bit_addresses() {
    let module = wide();
    let content = pattern(100_001);
    let data = file(&content);
    for job in [Job::new(&module), Job::new(&module).reuse()] {
        let all = job.clone().call("all").input("data", input(&data));
        for outcome in each(&all, ["one", "another"]) {
            let (item, inputs) = bytes(&outcome).split_at(bytes(&outcome).len() - 4 * content.len());
            assert_eq!(item, [&b"one"[..], b"another"][outcome.index as usize]);
            inputs.chunks(content.len()).for_each(|input| assert!(input == content));
        }
        assert!(bytes(&each(&job.clone().call("result"), [""])[0]) == [7; 100_000]);
        assert_eq!(failed(&each(&job.call("fails"), [""])[0]).1, "data");
    }
    let out = file(b"");
    let job = Job::new(&module).call("slice").out(OutputFile::create(out.path(), 16).expect("a file"));
    each(&job, [Task::new(""), Task::new("")]).iter().for_each(|outcome| assert!(outcome.result.is_ok()));
    let slice = [[1, 0, 0, 0, 0, 0, 0, 0], [255; 8]].concat();
    assert_eq!(std::fs::read(out.path()).expect("the file"), slice.repeat(2));
}
