;; Looks for ways out of its own files: with paths that are too long, lead up, or have a zero byte, and with links that lead up, to an absolute path, or to themselves.
;; It reports the error number of each call. The last one is allowed.
(module
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "tmp")
  (data (i32.const 32) "loop")
  (data (i32.const 48) "../../etc/passwd") ;; 16 bytes
  (data (i32.const 80) "out")
  (data (i32.const 96) "/etc/passwd") ;; 11 bytes
  (data (i32.const 112) "../in")
  (data (i32.const 128) "a\00b")
  (data (i32.const 144) "tmp/../dev/null") ;; 15 bytes
  (func $say (param $errno i32)
    (i32.store8 (i32.const 0) (i32.add (i32.div_u (local.get $errno) (i32.const 10)) (i32.const 48)))
    (i32.store8 (i32.const 1) (i32.add (i32.rem_u (local.get $errno) (i32.const 10)) (i32.const 48)))
    (i32.store8 (i32.const 2) (i32.const 32))
    (call $output_write (i32.const 0) (i32.const 3)))
  ;; Opens a path to read it, following links.
  (func $open (param $fd i32) (param $path i32) (param $len i32) (result i32)
    (call $path_open (local.get $fd) (i32.const 1) (local.get $path) (local.get $len) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 8)))
  (func (export "wrun:task/t") (result i32) (local $at i32)
    (call $say (call $open (i32.const 3) (i32.const 16) (i32.const 3)))
    ;; A path of 4096 bytes, "./././...", and a name of 256.
    (loop $next
      (i32.store16 (i32.add (i32.const 8192) (local.get $at)) (i32.const 0x2f2e))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (i32.const 4096))))
    (call $say (call $open (i32.const 3) (i32.const 8192) (i32.const 4096)))
    (memory.fill (i32.const 8192) (i32.const 110) (i32.const 256))
    (call $say (call $open (i32.const 4) (i32.const 8192) (i32.const 256)))
    (call $say (call $path_symlink (i32.const 32) (i32.const 4) (i32.const 4) (i32.const 32) (i32.const 4)))
    (call $say (call $open (i32.const 4) (i32.const 32) (i32.const 4)))
    (call $say (call $path_symlink (i32.const 48) (i32.const 16) (i32.const 4) (i32.const 80) (i32.const 3)))
    (call $say (call $open (i32.const 4) (i32.const 80) (i32.const 3)))
    (call $say (call $path_symlink (i32.const 96) (i32.const 11) (i32.const 4) (i32.const 128) (i32.const 1)))
    (call $say (call $open (i32.const 4) (i32.const 112) (i32.const 5)))
    (call $say (call $open (i32.const 4) (i32.const 128) (i32.const 3)))
    (call $say (call $open (i32.const 3) (i32.const 144) (i32.const 15)))
    (i32.const 0)))
