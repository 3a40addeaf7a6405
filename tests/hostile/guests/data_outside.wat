;; Has a data segment that lies outside its memory, which shows only when the module is instantiated. Nothing is written past the end.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 65535) "two bytes at the least")
  (func (export "wrun:task/t") (result i32) (i32.const 0)))
