;; Never ends: in a loop, in host calls, in tail calls, in one long instruction after another. Nothing that a guest does can keep the
;; pool from stopping its worker, so each of these ends at the time limit.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "task_index" (func $task_index (result i64)))
  (import "wrun_v1" "input_count" (func $input_count (result i32)))
  (memory (export "memory") 1024)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func (export "wrun:task/loop") (result i32)
    (loop (br_if 0 (call $attack)))
    (i32.const 0))
  (func (export "wrun:task/bare loop") (result i32)
    (if (call $attack) (then (loop (br 0))))
    (i32.const 0))
  (func (export "wrun:task/host calls") (result i32)
    (loop
      (drop (call $task_index))
      (drop (call $input_count))
      (br_if 0 (call $attack)))
    (i32.const 0))
  (func $even (result i32) (if (call $attack) (then (return_call $odd))) (i32.const 0))
  (func $odd (result i32) (return_call $even))
  (func (export "wrun:task/tail calls") (result i32) (return_call $even))
  (func (export "wrun:task/long instructions") (result i32)
    (loop
      (memory.fill (i32.const 65536) (i32.const 1) (i32.const 0x3f00000))
      (memory.copy (i32.const 65537) (i32.const 65536) (i32.const 0x3e00000))
      (br_if 0 (call $attack)))
    (i32.const 0)))
