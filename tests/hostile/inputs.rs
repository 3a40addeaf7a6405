//! Guests that write to inputs, or read bytes that do not belong to them.

use super::kit::{DATA, Says, WITH_DATA, act, check, map_outputs};
use crate::cli::kit::{Place, objects};

/// All tasks of the guest `writes`.
const WRITES: &[&str] = &[
    "i32.store",
    "i64.store",
    "f32.store",
    "f64.store",
    "i32.store8",
    "i32.store16",
    "i64.store8",
    "i64.store16",
    "i64.store32",
    "v128.store",
    "v128.store8_lane",
    "v128.store16_lane",
    "v128.store32_lane",
    "v128.store64_lane",
    "i32.atomic.store",
    "i32.atomic.store8",
    "i32.atomic.store16",
    "i64.atomic.store",
    "i64.atomic.store8",
    "i64.atomic.store16",
    "i64.atomic.store32",
    "i32.atomic.rmw.add",
    "i32.atomic.rmw8.add_u",
    "i32.atomic.rmw16.add_u",
    "i64.atomic.rmw.add",
    "i64.atomic.rmw8.add_u",
    "i64.atomic.rmw16.add_u",
    "i64.atomic.rmw32.add_u",
    "i32.atomic.rmw.sub",
    "i32.atomic.rmw8.sub_u",
    "i32.atomic.rmw16.sub_u",
    "i64.atomic.rmw.sub",
    "i64.atomic.rmw8.sub_u",
    "i64.atomic.rmw16.sub_u",
    "i64.atomic.rmw32.sub_u",
    "i32.atomic.rmw.and",
    "i32.atomic.rmw8.and_u",
    "i32.atomic.rmw16.and_u",
    "i64.atomic.rmw.and",
    "i64.atomic.rmw8.and_u",
    "i64.atomic.rmw16.and_u",
    "i64.atomic.rmw32.and_u",
    "i32.atomic.rmw.or",
    "i32.atomic.rmw8.or_u",
    "i32.atomic.rmw16.or_u",
    "i64.atomic.rmw.or",
    "i64.atomic.rmw8.or_u",
    "i64.atomic.rmw16.or_u",
    "i64.atomic.rmw32.or_u",
    "i32.atomic.rmw.xor",
    "i32.atomic.rmw8.xor_u",
    "i32.atomic.rmw16.xor_u",
    "i64.atomic.rmw.xor",
    "i64.atomic.rmw8.xor_u",
    "i64.atomic.rmw16.xor_u",
    "i64.atomic.rmw32.xor_u",
    "i32.atomic.rmw.xchg",
    "i32.atomic.rmw8.xchg_u",
    "i32.atomic.rmw16.xchg_u",
    "i64.atomic.rmw.xchg",
    "i64.atomic.rmw8.xchg_u",
    "i64.atomic.rmw16.xchg_u",
    "i64.atomic.rmw32.xchg_u",
    "i32.atomic.rmw.cmpxchg",
    "i32.atomic.rmw8.cmpxchg_u",
    "i32.atomic.rmw16.cmpxchg_u",
    "i64.atomic.rmw.cmpxchg",
    "i64.atomic.rmw8.cmpxchg_u",
    "i64.atomic.rmw16.cmpxchg_u",
    "i64.atomic.rmw32.cmpxchg_u",
    "memory.fill",
    "memory.copy",
    "memory.copy from another memory",
    "memory.init",
    "arg_read",
    "args_get",
    "args_sizes_get",
    "environ_sizes_get",
    "clock_time_get",
    "clock_res_get",
    "random_get",
    "fd_fdstat_get",
    "fd_filestat_get",
    "fd_write, its count",
    "poll_oneoff, its events",
    "poll_oneoff, its count",
];

#[test]
fn nothing_writes_to_an_input() {
    const WROTE: Says = Says::Exactly("wrote to read-only input \"data\" at offset 0x40");
    let acts: Vec<_> = WRITES.iter().map(|name| act("writes", name, "input-fault", WROTE).with(WITH_DATA)).collect();
    check(&acts);
    // If the item is a file, it is also standard input.
    const WROTE_TO_FILE: Says = Says::Exactly("wrote to read-only input \"attack\" at offset 0x40");
    check(&[
        act("writes", "fd_read, its bytes", "input-fault", WROTE_TO_FILE).with(&["--files"]),
        act("writes", "fd_read, its count", "input-fault", WROTE_TO_FILE).with(&["--files"]),
    ]);
}

/// Writes with host calls, at and around the start of a window. The item gives the call, the input, how many bytes before the
/// window's byte 32 the write begins, and its length in bytes (`f 0 32 0064`, without the spaces; `arg_read` writes the item, and
/// `args_get` the module's name).
const STRADDLES: &str = r#"(module
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data $words "WORDS")
  (func $number (param $at i32) (param $end i32) (result i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 10))
        (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $sum))
  (func (export "wrun:task/t") (result i32) (local $call i32) (local $at i32) (local $len i32)
    (call $arg_read (i32.const 1000))
    (local.set $call (i32.load8_u (i32.const 1000)))
    (local.set $at (i32.sub
      (i32.add (call $input_map (call $number (i32.const 1001) (i32.const 1002)) (i64.const 0) (i32.const 4096)) (i32.const 32))
      (call $number (i32.const 1002) (i32.const 1004))))
    (local.set $len (call $number (i32.const 1004) (i32.const 1008)))
    (if (i32.eq (local.get $call) (i32.const 97)) (then (call $arg_read (local.get $at))))
    (if (i32.eq (local.get $call) (i32.const 102)) (then (memory.fill (local.get $at) (i32.const 0) (local.get $len))))
    (if (i32.eq (local.get $call) (i32.const 99)) (then (memory.copy (local.get $at) (i32.const 1000) (local.get $len))))
    ;; From 8 bytes before, so that the last bytes must be copied first.
    (if (i32.eq (local.get $call) (i32.const 98)) (then
      (memory.copy (local.get $at) (i32.sub (local.get $at) (i32.const 8)) (local.get $len))))
    (if (i32.eq (local.get $call) (i32.const 105)) (then
      (memory.init $words (local.get $at) (i32.const 0) (local.get $len))))
    (if (i32.eq (local.get $call) (i32.const 103)) (then (drop (call $args_get (i32.const 4000) (local.get $at)))))
    (i32.const 0)))"#;

/// Which byte of a range a C library's copy touches first depends on its version, the CPU and the length. What is reported must not.
#[test]
fn a_write_by_the_host_is_reported_by_its_first_byte_in_the_window() {
    const BEFORE: [usize; 8] = [0, 1, 7, 25, 31, 32, 33, 40];
    const LONG: [usize; 9] = [65, 100, 127, 128, 129, 255, 256, 1000, 2000];
    let place = Place::new();
    place.file("data", DATA.repeat(20_000));
    place.file("straddles.wat", STRADDLES.replace("WORDS", &DATA.repeat(200)));
    let mut cases = Vec::new();
    for (call, input) in "acfbig".chars().flat_map(|call| [(call, 0), (call, 1)]) {
        for len in (1..=64).chain(LONG) {
            // The item is eight bytes long, and the module's name with its terminating zero fourteen.
            if call == 'a' && len < 8 || call == 'g' && len != 14 {
                continue;
            }
            let reaches = |before: &&usize| **before < 32 + len;
            cases.extend(BEFORE.iter().filter(reaches).map(|before| {
                let item = format!("{call}{input}{before:02}{len:04}");
                let padding = if call == 'a' { "x".repeat(len - item.len()) } else { String::new() };
                let name = ["data", "part"][input];
                let offset = 32usize.saturating_sub(*before);
                (item + &padding, format!("wrote to read-only input \"{name}\" at offset {offset:#x}"))
            }));
        }
    }
    let start = ["map", "straddles.wat", "--json", "-j", "1", "--call", "t"];
    let items = cases.iter().map(|(item, _)| item.as_str());
    let args: Vec<&str> = start.iter().chain(WITH_DATA).copied().chain(items).collect();
    let ended = objects(&place.says(&args).stdout);
    assert_eq!(ended.len(), cases.len());
    let wrong = cases
        .iter()
        .zip(&ended)
        .filter(|((_, expected), task)| task["status"] != "input-fault" || task["error"].as_str() != Some(expected));
    let wrong: Vec<String> = wrong.map(|((item, expected), task)| format!("{item}: {expected}, not {task}")).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

const READS: &[&str] = &[
    "i32.load",
    "i64.load8_s",
    "f64.load",
    "v128.load",
    "v128.load8_lane",
    "v128.load32_zero",
    "i32.atomic.load",
    "i64.atomic.rmw.add",
    "memory.copy, a few bytes",
    "memory.copy, many bytes",
    "memory.copy to another memory",
    "output_write",
    "log",
    "fail",
    "input_find",
    "fd_write, its bytes",
    "fd_write, its list",
    "poll_oneoff, its list",
];

#[test]
fn nothing_is_read_through_the_address_of_a_window_that_was_given_back() {
    const GONE: Says = Says::Exactly("it used memory outside of its windows, or a window that it gave back");
    let acts: Vec<_> = READS.iter().map(|name| act("reads_given_back", name, "trap", GONE).with(WITH_DATA)).collect();
    check(&acts);
}

const OUTSIDE: &[&str] = &[
    "i32.load",
    "i32.load, beyond 4 GiB",
    "v128.load",
    "i64.atomic.load",
    "i32.store",
    "memory.copy",
    "memory.fill",
    "memory.init",
    "memory.init, of more than there is",
];

#[test]
fn nothing_is_read_or_written_outside_of_memory() {
    const OUT: Says = Says::Exactly("out of bounds memory access");
    let acts: Vec<_> = OUTSIDE.iter().map(|name| act("outside_memory", name, "trap", OUT).with(WITH_DATA)).collect();
    check(&acts);
}

#[test]
fn a_task_maps_its_own_ranges_alone() {
    let ranges = [
        ("no such input", "input_map(2, 0, 1): this task has 2 inputs, counted from 0"),
        ("the length of no such input", "input_len(4294967295): this task has 2 inputs, counted from 0"),
        ("a byte more", "input_map(1, 0, 5001): the input has 5000 bytes"),
        ("behind the end", "input_map(1, 5000, 1): the input has 5000 bytes"),
        ("empty, behind the end", "input_map(1, 5001, 0): the input has 5000 bytes"),
        ("the byte before", "input_map(1, 18446744073709551615, 1): the input has 5000 bytes"),
        ("all before", "input_map(1, 18446744073709546616, 5000): the input has 5000 bytes"),
        ("overflow", "input_map(1, 9223372036854775807, 4294967295): the input has 5000 bytes"),
    ];
    let act = |(name, message)| act("other_ranges", name, "trap", Says::Exactly(message)).with(WITH_DATA);
    check(&ranges.map(act));
}

#[test]
fn the_bytes_around_a_range_are_not_to_be_seen() {
    let found = map_outputs("neighbours", "t", WITH_DATA, &["x"]);
    assert_eq!(found, ["00000 04000 00000 00000 04000 00000 00000 04000 00000 "], "before, in and after");
}

#[test]
fn what_a_task_leaves_behind_is_not_to_be_found() {
    let options = [&["--max-output", "1M"], WITH_DATA].concat();
    let found = map_outputs("leftovers", "t", &options, &["look", "look", "look"]);
    assert_eq!(found, ["", "", ""]);
    // The control: the task that leaves something behind finds it itself.
    let code = Says::Exactly("the task function returned 1");
    check(&[act("leftovers", "t", "error", code)]);
}
