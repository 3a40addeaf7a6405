//! Counts the words of a text file in sandboxed tasks: `cargo run --release --example embed -- FILE [MODULE]`.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use wrun::{Input, Job, Limits, Module, Outcome, Pool, SplitAt, SplitSize, Task};

const MODULE: &str = "examples/guests/target/wasm/wordcount.wasm";

fn main() -> anyhow::Result<()> {
    // Must come first: workers and the compiler are this same program, started again.
    wrun::init();
    let mut words = std::env::args().skip(1);
    let file = words.next().context("give a text file")?;
    let module = Module::from_file(words.next().as_deref().unwrap_or(MODULE))?;
    let limits = Limits { timeout: Some(Duration::from_secs(10).into()), ..Limits::default() };
    let job = Job::new(&module).call("count").limits(limits);
    let mut pool = Pool::builder().build()?;

    // Pieces of about 1 MiB that end at a line's end. They are ranges of the open file: nothing is read or copied here.
    let input = Input::open(&file)?;
    let pieces = || input.split(SplitSize::Bytes(1 << 20), SplitAt::Lines).map(|pieces| pieces.map(task));

    // A run is a lazy iterator over outcomes, in item order. A failed task is an outcome like any other.
    let mut failed = 0;
    let mut run = pool.map(&job, pieces()?)?;
    for outcome in &mut run {
        match &outcome.result {
            Ok(table) => println!("{}: {} different words", name(&outcome), lines(table).count()),
            Err(error) => eprintln!("{}: {error}", name(&outcome)),
        }
        failed += u64::from(outcome.result.is_err());
    }
    // An error here means that the run ended early, for example because workers do not start.
    let tasks = run.finish()?.done;
    if failed > 0 {
        bail!("{failed} of {tasks} tasks failed");
    }

    // The same tasks, with their results merged into one by a tree of tasks.
    let table = pool.map(&job, pieces()?)?.reduce("merge", |failed| eprintln!("{}: failed", name(&failed)))?.result?;
    let most = lines(&table).filter_map(|line| line.split_once(' ')).max_by_key(|(_, n)| n.parse::<u64>().ok());
    let (word, count) = most.unwrap_or(("", "0"));
    println!("{file}: {} different words, most often {word:?}: {count} times", lines(&table).count());
    Ok(())
}

fn task(piece: io::Result<Input>) -> Task {
    piece.map_or_else(|error| Task::unrunnable("piece", error.to_string()), Task::from)
}

fn name(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.task.argument).into_owned()
}

fn lines(table: &[u8]) -> std::str::Lines<'_> {
    std::str::from_utf8(table).unwrap_or_default().lines()
}
