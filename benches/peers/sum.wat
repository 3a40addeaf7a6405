;; Maps its whole piece and sums its little-endian f64 numbers: eight sums at a time in four vectors, like `src/sum.rs`
;; natively. A piece must be a multiple of 64 bytes. The result is the sum as eight bytes.
(module
  (import "wrun_v1" "input_len" (func $len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "wrun:task/sum") (result i32)
    (local $at i32) (local $end i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $at (call $map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0)))))
    (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $len (i32.const 0)))))
    (loop $next
      (local.set $a (f64x2.add (local.get $a) (v128.load (local.get $at))))
      (local.set $b (f64x2.add (local.get $b) (v128.load offset=16 (local.get $at))))
      (local.set $c (f64x2.add (local.get $c) (v128.load offset=32 (local.get $at))))
      (local.set $d (f64x2.add (local.get $d) (v128.load offset=48 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $a (f64x2.add (f64x2.add (local.get $a) (local.get $b)) (f64x2.add (local.get $c) (local.get $d))))
    (f64.store (i32.const 0) (f64.add (f64x2.extract_lane 0 (local.get $a)) (f64x2.extract_lane 1 (local.get $a))))
    (call $write (i32.const 0) (i32.const 8))
    (i32.const 0)))
