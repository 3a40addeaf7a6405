;; Exits with a code in its initialization function. The task fails with that code.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func (export "_initialize") (if (call $attack) (then (call $proc_exit (i32.const 3)))))
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
