;; Sums the 64-bit words of its piece, which it maps as a whole.
(module
  (import "wrun_v1" "input_len" (func $len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "wrun:task/sum") (result i32)
    (local $at i32) (local $end i32) (local $sum i64)
    (local.set $at (call $map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0)))))
    (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $len (i32.const 0)))))
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i64.store (i32.const 0) (local.get $sum))
    (call $write (i32.const 0) (i32.const 8))
    (i32.const 0)))
