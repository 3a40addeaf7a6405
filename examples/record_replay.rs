//! Two backends that a crate outside wrun could provide: one records the results of another backend's tasks on a tape, the
//! other replays the tape and runs nothing. Replayed results have the worker number 4294967295.
//!
//!     cargo run --release --example record_replay -- record TAPE MODULE ITEM...
//!     cargo run --release --example record_replay -- replay TAPE MODULE ITEM...

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use wrun::backend::{Assignment, Backend, Executor, ExecutorEvent, TaskEnd, Waker};
use wrun::{Job, Module, Output, Pool, PoolBuilder, TaskStats};

fn main() -> anyhow::Result<()> {
    wrun::init();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, path, module, items @ ..] = &words[..] else { bail!("give: record|replay TAPE MODULE ITEM...") };
    let backend: Box<dyn Backend> = match mode.as_str() {
        // Respects WRUN_JOBS and WRUN_BACKEND, like the command.
        "record" => Box::new(Recorder { inner: PoolBuilder::from_env()?.build()?, tape: File::create(path)? }),
        "replay" => Box::new(Player::open(path).with_context(|| format!("tape {path}"))?),
        other => bail!("{other:?} is neither record nor replay"),
    };
    let mut pool = Pool::builder().backend(backend).build()?;
    let job = Job::new(&Module::from_file(module)?);
    let mut run = pool.map(&job, items.iter().cloned())?;
    for outcome in &mut run {
        match &outcome.result {
            Ok(output) => println!("{} (worker {})", String::from_utf8_lossy(output), outcome.stats.worker),
            Err(error) => println!("task {}: {error}", outcome.index),
        }
    }
    let stats = run.finish()?;
    ensure!(stats.failed == 0, "{} of {} tasks failed", stats.failed, stats.done);
    Ok(())
}

/// A line of a tape, in JSON: one task that passed.
#[derive(Deserialize, Serialize)]
struct Recorded {
    index: u64,
    argument: Vec<u8>,
    result: Vec<u8>,
}

/// Records the results of another backend's tasks.
#[derive(Debug)]
struct Recorder {
    inner: Pool,
    tape: File,
}

struct Recording<'a> {
    inner: Box<dyn Executor + 'a>,
    tape: &'a File,
    /// Index and argument of the tasks under way, by ticket.
    tasks: HashMap<u64, (u64, Vec<u8>)>,
}

impl Backend for Recorder {
    fn start<'a>(&'a mut self, job: &Job, waker: &Waker) -> wrun::Result<Box<dyn Executor + 'a>> {
        let (inner, tape) = (self.inner.start(job, waker)?, &self.tape);
        Ok(Box::new(Recording { inner, tape, tasks: HashMap::new() }))
    }
}

impl Executor for Recording<'_> {
    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn submit(&mut self, given: Assignment<'_>) {
        self.tasks.insert(given.ticket, (given.index, given.task.argument.to_vec()));
        self.inner.submit(given);
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        let event = self.inner.next()?;
        if let ExecutorEvent::Ended(end) = &event
            && let Some((index, argument)) = self.tasks.remove(&end.ticket)
            && let Ok(output) = &end.result
        {
            let line = serde_json::to_vec(&Recorded { index, argument, result: output.to_vec() });
            let written = line.map_err(Into::into).and_then(|line| self.tape.write_all(&[&line[..], b"\n"].concat()));
            if let Err(error) = written {
                return Some(ExecutorEvent::Failed(wrun::Error::backend(format!("cannot write the tape: {error}"))));
            }
        }
        Some(event)
    }

    fn wait(&mut self, at_most: Option<Duration>) {
        self.inner.wait(at_most);
    }

    fn stop(&mut self, now: bool) {
        self.inner.stop(now);
    }
}

/// Replays the results on a tape, by index and argument.
#[derive(Debug)]
struct Player(HashMap<(u64, Vec<u8>), Output>);

struct Playing<'a> {
    tape: &'a Player,
    ended: VecDeque<ExecutorEvent>,
}

impl Player {
    fn open(path: &str) -> anyhow::Result<Player> {
        let mut tape = HashMap::new();
        for line in BufReader::new(File::open(path)?).lines() {
            let Recorded { index, argument, result } = serde_json::from_str(&line?)?;
            tape.insert((index, argument), Output::from(result));
        }
        Ok(Player(tape))
    }
}

impl Backend for Player {
    fn start<'a>(&'a mut self, _job: &Job, _waker: &Waker) -> wrun::Result<Box<dyn Executor + 'a>> {
        Ok(Box::new(Playing { tape: self, ended: VecDeque::new() }))
    }
}

impl Executor for Playing<'_> {
    fn has_room(&self) -> bool {
        self.ended.len() < 64
    }

    fn submit(&mut self, given: Assignment<'_>) {
        let recorded = self.tape.0.get(&(given.index, given.task.argument.to_vec()));
        self.ended.push_back(match recorded {
            Some(output) => {
                let stats = TaskStats::new(SystemTime::now(), Duration::ZERO).worker(u32::MAX);
                ExecutorEvent::Ended(TaskEnd::new(given.ticket, Ok(output.clone()), stats))
            }
            None => ExecutorEvent::Failed(wrun::Error::backend(format!("task {} is not on the tape", given.index))),
        });
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        self.ended.pop_front()
    }

    fn wait(&mut self, _at_most: Option<Duration>) {
        // Nothing to wait for: submitted tasks end at once.
    }
}
