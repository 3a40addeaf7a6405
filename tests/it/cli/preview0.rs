//! Programs of 2019, which import `wasi_unstable`.

use crate::cli::kit::{Place, ok};

/// Opens its item's file, and prints its length and its last three bytes; then it sleeps an hour, and prints how many seconds that took
/// and how many events there were.
const PROGRAM: &str = r#"(module
  (import "wasi_unstable" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_unstable" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_unstable" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get" (func $path_stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 700) "\n")
  (func $ok (param i32) (if (local.get 0) (then unreachable)))
  (func $print (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $len))
    (call $ok (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; A number of up to 4 digits.
  (func $number (param i32) (local $at i32)
    (local.set $at (i32.const 604))
    (loop $more
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10))))
      (br_if $more (local.tee 0 (i32.div_u (local.get 0) (i32.const 10)))))
    (call $print (local.get $at) (i32.sub (i32.const 604) (local.get $at)))
    (call $print (i32.const 700) (i32.const 1)))
  (func $len (param i32) (result i32) (local $at i32)
    (local.set $at (local.get 0))
    (loop $more
      (if (i32.load8_u (local.get $at)) (then
        (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $more))))
    (i32.sub (local.get $at) (local.get 0)))
  (func (export "_start") (local $path i32) (local $file i32)
    (call $ok (call $args (i32.const 200) (i32.const 1000)))
    (local.set $path (i32.load (i32.const 204)))
    ;; The byte behind the 56 of a state is the program's.
    (i32.store8 (i32.const 1056) (i32.const 7))
    (call $ok (call $path_stat (i32.const 3) (i32.const 0) (local.get $path) (call $len (local.get $path)) (i32.const 2000)))
    (call $number (i32.load (i32.const 2024)))
    (call $ok (call $open (i32.const 3) (i32.const 0) (local.get $path) (call $len (local.get $path)) (i32.const 0)
      (i64.const 0x200026) (i64.const 0) (i32.const 0) (i32.const 16)))
    (local.set $file (i32.load (i32.const 16)))
    (i64.store (i32.const 2056) (i64.const -1))
    (call $ok (call $stat (local.get $file) (i32.const 2000)))
    (call $number (i32.load (i32.const 2024)))
    (if (i64.ne (i64.load (i32.const 2056)) (i64.const -1)) (then unreachable))
    ;; From the end.
    (call $ok (call $seek (local.get $file) (i64.const -3) (i32.const 1) (i32.const 24)))
    (i32.store (i32.const 0) (i32.const 800)) (i32.store (i32.const 4) (i32.const 10))
    (call $ok (call $read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $print (i32.const 800) (i32.load (i32.const 8)))
    (call $print (i32.const 700) (i32.const 1))
    (call $ok (i32.ne (call $seek (local.get $file) (i64.const 0) (i32.const 3) (i32.const 24)) (i32.const 28)))
    ;; A clock's alarm and a file that is ready.
    (i64.store (i32.const 3000) (i64.const 5))
    (i32.store8 (i32.const 3008) (i32.const 0))
    (i32.store (i32.const 3024) (i32.const 1))
    (i64.store (i32.const 3032) (i64.const 3600000000000))
    (call $ok (call $time (i32.const 1) (i64.const 0) (i32.const 40)))
    (call $ok (call $poll (i32.const 3000) (i32.const 3200) (i32.const 1) (i32.const 48)))
    (call $ok (call $time (i32.const 1) (i64.const 0) (i32.const 56)))
    (call $number (i32.wrap_i64 (i64.div_u (i64.sub (i64.load (i32.const 56)) (i64.load (i32.const 40))) (i64.const 1000000000))))
    (call $number (i32.load (i32.const 3200)))
    (i64.store (i32.const 3056) (i64.const 6))
    (i32.store8 (i32.const 3064) (i32.const 1))
    (i32.store (i32.const 3072) (local.get $file))
    (call $ok (call $poll (i32.const 3000) (i32.const 3200) (i32.const 2) (i32.const 48)))
    (call $number (i32.load (i32.const 48)))
    (call $number (i32.load (i32.const 3200)))))"#;

#[test]
fn a_program_of_the_version_before_preview_1_runs() {
    let place = Place::new();
    place.file("old.wat", PROGRAM);
    place.file("a.txt", "hello world");
    assert_eq!(place.says(&["map", "--files", "old.wat", "a.txt"]), ok("11\n11\nrld\n3600\n5\n1\n6\n"));
    let said = place.says(&["inspect", "old.wat"]);
    assert!(
        said.stdout.contains("  wasi_unstable: args_sizes_get, ") && !said.stdout.contains("NOT"),
        "{}",
        said.stdout
    );
}
