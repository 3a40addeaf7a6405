;; Sleeps for hours, for longer than the time limit, and until a moment in the far future. The time limit counts from the start of the
;; task and is enforced from outside, so a guest that waits is stopped like one that works.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  ;; Sleeps on one clock (0 is the wall clock, 1 the monotonic one) for this many nanoseconds (or, if the flag is set, until that time).
  (func $sleep (param $clock i32) (param $time i64) (param $until i32) (result i32)
    (if (i32.eqz (call $attack)) (then (local.set $time (i64.const 1000))))
    (i32.store (i32.const 1016) (local.get $clock))
    (i64.store (i32.const 1024) (local.get $time))
    (i32.store16 (i32.const 1040) (local.get $until))
    (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000)))
  (func (export "wrun:task/hours") (result i32) (call $sleep (i32.const 1) (i64.const 36000000000000) (i32.const 0)))
  (func (export "wrun:task/ever") (result i32) (call $sleep (i32.const 1) (i64.const -1) (i32.const 0)))
  (func (export "wrun:task/until far") (result i32) (call $sleep (i32.const 1) (i64.const 0x7fffffffffffffff) (i32.const 1)))
  (func (export "wrun:task/wall clock") (result i32) (call $sleep (i32.const 0) (i64.const 36000000000000) (i32.const 0))))
