;; Traps in the initialization function of a WASI reactor, after its start function and before its task.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func (export "_initialize") (if (call $attack) (then (unreachable))))
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
