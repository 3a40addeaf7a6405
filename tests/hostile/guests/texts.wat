;; Puts terminal control characters into its texts: escape sequences, including those of one character; bytes that are not UTF-8; zeros; marks that change the
;; direction of text; lines that look like wrun's own. When untrusted text is shown, all of these appear as visible numbers, and its lines are indented.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "fail" (func $fail (param i32 i32)))
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; 65 bytes.
  (data (i32.const 1000) "\1b[2J\1b]0;owned\07\9b2J\ff\00\e2\80\aetxt.exe\e2\81\a9\c2\9b2J\7f\e2\80\a8\r\nwrun: all tasks ok\n\08\0b\0c\85")
  ;; The list of buffers that holds this text.
  (data (i32.const 64) "\e8\03\00\00\41\00\00\00")
  (func $say (param $fd i32) (drop (call $fd_write (local.get $fd) (i32.const 64) (i32.const 1) (i32.const 128))))
  (func (export "wrun:task/fail") (result i32) (call $fail (i32.const 1000) (i32.const 65)) (i32.const 1))
  (func (export "wrun:task/panic") (result i32) (call $fail (i32.const 1000) (i32.const 65)) (unreachable))
  (func (export "wrun:task/log") (result i32) (call $log (i32.const 1) (i32.const 1000) (i32.const 65)) (i32.const 1))
  (func (export "wrun:task/standard error") (result i32) (call $say (i32.const 2)) (i32.const 1))
  (func (export "wrun:task/standard output") (result i32) (call $say (i32.const 1)) (i32.const 1)))
