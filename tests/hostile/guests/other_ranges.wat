;; Asks for parts of files that are not its own: inputs that it does not have, and ranges that begin or end outside the input, including numbers that
;; overflow. A task sees only its own range of an input, which is checked in 64 bits.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  ;; Maps this range of the second input, which is part of a file; a control maps its first byte.
  (func $map (param $offset i64) (param $len i32) (result i32)
    (if (i32.eqz (call $attack)) (then (local.set $offset (i64.const 0)) (local.set $len (i32.const 1))))
    (drop (call $input_map (i32.const 1) (local.get $offset) (local.get $len)))
    (i32.const 0))
  (func (export "wrun:task/no such input") (result i32)
    (drop (call $input_map (i32.add (call $attack) (i32.const 1)) (i64.const 0) (i32.const 1)))
    (i32.const 0))
  (func (export "wrun:task/the length of no such input") (result i32)
    (drop (call $input_len (select (i32.const -1) (i32.const 1) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/a byte more") (result i32) (call $map (i64.const 0) (i32.const 5001)))
  (func (export "wrun:task/behind the end") (result i32) (call $map (i64.const 5000) (i32.const 1)))
  (func (export "wrun:task/empty, behind the end") (result i32) (call $map (i64.const 5001) (i32.const 0)))
  (func (export "wrun:task/the byte before") (result i32) (call $map (i64.const -1) (i32.const 1)))
  (func (export "wrun:task/all before") (result i32) (call $map (i64.const -5000) (i32.const 5000)))
  (func (export "wrun:task/overflow") (result i32) (call $map (i64.const 0x7fffffffffffffff) (i32.const -1))))
