//! Single tasks through the library, one worker: `cargo bench -p wrun-parts --bench tasks`.
//!
//! Each number is the time per task when tasks follow each other closely: the worker's time, unless the pool is slower.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use wrun::{Input, Job, Module, Pool, Task};

/// Does nothing.
const NOOP: &str = include_str!("../../peers/noop.wat");

/// Maps its whole first input without accessing it.
const MAP: &str = r#"(module
    (import "wrun_v1" "input_len" (func $len (param i32) (result i64)))
    (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
    (memory (export "memory") 17)
    (func (export "wrun:task/map") (result i32)
        (drop (call $map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0)))))
        (i32.const 0)))"#;

/// Maps its whole first input over memory of its own, which it has from the start.
const MAP_AT: &str = r#"(module
    (import "wrun_v1" "input_len" (func $len (param i32) (result i64)))
    (import "wrun_v1" "input_map_at" (func $map_at (param i32 i64 i32 i32) (result i32)))
    (memory (export "memory") 17)
    (func (export "wrun:task/map") (result i32)
        (drop (call $map_at (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0))) (i32.const 65536)))
        (i32.const 0)))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Workers are this program, started again.
    wrun::init();
    let mut criterion = Criterion::default().configure_from_args();
    let noop = Module::from_bytes("noop.wat", NOOP.as_bytes())?;
    bench(&mut criterion, "no-op, fresh instance", &Job::new(&noop), &Task::default())?;
    bench(&mut criterion, "no-op, reused instance", &Job::new(&noop).reuse(), &Task::default())?;

    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/guests/target/wasm");
    for (name, module, call) in
        [("Rust task with WASI", "probe.wasm", "reverse"), ("Rust command", "hello-wasi.wasm", "_start")]
    {
        let module = Module::from_file(guests.join(module))?;
        let job = Job::new(&module).call(call);
        bench(&mut criterion, &format!("{name}, fresh instance"), &job, &Task::new("ann"))?;
    }

    let map = Module::from_bytes("map.wat", MAP.as_bytes())?;
    let map_at = Module::from_bytes("map_at.wat", MAP_AT.as_bytes())?;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sparse");
    for (name, len) in [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("1 GiB", 1 << 30)] {
        // A hole will do: nobody reads the file.
        File::create(&path)?.set_len(len)?;
        let task = Task::default().input(Input::open(&path)?);
        bench(&mut criterion, &format!("window of {name}, fresh instance"), &Job::new(&map), &task)?;
        if len <= 1 << 20 {
            bench(
                &mut criterion,
                &format!("window of {name} over own memory, fresh instance"),
                &Job::new(&map_at),
                &task,
            )?;
        }
        let shared = Job::new(&map).input("data", Input::open(&path)?).reuse();
        bench(&mut criterion, &format!("shared window of {name}, reused instance"), &shared, &Task::default())?;
        std::fs::remove_file(&path)?;
    }
    criterion.final_summary();
    Ok(())
}

/// Runs as many copies of the task as criterion asks for.
fn bench(criterion: &mut Criterion, name: &str, job: &Job, task: &Task) -> wrun::Result<()> {
    let mut pool = Pool::builder().workers(NonZeroUsize::MIN).build()?;
    // Makes the worker start and load the module.
    pool.run(job, task.clone())?;
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| time(&mut pool, job, task, count).expect("a run that does not end early"));
    });
    Ok(())
}

fn time(pool: &mut Pool, job: &Job, task: &Task, count: u64) -> wrun::Result<Duration> {
    let start = Instant::now();
    let run = pool.map(job, (0..count).map(|_| task.clone()))?;
    let passed = run.filter(|outcome| outcome.result.is_ok()).count();
    assert_eq!(passed as u64, count, "tasks failed");
    Ok(start.elapsed())
}
