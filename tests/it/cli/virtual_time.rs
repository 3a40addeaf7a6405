//! The time of tasks: their own unless they are granted the real one.

use crate::cli::kit::{Place, said};

/// Looks at both clocks, sleeps until the first of two alarms, looks at the monotonic clock again, and writes five numbers: wall and
/// monotonic time before, monotonic time after, the number of alarms that went off, and the first one's user data.
fn sleeper(relative_ns: u64, absolute_after_ns: u64) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $now (i32.const 0) (i64.const 1) (i32.const 64)))
    (drop (call $now (i32.const 1) (i64.const 1) (i32.const 72)))
    ;; Subscription 7: to the monotonic clock, a duration.
    (i64.store (i32.const 128) (i64.const 7)) (i32.store (i32.const 144) (i32.const 1))
    (i64.store (i32.const 152) (i64.const {relative_ns}))
    ;; Subscription 8: to the wall clock, a time.
    (i64.store (i32.const 176) (i64.const 8)) (i32.store (i32.const 192) (i32.const 0))
    (i64.store (i32.const 200) (i64.add (i64.load (i32.const 64)) (i64.const {absolute_after_ns})))
    (i32.store16 (i32.const 216) (i32.const 1))
    (if (call $poll (i32.const 128) (i32.const 512) (i32.const 2) (i32.const 88)) (then (unreachable)))
    (drop (call $now (i32.const 1) (i64.const 1) (i32.const 80)))
    (i64.store (i32.const 96) (i64.load (i32.const 512)))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 40))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

/// The numbers that the program writes.
fn numbers(place: &Place, options: &[&str]) -> Vec<u64> {
    let mut command = place.wrun(&[&["map", "sleeper.wat", "--raw", "--timeout", "60s"], options, &["x"]].concat());
    let output = command.output().expect("wrun runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes"))).collect()
}

const SECOND: u64 = 1_000_000_000;
const YEAR_2000: u64 = 946_684_800 * SECOND;

#[test]
fn a_sleep_takes_no_time_and_moves_the_clock_by_exactly_that_long() {
    let place = Place::new();
    // An hour and a day would not fit into the time limit. Each look at a clock takes a microsecond.
    place.file("sleeper.wat", sleeper(86_400 * SECOND, 3_600 * SECOND));
    assert_eq!(numbers(&place, &[]), [YEAR_2000, 1000, 3_600 * SECOND, 1, 8]);
    place.file("sleeper.wat", sleeper(60 * SECOND, 3_600 * SECOND));
    assert_eq!(numbers(&place, &[]), [YEAR_2000, 1000, 2000 + 60 * SECOND, 1, 7]);
    place.file("sleeper.wat", sleeper(0, 0));
    assert_eq!(numbers(&place, &[]), [YEAR_2000, 1000, 2000, 2, 7], "both were due");
    place.file("sleeper.wat", sleeper(u64::MAX, u64::MAX - YEAR_2000));
    assert_eq!(numbers(&place, &[])[2], u64::MAX - YEAR_2000, "the end of time is no error");
}

#[test]
fn the_clock_starts_where_it_is_told_to() {
    let place = Place::new();
    place.file("sleeper.wat", sleeper(SECOND, 10 * SECOND));
    let start = |time: &str| numbers(&place, &["--clock-start", time])[0] / SECOND;
    assert_eq!(start("2026-11-27T08:00:00Z"), 1_795_766_400);
    assert_eq!(start("1970-01-01 00:00:00"), 0);
    for time in ["yesterday", "1969-12-31T23:59:59Z", "2600-01-01T00:00:00Z", ""] {
        let said = place.says(&["map", "sleeper.wat", "--clock-start", time, "x"]);
        assert_eq!(said.code, Some(2), "{time}: {said:?}");
    }
    let both = place.says(&["map", "sleeper.wat", "--clock", "--clock-start", "2026-11-27T08:00:00Z", "x"]);
    let line = "wrun: the argument '--clock' cannot be used with '--clock-start <TIME>'; --help shows all options\n";
    assert_eq!(both, said(2, "", line));
}

#[test]
fn tasks_with_the_real_clock_sleep() {
    let place = Place::new();
    place.file("sleeper.wat", sleeper(SECOND / 100, 3_600 * SECOND));
    let found = numbers(&place, &["--clock"]);
    assert!(found[0] > YEAR_2000 + 20 * 365 * 86_400 * SECOND, "{found:?}");
    assert!(found[2] - found[1] >= SECOND / 100 && found[3..] == [1, 7], "{found:?}");
}

/// Both clocks say how precise they are.
#[test]
fn clocks_have_a_resolution() {
    let place = Place::new();
    let program = r#"(module
  (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $clock i32)
    (loop $next
      (if (call $resolution (local.get $clock) (i32.const 0)) (then (unreachable)))
      (if (i64.eqz (i64.load (i32.const 0))) (then (unreachable)))
      (br_if $next (i32.lt_u (local.tee $clock (i32.add (local.get $clock) (i32.const 1))) (i32.const 2))))))"#;
    place.file("resolution.wat", program);
    for options in [&[][..], &["--clock"]] {
        assert_eq!(place.says(&[&["map", "resolution.wat"], options, &["x"]].concat()), said(0, "", ""));
    }
}
