//! Tasks that do nothing, in a pool whose workers are already running.

use std::num::NonZeroUsize;
use std::time::Instant;

use serde_json::json;
use wrun::{Job, Module, Pool};

use crate::Outcome;

/// The module of all no-op rows: a memory of 17 pages, like a small Rust program's, and a function that returns 0.
pub const MODULE: &str = include_str!("../noop.wat");

/// Tasks before the clock starts, so that workers start and load the module.
const WARM_UP: usize = 20_000;

pub fn fresh(tasks: usize, workers: NonZeroUsize) -> Outcome {
    rate(Job::new(&module()?), tasks, workers, Order::ByItem)
}

pub fn unordered(tasks: usize, workers: NonZeroUsize) -> Outcome {
    rate(Job::new(&module()?), tasks, workers, Order::AsTheyEnd)
}

pub fn reuse(tasks: usize, workers: NonZeroUsize) -> Outcome {
    rate(Job::new(&module()?).reuse(), tasks, workers, Order::ByItem)
}

fn module() -> wrun::Result<Module> {
    Module::from_bytes("noop.wat", MODULE.as_bytes())
}

/// The order of outcomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    ByItem,
    AsTheyEnd,
}

fn rate(job: Job, tasks: usize, workers: NonZeroUsize, order: Order) -> Outcome {
    let mut pool = Pool::builder().workers(workers).build()?;
    let mut count = |tasks: usize| -> wrun::Result<usize> {
        let run = pool.map(&job, (0..tasks).map(|_| ""))?;
        let run = if order == Order::AsTheyEnd { run.unordered() } else { run };
        Ok(run.filter(|outcome| outcome.result.is_ok()).count())
    };
    assert_eq!(count(WARM_UP)?, WARM_UP, "tasks failed");
    let start = Instant::now();
    assert_eq!(count(tasks)?, tasks, "tasks failed");
    let per_second = tasks as f64 / start.elapsed().as_secs_f64();
    Ok(json!({ "per_second": per_second, "peak_kib": peak_kib() }).to_string())
}

/// The peak resident memory of this process in KiB (proc(5), `VmHWM`), without its workers.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}
