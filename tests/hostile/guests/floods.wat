;; Writes too much: results, logs, standard output and error, a message of a hundred megabytes, a result of 4 GiB. Each has a limit; a
;; result that exceeds it fails the task, and everything else is truncated.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (import "wrun_v1" "output_map" (func $output_map (param i32) (result i32)))
  (import "wrun_v1" "fail" (func $fail (param i32 i32)))
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  ;; A megabyte of text after the first page.
  (func $megabyte (result i32) (local $at i32)
    (local.set $at (i32.shl (memory.grow (i32.const 16)) (i32.const 16)))
    (memory.fill (local.get $at) (i32.const 120) (i32.const 0x100000))
    (local.get $at))
  ;; Writes this many bytes from that address to a stream.
  (func $write (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 64) (local.get $at))
    (i32.store (i32.const 68) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 64) (i32.const 1) (i32.const 72))))
  (func (export "wrun:task/output_write") (result i32) (local $at i32)
    (local.set $at (call $megabyte))
    (loop
      (call $output_write (local.get $at) (i32.const 1000000))
      (br_if 0 (call $attack)))
    (i32.const 0))
  (func (export "wrun:task/output_write, a byte at a time") (result i32) (local $n i32)
    (loop
      (call $output_write (i32.const 16) (i32.const 1))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if 0 (i32.or (call $attack) (i32.lt_u (local.get $n) (i32.const 1000)))))
    (i32.const 0))
  (func (export "wrun:task/output_map") (result i32)
    (drop (call $output_map (select (i32.const -1) (i32.const 1048576) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/standard output") (result i32) (local $at i32)
    (local.set $at (call $megabyte))
    (loop
      (call $write (i32.const 1) (local.get $at) (i32.const 65536))
      (br_if 0 (call $attack)))
    (i32.const 0))
  ;; These succeed, whatever they write.
  (func (export "wrun:task/log") (result i32) (local $at i32) (local $n i32)
    (local.set $at (call $megabyte))
    (loop
      (call $log (i32.const 1) (local.get $at) (i32.const 0x100000))
      (call $log (i32.const 3) (local.get $at) (i32.const 10))
      (call $log (i32.const 3) (local.get $at) (i32.const 0))
      (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000))))
    (i32.const 0))
  (func (export "wrun:task/standard error") (result i32) (local $at i32) (local $n i32)
    (local.set $at (call $megabyte))
    (loop
      (call $write (i32.const 2) (local.get $at) (i32.const 0x100000))
      (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
    (i32.const 0))
  (func (export "wrun:task/fail") (result i32) (local $at i32)
    (local.set $at (i32.shl (memory.grow (i32.const 1600)) (i32.const 16)))
    (memory.fill (local.get $at) (i32.const 120) (i32.const 0x6000000))
    (call $fail (local.get $at) (i32.const 0x6000000))
    (i32.const 1)))
