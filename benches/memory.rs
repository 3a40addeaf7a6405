//! Memory of workers that share a large input: `cargo bench --bench memory [-- MIB [WORKERS]]`.
//!
//! Sums the words of a file of 1 GiB in pieces, and prints how much memory each worker has of its own meanwhile.

use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use wrun::{Input, Job, Module, Pool, SplitAt, SplitSize};

const SUM: &str = include_str!("sum.wat");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    wrun::init();
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let mib = numbers.next().unwrap_or(1024);
    let workers = numbers.next().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN.saturating_add(3));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-input");
    let mut file = BufWriter::new(std::fs::File::create(&path)?);
    for word in 0..(mib as u64) << 17 {
        file.write_all(&word.to_le_bytes())?;
    }
    file.into_inner()?.sync_all()?;

    let module = Module::from_bytes("sum.wat", SUM.as_bytes())?;
    let mut pool = Pool::builder().workers(workers).build()?;
    let input = Input::open(&path)?;
    let mut most = (0, Vec::new());
    let mut sum = 0u64;
    let pieces = input.split(SplitSize::Bytes(16 << 20), SplitAt::Bytes)?.flatten();
    let mut run = pool.map(&Job::new(&module), pieces)?;
    while let Some(outcome) = run.next() {
        sum = sum.wrapping_add(u64::from_le_bytes(outcome.result?[..8].try_into()?));
        let private: Vec<u64> = run.worker_pids().into_iter().filter_map(private_kib).collect();
        let total = private.iter().sum();
        if total > most.0 {
            most = (total, private);
        }
    }
    let words = (mib as u64) << 17;
    assert_eq!(sum, words.wrapping_mul(words - 1) / 2, "the sum is wrong");
    std::fs::remove_file(&path)?;
    println!(
        "input {mib} MiB, {workers} workers, private memory at its highest: {} KiB in all, by worker {:?}",
        most.0, most.1
    );
    Ok(())
}

/// Memory that this process has of its own, and that would be free if it ended (proc(5), `Private_Dirty`). Pages of an
/// input that only one worker looks at right now are `Private_Clean`: they belong to the page cache.
fn private_kib(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let private = rollup.lines().find(|line| line.starts_with("Private_Dirty"))?;
    private.split_whitespace().nth(1)?.parse().ok()
}
