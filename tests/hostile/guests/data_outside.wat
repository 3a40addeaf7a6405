;; Has a data segment whose place lies outside of its memory, which only shows when the instance is made. Nothing is written beyond the end.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 65535) "two bytes at the least")
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
