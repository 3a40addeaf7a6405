;; Opens the path given as its argument, relative to the first directory that it has, and prints the contents; its exit code is the error number of the call
;; that failed. Without a grant that directory is the root of its own files, where nothing of the host is, whatever the path.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func $must (param $errno i32) (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func (export "_start") (local $path i32) (local $end i32)
    ;; Counts at 0 and 4, addresses of the arguments at 16, the arguments themselves at 1024: the program's name and the path.
    (call $must (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (call $must (call $args_get (i32.const 16) (i32.const 1024)))
    (local.set $path (i32.load (i32.const 20)))
    (local.set $end (i32.sub (i32.add (i32.const 1024) (i32.load (i32.const 4))) (i32.const 1)))
    ;; For reading (fd_read is right 1), following symbolic links.
    (call $must (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (i32.sub (local.get $end) (local.get $path))
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
    (i32.store (i32.const 32) (i32.const 65536))
    (i32.store (i32.const 36) (i32.const 65536))
    (call $must (call $fd_read (i32.load (i32.const 8)) (i32.const 32) (i32.const 1) (i32.const 36)))
    (call $must (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))))
