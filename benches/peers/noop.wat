;; A task that does nothing, with the memory of a small Rust program: 17 pages, and some bytes to begin with.
;; Every row of tasks a second that runs WebAssembly runs this.
(module
  (memory (export "memory") 17)
  (data (i32.const 1024) "hello")
  (func (export "wrun:task/noop") (result i32) (i32.const 0))
  (func (export "_start")))
