;; Begins with more memory than a task may have. It is not instantiated, and the task's failure names the limit.
(module
  (memory (export "memory") 4097)
  (func (export "wrun:task/t") (result i32)
    (i32.store8 (i32.const 0x10000fff) (i32.const 1))
    (i32.const 0)))
