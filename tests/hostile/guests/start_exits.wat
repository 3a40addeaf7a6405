;; Exits before its task is called, as if everything were done. A task that did not return has no result, whatever its code.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func $start (if (call $attack) (then (call $proc_exit (i32.const 0)))))
  (start $start)
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
