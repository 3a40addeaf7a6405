;; Throws a die with as many sides as the item says. WASI's random numbers depend only on --seed and the item's position.
;;
;;   $ wrun map dice.wat 6 6 20
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "throw") (param $sides i32) (result i32)
    (if (call $random_get (i32.const 0) (i32.const 4)) (then (unreachable)))
    (i32.add (i32.const 1) (i32.rem_u (i32.load (i32.const 0)) (local.get $sides)))))
