;; Waits for another thread to wake it, which would take forever. There is no other thread and no memory shared between threads, so the instruction
;; traps; waking others is allowed, and wakes nobody.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func (export "wrun:task/wait") (result i32)
    (if (call $attack) (then (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1)))))
    (memory.atomic.notify (i32.const 64) (i32.const 100))))
