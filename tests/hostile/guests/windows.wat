;; Maps an input in more windows than a task may have, and maps more bytes than there are addresses. Each window costs the worker table
;; entries, so their number is limited; addresses end at 4 GiB.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func (export "wrun:task/many") (result i32) (local $n i32)
    (loop $next
      (drop (call $input_map (i32.const 0) (i64.extend_i32_u (local.get $n)) (i32.const 1)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (select (i32.const 4097) (i32.const 4096) (call $attack)))))
    (i32.const 0))
  (func (export "wrun:task/all addresses") (result i32) (local $n i32)
    (drop (memory.grow (select (i32.const 65533) (i32.const 100) (call $attack))))
    (drop (call $input_map (i32.const 0) (i64.const 0) (i32.const 200000)))
    (i32.const 0)))
