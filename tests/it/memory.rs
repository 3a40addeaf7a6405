//! Memory: inputs are shared by all workers, and a worker's own memory is small.

use std::path::Path;

use wrun::{Input, Job, SplitAt, SplitSize};

use crate::support::{module, pool};

/// Sums the 64-bit words of its piece, which it maps whole.
const SUM: &str = r#"(module
  (import "wrun_v1" "input_len" (func $len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "wrun:task/sum") (result i32)
    (local $at i32) (local $end i32) (local $sum i64)
    (local.set $at (call $map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0)))))
    (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $len (i32.const 0)))))
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i64.store (i32.const 0) (local.get $sum))
    (call $write (i32.const 0) (i32.const 8))
    (i32.const 0)))"#;

/// Bytes that this process has of its own, and that would be free if it ended (proc(5), `Private_Dirty`). Pages of an
/// input that only one worker looks at right now are `Private_Clean`: they belong to the page cache.
fn private_bytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process of ours");
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty")).expect("a line of smaps_rollup");
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number") << 10
}

#[test]
fn workers_share_an_input_and_have_little_memory_of_their_own() {
    const MIB: u64 = 1 << 20;
    const INPUT: u64 = 256 * MIB;
    const WORKERS: u64 = 4;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory-input");
    let words: Vec<u8> = (0..INPUT / 8).flat_map(u64::to_le_bytes).collect();
    std::fs::write(&path, words).expect("a file");

    let mut pool = pool(WORKERS as usize);
    let input = Input::open(&path).expect("the file");
    let pieces = input.split(SplitSize::Bytes(16 * MIB), SplitAt::Bytes).expect("pieces");
    let pieces = pieces.map(|piece| piece.expect("a piece"));
    let job = Job::new(&module(SUM));
    let mut sum = 0u64;
    let mut used = Vec::new();
    for outcome in pool.map(&job, pieces).expect("a job") {
        let output = outcome.result.as_ref().expect("a sum");
        sum += u64::from_le_bytes(output[..8].try_into().expect("eight bytes"));
        used.push(outcome.stats.worker);
    }
    assert_eq!(sum, (INPUT / 8) * (INPUT / 8 - 1) / 2, "all of the input was seen");
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len() as u64, WORKERS, "all workers took part");

    let pids = pool.worker_pids();
    assert_eq!(pids.len() as u64, WORKERS);
    let private: u64 = pids.into_iter().map(private_bytes).sum();
    println!("{} MiB of private memory in {WORKERS} workers", private / MIB);
    assert!(private < 64 * MIB, "{private} bytes of private memory in {WORKERS} workers");
    std::fs::remove_file(&path).expect("the file of this test");
}
