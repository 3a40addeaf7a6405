;; Counts down from the item to 0 and returns the item: a task that takes as long as the item says.
;;
;;   $ wrun map countdown.wat 10
;;   10
(module
  (func $countdown (export "countdown") (param $from i64) (result i64)
    (local $left i64)
    (local.set $left (local.get $from))
    (loop $again
      (if (i64.gt_s (local.get $left) (i64.const 0))
        (then
          (local.set $left (i64.sub (local.get $left) (i64.const 1)))
          (br $again))))
    (local.get $from)))
