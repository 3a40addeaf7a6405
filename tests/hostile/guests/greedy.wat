;; Has allocators that take all memory for their own, as those of some languages do, and shows no sign of these languages. Each takes the
;; pages of a window for its own, once it needs memory. The task must fail: otherwise its result would be what the allocator has written to
;; the window. The control has its window over a buffer that the allocator gave it.
(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "input_map_at" (func $input_map_at (param i32 i64 i32 i32) (result i32)))
  (import "wrun_v1" "output_map" (func $output_map (param i32) (result i32)))
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "region_map_at" (func $region_map_at (param i32 i64 i32 i32) (result i32)))
  (memory (export "memory") 8)
  ;; Where the heap's unused part begins, and where it ends.
  (global $next (mut i32) (i32.const 65536))
  (global $end (mut i32) (i32.const 0))
  (global $kind (mut i32) (i32.const 0))
  (func $size (result i32) (i32.shl (memory.size) (i32.const 16)))
  (func $pages (param i32) (result i32) (i32.shr_u (i32.add (local.get 0) (i32.const 65535)) (i32.const 16)))

  ;; Memory for so many bytes, from the allocator of the kind that was chosen.
  (func $alloc (param $len i32) (result i32) (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (local.get $at) (local.get $len)))
    ;; 0, a counter: memory ends where it ends, whoever made it grow (AssemblyScript's `stub`, Emscripten's `sbrk`).
    (if (i32.eqz (global.get $kind)) (then
      (if (i32.gt_u (global.get $next) (call $size)) (then
        (drop (memory.grow (call $pages (i32.sub (global.get $next) (call $size)))))))))
    ;; 1, a list: takes all memory that there is when it is first used, and marks its end (AssemblyScript's other runtimes, old wasi-libc).
    (if (i32.eq (global.get $kind) (i32.const 1)) (then
      (if (i32.eqz (global.get $end)) (then
        (global.set $end (call $size))
        (i32.store (i32.sub (global.get $end) (i32.const 4)) (i32.const 0x58585858))))))
    ;; 2, a heap that doubles, and ends where memory does (TinyGo). It zeroes what it gives.
    (if (i32.eq (global.get $kind) (i32.const 2)) (then
      (if (i32.gt_u (global.get $next) (global.get $end)) (then
        (drop (memory.grow (memory.size)))
        (global.set $end (call $size))))
      (memory.fill (local.get $at) (i32.const 0) (local.get $len))))
    (local.get $at))

  ;; Fills 4 MiB of memory, in parts, with 88; of kind 1, as much as there was at the start.
  (func $work (local $n i32)
    (if (i32.eq (global.get $kind) (i32.const 1)) (then
      (memory.fill (call $alloc (i32.const 1000)) (i32.const 88) (i32.const 1000)) (return)))
    (loop $next
      (memory.fill (call $alloc (i32.const 100000)) (i32.const 88) (i32.const 100000))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 40)))))
  ;; A buffer of whole pages, for the control.
  (func $buffer (result i32)
    (i32.and (i32.add (call $alloc (i32.const 196608)) (i32.const 65535)) (i32.const 0xffff0000)))
  (func $start (param $kind i32) (result i32)
    (global.set $kind (local.get $kind))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (global.set $end (call $size))))
    (call $arg_read (i32.const 16)) (i32.eq (i32.load8_u (i32.const 16)) (i32.const 97)))

  (func $input (param $kind i32) (result i32) (local $at i32)
    (if (call $start (local.get $kind))
      (then (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i32.const 65536))))
      (else (local.set $at (call $input_map_at (i32.const 0) (i64.const 0) (i32.const 65536) (call $buffer)))))
    (call $work)
    (call $output_write (local.get $at) (i32.const 65536)) (i32.const 0))
  (func (export "wrun:task/input, counter") (result i32) (call $input (i32.const 0)))
  (func (export "wrun:task/input, list") (result i32) (call $input (i32.const 1)))
  (func (export "wrun:task/input, doubling") (result i32) (call $input (i32.const 2)))

  (func $result (param $kind i32) (result i32)
    (if (call $start (local.get $kind))
      (then (memory.fill (call $output_map (i32.const 65536)) (i32.const 49) (i32.const 65536)) (call $work))
      (else (call $work) (call $output_write (call $alloc (i32.const 5)) (i32.const 5))))
    (i32.const 0))
  (func (export "wrun:task/result, counter") (result i32) (call $result (i32.const 0)))
  (func (export "wrun:task/result, list") (result i32) (call $result (i32.const 1)))
  (func (export "wrun:task/result, doubling") (result i32) (call $result (i32.const 2)))

  (func $region (param $kind i32) (result i32) (local $at i32)
    (if (call $start (local.get $kind))
      (then (local.set $at (call $region_map (i32.const 0) (i64.const 0) (i32.const 65536))))
      (else (local.set $at (call $region_map_at (i32.const 0) (i64.const 0) (i32.const 65536) (call $buffer)))))
    (memory.fill (local.get $at) (i32.const 49) (i32.const 65536))
    (call $work) (i32.const 0))
  (func (export "wrun:task/region, counter") (result i32) (call $region (i32.const 0)))
  (func (export "wrun:task/region, list") (result i32) (call $region (i32.const 1)))
  (func (export "wrun:task/region, doubling") (result i32) (call $region (i32.const 2))))
