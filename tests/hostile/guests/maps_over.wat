;; Maps inputs and regions over memory of its own where that must fail: over places that are not whole pages of its own, over the module's
;; data, over windows; and writes to such windows. Each of these is a trap that names the call, or a fault that names the input. The
;; memory is zeroed memory again for the next task, however this one ends.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_read" (func $read (param i32 i64 i32 i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "input_map_at" (func $map_at (param i32 i64 i32 i32) (result i32)))
  (import "wrun_v1" "input_unmap" (func $unmap (param i32)))
  (import "wrun_v1" "output_map" (func $output_map (param i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (import "wrun_v1" "region_count" (func $region_count (result i32)))
  (import "wrun_v1" "region_map_at" (func $region_map_at (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
  ;; Pages 0 and 1 are the task's, the others for windows.
  (memory (export "memory") 12)
  (data $words "WORDS")
  (data (i32.const 65540) "DATA")
  ;; Whether this task is the attack; the control does the same in an allowed way.
  (func $attack (result i32)
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))
  (func $page (param i32) (result i32) (i32.shl (local.get 0) (i32.const 16)))
  ;; Maps the whole input, which covers four pages, from this page on.
  (func $map_over (param $page i32) (result i32)
    (call $map_at (i32.const 0) (i64.const 0) (i32.const 200000) (call $page (local.get $page))))

  (func (export "wrun:task/inside a page") (result i32)
    (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 1000) (select (i32.const 0x21000) (i32.const 0x20000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/no address") (result i32)
    (drop (call $map_over (select (i32.const 0) (i32.const 2) (call $attack)))) (i32.const 0))
  (func (export "wrun:task/beyond the end") (result i32)
    (drop (call $map_over (select (i32.const 9) (i32.const 8) (call $attack)))) (i32.const 0))
  (func (export "wrun:task/beyond all addresses") (result i32)
    (drop (call $map_over (select (i32.const 65535) (i32.const 8) (call $attack)))) (i32.const 0))
  ;; The offset in the file is not a multiple of 4096, so the last byte lies a page further.
  (func (export "wrun:task/a skewed end") (result i32)
    (drop (call $map_at (i32.const 0) (i64.const 1) (select (i32.const 65536) (i32.const 65535) (call $attack)) (call $page (i32.const 11))))
    (i32.const 0))
  (func (export "wrun:task/behind the input") (result i32)
    (drop (call $map_at (i32.const 0) (i64.const 1) (select (i32.const 200000) (i32.const 199999) (call $attack)) (call $page (i32.const 2))))
    (i32.const 0))
  (func (export "wrun:task/the data") (result i32)
    (drop (call $map_over (select (i32.const 1) (i32.const 2) (call $attack)))) (i32.const 0))
  (func (export "wrun:task/one place twice") (result i32)
    (drop (call $map_over (i32.const 2)))
    (drop (call $map_over (select (i32.const 2) (i32.const 6) (call $attack)))) (i32.const 0))
  (func (export "wrun:task/overlapping windows") (result i32)
    (drop (call $map_over (i32.const 5)))
    (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 65537) (select (i32.const 0x40000) (i32.const 0x30000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/a region over a window") (result i32)
    (drop (call $map_over (i32.const 5)))
    (drop (call $region_map_at (i32.const 0) (i64.const 0) (i32.const 1) (select (i32.const 0x50000) (i32.const 0x40000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/a window of new pages") (result i32) (local $at i32)
    (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i32.const 200000)))
    (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 1) (select (local.get $at) (i32.const 0x20000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/pages that were given back") (result i32) (local $at i32)
    (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i32.const 200000)))
    (call $unmap (local.get $at))
    (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 1) (select (local.get $at) (i32.const 0x20000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/the result") (result i32) (local $at i32)
    (local.set $at (call $output_map (i32.const 5)))
    (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 1) (select (local.get $at) (i32.const 0x20000) (call $attack))))
    (i32.const 0))
  (func (export "wrun:task/too many") (result i32) (local $n i32)
    (drop (memory.grow (i32.const 4100)))
    (loop $next
      (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 1) (call $page (i32.add (local.get $n) (i32.const 2)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (select (i32.const 4097) (i32.const 4096) (call $attack)))))
    (i32.const 0))
  (func (export "wrun:task/unmap inside") (result i32)
    (call $unmap (i32.add (call $map_over (i32.const 2)) (i32.mul (call $attack) (i32.const 65536)))) (i32.const 0))
  (func (export "wrun:task/unmap twice") (result i32) (local $at i32)
    (local.set $at (call $map_over (i32.const 2)))
    (call $unmap (local.get $at))
    (if (call $attack) (then (call $unmap (local.get $at)))) (i32.const 0))

  ;; Where to write: 64 bytes into a window over page 2, or into page 8.
  (func $at (result i32)
    (drop (call $map_over (i32.const 2)))
    (i32.add (call $page (select (i32.const 2) (i32.const 8) (call $attack))) (i32.const 64)))
  (func (export "wrun:task/i32.store") (result i32) (i32.store (call $at) (i32.const 1)) (i32.const 0))
  (func (export "wrun:task/i64.atomic.rmw.add") (result i32) (drop (i64.atomic.rmw.add (call $at) (i64.const 0))) (i32.const 0))
  (func (export "wrun:task/memory.fill") (result i32) (memory.fill (call $at) (i32.const 1) (i32.const 100000)) (i32.const 0))
  (func (export "wrun:task/memory.copy") (result i32) (memory.copy (call $at) (i32.const 0) (i32.const 5000)) (i32.const 0))
  (func (export "wrun:task/memory.init") (result i32) (memory.init $words (call $at) (i32.const 0) (i32.const 5)) (i32.const 0))
  (func (export "wrun:task/arg_read") (result i32) (call $arg_read (call $at)) (i32.const 0))
  (func (export "wrun:task/input_read") (result i32) (call $read (i32.const 0) (i64.const 5) (i32.const 150000) (call $at)) (i32.const 0))
  (func (export "wrun:task/args_get") (result i32) (drop (call $args_get (call $at) (i32.const 1024))) (i32.const 0))
  (func (export "wrun:task/random_get") (result i32) (drop (call $random_get (call $at) (i32.const 5000))) (i32.const 0))
  (func (export "wrun:task/fd_filestat_get") (result i32) (drop (call $fd_filestat_get (i32.const 1) (call $at))) (i32.const 0))
  ;; A read that begins before the window.
  (func (export "wrun:task/input_read, across the start") (result i32)
    (drop (call $map_over (select (i32.const 4) (i32.const 8) (call $attack))))
    (call $read (i32.const 0) (i64.const 0) (i32.const 200000) (i32.const 0x20001)) (i32.const 0))
  ;; Behind the range, where zeros are.
  (func (export "wrun:task/a store behind the range") (result i32)
    (drop (call $map_over (i32.const 2)))
    (i32.store8 (i32.add (call $page (i32.const 2)) (select (i32.const 262143) (i32.const 262144) (call $attack))) (i32.const 1))
    (i32.const 0))
  ;; The window stays as it is when memory grows.
  (func (export "wrun:task/a store after memory.grow") (result i32)
    (drop (call $map_over (i32.const 2)))
    (drop (memory.grow (i32.const 7)))
    (i32.store8 (select (i32.const 0x20000) (i32.const 0xc0000) (call $attack)) (i32.const 1)) (i32.const 0))

  ;; Ends in the way that the item's first letter says, or checks that its memory is as the module says.
  (func (export "wrun:task/end") (result i32) (local $way i32) (local $at i32) (local $last i32)
    (call $arg_read (i32.const 0))
    (local.set $way (i32.load8_u (i32.const 0)))
    (if (i32.eq (local.get $way) (i32.const 99)) (then (call $check) (return (i32.const 0))))
    ;; Memory of its own that is not zero, for the windows to replace.
    (memory.fill (i32.const 0x20000) (i32.const 255) (i32.const 0x20000))
    (memory.fill (i32.const 0xa0000) (i32.const 255) (i32.const 0x20000))
    (local.set $at (call $map_at (i32.const 0) (i64.const 100) (i32.const 100000) (i32.const 0x20000)))
    (local.set $last (call $map_at (i32.const 0) (i64.const 4095) (i32.const 5000) (i32.const 0xb0000)))
    (if (i32.ne (local.get $at) (i32.const 0x20064)) (then (unreachable)))
    (if (i32.ne (local.get $last) (i32.const 0xb0fff)) (then (unreachable)))
    ;; The file repeats ten digits.
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 48)) (then (unreachable)))
    (if (i32.ne (i32.load8_u offset=99999 (local.get $at)) (i32.const 57)) (then (unreachable)))
    (if (i32.load8_u offset=100000 (local.get $at)) (then (unreachable)))
    (if (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (then (unreachable)))
    (if (i32.load8_u (i32.const 0x3ffff)) (then (unreachable)))
    (if (i32.ne (i32.load8_u (local.get $last)) (i32.const 53)) (then (unreachable)))
    (if (i32.load8_u offset=5000 (local.get $last)) (then (unreachable)))
    ;; u: gives them back, and has zeros.
    (if (i32.eq (local.get $way) (i32.const 117)) (then
      (call $unmap (local.get $at)) (call $unmap (local.get $last))
      (memory.fill (i32.const 0xa0000) (i32.const 0) (i32.const 0x10000))
      (call $check)
      (i32.store (local.get $at) (i32.const 0)) (return (i32.const 0))))
    ;; All others leave page 10 as it was.
    (memory.fill (i32.const 0xa0000) (i32.const 0) (i32.const 0x10000))
    ;; x: writes to windows by host code, so that each of their pages is replaced, and gives them back; more pages than are kept replaced
    ;; at a time.
    (if (i32.eq (local.get $way) (i32.const 120)) (then
      (call $unmap (local.get $at)) (call $unmap (local.get $last))
      (local.set $last (i32.const 2))
      (loop $next
        (local.set $at (call $map_over (local.get $last)))
        (memory.fill (local.get $at) (i32.const 88) (i32.const 200000))
        (call $unmap (local.get $at))
        (local.set $last (i32.add (local.get $last) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $last) (i32.const 9))))))
    ;; t: traps.
    (if (i32.eq (local.get $way) (i32.const 116)) (then (unreachable)))
    ;; e: returns an error.
    (if (i32.eq (local.get $way) (i32.const 101)) (then (return (i32.const 7))))
    ;; f: writes to the window.
    (if (i32.eq (local.get $way) (i32.const 102)) (then (i32.store8 (local.get $at) (i32.const 255))))
    ;; l: does not end.
    (if (i32.eq (local.get $way) (i32.const 108)) (then (loop (br 0))))
    ;; g: grows, and maps over the new pages.
    (if (i32.eq (local.get $way) (i32.const 103)) (then
      (local.set $at (call $page (memory.grow (i32.const 4))))
      (if (i32.ne (i32.load8_u (call $map_at (i32.const 0) (i64.const 0) (i32.const 200000) (local.get $at))) (i32.const 48))
        (then (unreachable)))))
    ;; w: has windows of new pages as well, before and after.
    (if (i32.eq (local.get $way) (i32.const 119)) (then
      (drop (call $input_map (i32.const 0) (i64.const 0) (i32.const 200000)))
      (call $unmap (local.get $at))
      (drop (call $map_at (i32.const 0) (i64.const 0) (i32.const 200000) (i32.const 0x20000)))
      (drop (call $input_map (i32.const 0) (i64.const 1) (i32.const 70000)))))
    ;; s: writes regions.
    (if (i32.eq (local.get $way) (i32.const 115)) (then
      (memory.fill (call $region_map_at (i32.const 0) (i64.const 10) (i32.const 69990) (i32.const 0x60000)) (i32.const 83) (i32.const 69990))
      (i32.store8 (call $region_map_at (i32.const 1) (i64.const 7) (i32.const 1) (i32.const 0x90000)) (i32.const 83))))
    (i32.const 0))
  (func $check (local $at i32)
    (if (i64.ne (i64.load (i32.const 65540)) (i64.const 0x41544144)) (then (unreachable)))
    (local.set $at (i32.const 65552))
    (loop $next
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (unreachable)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0xc0000))))))
