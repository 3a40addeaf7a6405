;; A task that does nothing, with the memory of a small Rust program: 17 pages and some initial bytes.
;; All rows in tasks per second that run WebAssembly run this module.
(module
  (memory (export "memory") 17)
  (data (i32.const 1024) "hello")
  (func (export "wrun:task/noop") (result i32) (i32.const 0))
  (func (export "_start")))
