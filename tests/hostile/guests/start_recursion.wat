;; Recurses forever before any task function is called: in the module's start function. Code that runs during instantiation has the
;; same stack and the same limit.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func $down (if (call $attack) (then (call $down) (i32.store8 (i32.const 0) (i32.const 1)))))
  (start $down)
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
