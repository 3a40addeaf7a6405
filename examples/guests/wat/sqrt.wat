;; The square root of each item, with no SDK: wrun parses the item as the parameter and prints the result.
;;
;;   $ wrun map sqrt.wat 2 9
;;   1.4142135623730951
;;   3
(module
  (func (export "sqrt") (param $x f64) (result f64)
    (f64.sqrt (local.get $x))))
