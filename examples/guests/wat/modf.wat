;; A function with two results: the fractional and the integral part of each item, like Python's math.modf.
;;
;;   $ wrun map modf.wat 1.5
;;   0.5 1
(module
  (func (export "modf") (param $x f64) (result f64 f64)
    (f64.sub (local.get $x) (f64.trunc (local.get $x)))
    (f64.trunc (local.get $x))))
