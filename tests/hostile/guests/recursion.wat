;; Recurses forever: directly, through another function, through a table, and with frames of many kilobytes. A guest's stack has its
;; own limit, lower than the thread's, so the guest overflows its stack and the worker does not.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (type $step (func (param i32) (result i32)))
  (table funcref (elem $indirect))
  ;; How deep a task recurses: a control does so only a little.
  (func $depth (result i32) (select (i32.const -1) (i32.const 20) (call $attack)))
  (func $direct (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $direct (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func $ping (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $pong (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func $pong (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $ping (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func $indirect (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call_indirect (type $step) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)) (i32.const 1)))
      (else (i32.const 0))))
  ;; Ends when the depth has been returned, as the task's code.
  (func $same (param i32) (result i32) (i32.ne (local.get 0) (call $depth)))
  (func (export "wrun:task/direct") (result i32) (call $same (call $direct (call $depth))))
  (func (export "wrun:task/mutual") (result i32) (call $same (call $ping (call $depth))))
  (func (export "wrun:task/by table") (result i32) (call $same (call $indirect (call $depth)))))
