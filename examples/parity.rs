//! The examples of joblib's documentation, in Rust: docs/src/coming-from/joblib-examples.md quotes these functions and shows what they print.
//!
//!     cd examples/guests && cargo run --release --example parity -- NAME

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

use wrun::{Argument, Input, Job, Jobs, Limits, Module, OutputFile, Pool, PoolBuilder, Task};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result {
    wrun::init();
    match std::env::args().nth(1).as_deref() {
        Some("list") => list(),
        Some("several-values") => several_values(),
        Some("generator") => generator(),
        Some("unordered") => unordered(),
        Some("pre-dispatch") => pre_dispatch(),
        Some("reuse") => reuse(),
        Some("large-arguments") => large_arguments(),
        Some("windows") => windows(),
        Some("written-results") => written_results(),
        Some("errors") => errors(),
        Some("defaults") => defaults(),
        other => Err(format!("give the name of an example of joblib-examples.md, not {other:?}").into()),
    }
}

fn list() -> Result {
    let job = Job::new(&Module::from_file("wat/sqrt.wat")?);
    let mut pool = Pool::builder().workers(Jobs::new(2)?.workers()).build()?;
    let roots = pool.map(&job, (0..10).map(|i| i * i))?.map(|outcome| outcome.result).collect::<Result<Vec<_>, _>>()?;
    println!("{:?}", roots.iter().map(|root| String::from_utf8_lossy(root)).collect::<Vec<_>>());
    Ok(())
}

fn several_values() -> Result {
    let job = Job::new(&Module::from_file("wat/modf.wat")?);
    let mut pool = Pool::builder().build()?;
    let (mut fractions, mut integers) = (Vec::new(), Vec::new());
    for outcome in pool.map(&job, (0..10).map(|i| f64::from(i) / 2.0))? {
        let result = text(&outcome.result?)?;
        let (fraction, integer) = result.split_once(' ').ok_or("two values")?;
        fractions.push(fraction.parse::<f64>()?);
        integers.push(integer.parse::<f64>()?);
    }
    println!("{fractions:?}\n{integers:?}");
    Ok(())
}

fn generator() -> Result {
    let job = Job::new(&Module::from_file("wat/sqrt.wat")?);
    let mut pool = Pool::builder().build()?;
    // The items never end; they are taken as results are consumed.
    let mut run = pool.map(&job, (0u64..).map(|i| i * i))?;
    println!("{}", text(&run.next().ok_or("a result")?.result?)?);
    println!("{}", text(&run.next().ok_or("a result")?.result?)?);
    let sum = run.by_ref().take(98).map(|outcome| number(&outcome.result?)).sum::<Result<f64>>()?;
    println!("{sum}");
    println!("fewer than 20000 items taken: {}", run.stats().taken < 20_000);
    // Dropping it cancels the rest; finish says how it went.
    println!("{} failed", run.finish()?.failed);
    Ok(())
}

fn unordered() -> Result {
    let job = Job::new(&Module::from_file("wat/countdown.wat")?);
    let mut pool = Pool::builder().workers(Jobs::new(2)?.workers()).build()?;
    // The first task would take centuries; the others do not wait for it, and it ends with the run.
    let run = pool.map(&job, [i64::MAX, 30, 10, 20].into_iter())?.unordered();
    let mut ended = run.take(3).map(|outcome| text(&outcome.result?)).collect::<Result<Vec<_>>>()?;
    ended.sort();
    println!("{ended:?}");
    Ok(())
}

fn pre_dispatch() -> Result {
    let job = Job::new(&Module::from_file("wat/sqrt.wat")?);
    let mut pool = Pool::builder().workers(Jobs::new(2)?.workers()).build()?;
    let producer = (0..6).inspect(|i| println!("Produced {i}"));
    // One item ahead, besides one for each of the two workers.
    let mut most = 0;
    for outcome in pool.map(&job, producer)?.ahead(1).observe(|_, run| most = most.max(run.taken - run.done)) {
        outcome.result?;
    }
    println!("never more than 3 under way: {}", most <= 3);
    Ok(())
}

fn reuse() -> Result {
    let job = Job::new(&Module::from_file("wat/sqrt.wat")?);
    let mut pool = Pool::builder().workers(Jobs::new(2)?.workers()).build()?;
    let (mut accumulator, mut iterations) = (0.0, 0);
    while accumulator < 1000.0 {
        let numbers = (0..5).map(|i| accumulator + f64::from(i * i));
        let roots = pool.map(&job, numbers.collect::<Vec<_>>().into_iter())?;
        accumulator += roots.map(|root| number(&root.result?)).sum::<Result<f64>>()?;
        iterations += 1;
    }
    println!("{accumulator:.6} {iterations}");
    Ok(())
}

fn large_arguments() -> Result {
    let job = Job::new(&Module::from_file("target/wasm/probe.wasm")?);
    let limits = Limits { argument_bytes: 8_000_000, ..Limits::default() };
    let mut pool = Pool::builder().build()?;
    // Stored in memory once and shared by all workers, however many tasks use it.
    let ones = Argument::shared(vec![1; 8_000_000])?;
    let tasks = (0..3).map(|_| Task::new(ones.clone()));
    for outcome in pool.map(&job.clone().call("sum_bytes").limits(limits), tasks)? {
        println!("{}", text(&outcome.result?)?);
    }
    // An input is mapped, so it is not even copied into a task's memory.
    let ones = Input::from_bytes("ones", &1.0f64.to_le_bytes().repeat(1 << 20))?;
    let outcome = pool.run(&job.call("sum_f64"), ones)?;
    let usage = outcome.stats.usage;
    println!("{}: {} bytes mapped, {} copied", text(&outcome.result?)?, usage.mapped_bytes, usage.copied_bytes);
    Ok(())
}

fn windows() -> Result {
    let job = Job::new(&Module::from_file("target/wasm/npy.wasm")?).call("mean");
    let data = Input::npy("data.npy")?;
    let mut pool = Pool::builder().build()?;
    let windows = (0..4).map(|start| data.task(start * 200..start * 200 + 400)).collect::<Result<Vec<_>, _>>()?;
    for outcome in pool.map(&job, windows.into_iter())? {
        println!("{} {}", String::from_utf8_lossy(&outcome.task.argument), text(&outcome.result?)?);
    }
    Ok(())
}

fn written_results() -> Result {
    let sums = OutputFile::in_memory(8)?;
    let job = Job::new(&Module::from_file("target/wasm/npy.wasm")?).call("row_sums").out(sums.clone());
    let samples = Input::npy("samples.npy")?;
    let rows = samples.shape()[0];
    let tasks = (0..rows).map(|row| samples.task(row..row + 1)).collect::<Result<Vec<_>, _>>()?;
    for outcome in Pool::builder().build()?.map(&job, tasks.into_iter())? {
        outcome.result?;
    }
    let bytes = sums.read(0..rows * 8)?;
    let (sums, _) = bytes.as_chunks();
    println!("{:?}", sums.iter().map(|sum| f64::from_le_bytes(*sum)).collect::<Vec<_>>());
    Ok(())
}

fn errors() -> Result {
    let job = Job::new(&Module::from_file("wat/countdown.wat")?);
    let limits = Limits { timeout: Some(Duration::from_secs(1).into()), ..Limits::default() };
    let tasks = ["10", "ten", "9223372036854775807"].into_iter();
    for outcome in Pool::builder().build()?.map(&job.limits(limits), tasks)? {
        let item = String::from_utf8_lossy(&outcome.task.argument);
        match &outcome.result {
            Ok(result) => println!("{}", text(result)?),
            Err(error) => println!("task {} ({item}): {error}", outcome.index),
        }
    }
    Ok(())
}

fn defaults() -> Result {
    // Reads WRUN_JOBS, WRUN_BACKEND and WRUN_SANDBOX. What is set here takes precedence.
    let mut pool = PoolBuilder::from_env()?.workers(NonZeroUsize::MIN).build()?;
    let outcome = pool.run(&Job::new(&Module::from_file("wat/sqrt.wat")?), 16)?;
    println!("{}, in {} worker processes", text(&outcome.result?)?, pool.worker_pids().len());
    Ok(())
}

fn text(result: &[u8]) -> Result<String> {
    Ok(String::from_utf8(result.to_vec())?)
}

fn number(result: &[u8]) -> Result<f64> {
    Ok(text(result)?.parse()?)
}
