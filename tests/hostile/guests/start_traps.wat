;; Traps before its task is called, in the start function. That is the task's own failure.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func $start (if (call $attack) (then (unreachable))))
  (start $start)
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
