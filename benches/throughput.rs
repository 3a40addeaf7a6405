//! Tasks a second: `cargo bench --bench throughput [-- TASKS [WORKERS]]`.
//!
//! A task that does nothing, in fresh instances and in reused ones, ordered and unordered.

use std::num::NonZeroUsize;
use std::time::Instant;

use wrun::{Job, Module, Pool};

const NOOP: &str = r#"(module (memory (export "memory") 17) (data (i32.const 1024) "hello")
    (func (export "wrun:task/noop") (result i32) (i32.const 0)))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    wrun::init();
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let tasks = numbers.next().unwrap_or(1_000_000);
    let workers = numbers.next().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN.saturating_add(1));
    let module = Module::from_bytes("noop.wat", NOOP.as_bytes())?;
    let mut pool = Pool::builder().workers(workers).build()?;
    for (name, job) in [("fresh", Job::new(&module)), ("reused", Job::new(&module).reuse())] {
        for ordered in [true, false] {
            let start = Instant::now();
            let run = pool.map(&job, (0..tasks).map(|_| ""))?;
            let done = if ordered {
                run.filter(|o| o.result.is_ok()).count()
            } else {
                run.unordered().filter(|o| o.result.is_ok()).count()
            };
            assert_eq!(done, tasks);
            let rate = tasks as f64 / start.elapsed().as_secs_f64();
            println!("{name:6} {} {rate:12.0} tasks/s", if ordered { "ordered  " } else { "unordered" });
        }
    }
    Ok(())
}
