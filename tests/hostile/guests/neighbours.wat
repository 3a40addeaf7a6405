;; Looks for the bytes around its range: in the pages before and after the part of the file that it may see, and in the same pages. Only whole
;; pages of the range are mapped; the rest of the window holds zeros, so nothing is found.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (memory (export "memory") 1)
  ;; Appends the number of bytes from `at` to `end` that are not 0, as five digits and a space.
  (func $say (param $at i32) (param $end i32) (local $n i32) (local $digit i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $n (i32.add (local.get $n) (i32.ne (i32.load8_u (local.get $at)) (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (local.set $digit (i32.const 4))
    (loop $next
      (i32.store8 offset=1024 (local.get $digit) (i32.add (i32.rem_u (local.get $n) (i32.const 10)) (i32.const 48)))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $next (i32.ge_s (local.tee $digit (i32.sub (local.get $digit) (i32.const 1))) (i32.const 0))))
    (i32.store8 (i32.const 1029) (i32.const 32))
    (call $output_write (i32.const 1024) (i32.const 6)))
  ;; Maps 4000 bytes of the second input from `offset` on, and counts before, in, and after them.
  (func $around (param $offset i64) (local $at i32)
    (local.set $at (call $input_map (i32.const 1) (local.get $offset) (i32.const 4000)))
    (call $say (i32.and (local.get $at) (i32.const -65536)) (local.get $at))
    (call $say (local.get $at) (i32.add (local.get $at) (i32.const 4000)))
    (call $say (i32.add (local.get $at) (i32.const 4000)) (i32.shl (memory.size) (i32.const 16))))
  (func (export "wrun:task/t") (result i32)
    (call $around (i64.const 0))
    (call $around (i64.const 500))
    (call $around (i64.const 1000))
    (i32.const 0)))
