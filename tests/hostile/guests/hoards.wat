;; Fills its scratch directory, which is descriptor 4 once it is open: with files, with links to one file, with directories in each other, or with pages of one file.
;; It says how often that worked, and the error number at the end. What it keeps is counted, so the worker's memory does not grow beyond the limit.
(module
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link" (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "tmp")
  (data (i32.const 16) "aaaa")
  (data (i32.const 32) "first")
  (data (i32.const 48) "\00\10\00\00\01\00\00\00") ;; a list of one buffer: a byte at 4096
  ;; Opens a path below a descriptor, and makes it if it is missing and `flags` say so. The new descriptor is stored at 64.
  (func $open (param $fd i32) (param $path i32) (param $len i32) (param $flags i32) (result i32)
    (call $path_open (local.get $fd) (i32.const 0) (local.get $path) (local.get $len) (local.get $flags)
      (select (i64.const 0x42) (i64.const 2) (i32.and (local.get $flags) (i32.const 1))) (i64.const 0)
      (i32.const 0) (i32.const 64)))
  (func $scratch (if (call $open (i32.const 3) (i32.const 0) (i32.const 3) (i32.const 2)) (then (unreachable))))
  ;; The next name of four letters.
  (func $next (local $at i32)
    (local.set $at (i32.const 19))
    (loop $carry
      (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
      (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 122))
        (then
          (i32.store8 (local.get $at) (i32.const 97))
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (br_if $carry (i32.ge_u (local.get $at) (i32.const 16)))))))
  (func $digits (param $number i32) (local $at i32)
    (local.set $at (i32.const 1100))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.rem_u (local.get $number) (i32.const 10)) (i32.const 48)))
      (br_if $digit (local.tee $number (i32.div_u (local.get $number) (i32.const 10)))))
    (call $output_write (local.get $at) (i32.sub (i32.const 1100) (local.get $at))))
  (func $say (param $count i32) (param $errno i32)
    (call $digits (local.get $count))
    (i32.store8 (i32.const 1000) (i32.const 32))
    (call $output_write (i32.const 1000) (i32.const 1))
    (call $digits (local.get $errno)))
  (func (export "wrun:task/files") (result i32) (local $count i32) (local $errno i32)
    (call $scratch)
    (block $end
      (loop $again
        (br_if $end (local.tee $errno (call $open (i32.const 4) (i32.const 16) (i32.const 4) (i32.const 5))))
        (drop (call $fd_close (i32.load (i32.const 64))))
        (call $next)
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $again)))
    (call $say (local.get $count) (local.get $errno))
    (i32.const 0))
  (func (export "wrun:task/links") (result i32) (local $count i32) (local $errno i32)
    (call $scratch)
    (if (call $open (i32.const 4) (i32.const 32) (i32.const 5) (i32.const 5)) (then (unreachable)))
    (block $end
      (loop $again
        (br_if $end (local.tee $errno
          (call $path_link (i32.const 4) (i32.const 0) (i32.const 32) (i32.const 5) (i32.const 4) (i32.const 16) (i32.const 4))))
        (call $next)
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $again)))
    (call $say (local.get $count) (local.get $errno))
    (i32.const 0))
  ;; Each directory is opened before the one around it is closed, so descriptors alternate.
  (func (export "wrun:task/nested") (result i32) (local $count i32) (local $errno i32) (local $outer i32)
    (call $scratch)
    (local.set $outer (i32.const 4))
    (block $end
      (loop $again
        (br_if $end (local.tee $errno (call $path_create_directory (local.get $outer) (i32.const 16) (i32.const 4))))
        (if (call $open (local.get $outer) (i32.const 16) (i32.const 4) (i32.const 2)) (then (unreachable)))
        (drop (call $fd_close (local.get $outer)))
        (local.set $outer (i32.load (i32.const 64)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $again)))
    (call $say (local.get $count) (local.get $errno))
    (i32.const 0))
  ;; A byte in each page, far apart.
  (func (export "wrun:task/grows") (result i32) (local $count i32) (local $errno i32)
    (call $scratch)
    (if (call $open (i32.const 4) (i32.const 32) (i32.const 5) (i32.const 5)) (then (unreachable)))
    (block $end
      (loop $again
        (br_if $end (local.tee $errno
          (call $fd_pwrite (i32.const 5) (i32.const 48) (i32.const 1) (i64.mul (i64.extend_i32_u (local.get $count)) (i64.const 0x10000000))
            (i32.const 80))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $again)))
    (call $say (local.get $count) (local.get $errno))
    (i32.const 0)))
