//! Measures the cost of a worker killed in the middle of a run.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::time::{Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use wrun::{Event, Job, Module, Pool, Status};

use crate::Outcome;

/// A task of about a millisecond: a loop of 3,000,000 steps, each depending on the one before.
const SPIN: &str = r#"(module (memory (export "memory") 1)
    (func (export "wrun:task/spin") (result i32) (local $left i32)
        (local.set $left (i32.const 3000000))
        (loop $next (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (i32.const 0)))"#;

/// Kills one worker when a third of the tasks have ended. Reports the time until its replacement has completed a task, the
/// time of the whole run, and the number of failed tasks.
pub fn with_kill(tasks: usize, workers: NonZeroUsize) -> Outcome {
    run(tasks, workers, true)
}

/// The same without the kill.
pub fn without_kill(tasks: usize, workers: NonZeroUsize) -> Outcome {
    run(tasks, workers, false)
}

fn run(tasks: usize, workers: NonZeroUsize, kill: bool) -> Outcome {
    let module = Module::from_bytes("spin.wat", SPIN.as_bytes())?;
    let job = Job::new(&module);
    let mut pool = Pool::builder().workers(workers).build()?;
    assert_eq!(pool.map(&job, (0..100).map(|_| ""))?.filter(|outcome| outcome.result.is_ok()).count(), 100);
    let before = pool.worker_pids();
    let start = Instant::now();
    let lost = Cell::new(0);
    let run = pool.map(&job, (0..tasks).map(|_| ""))?.unordered();
    let run = run.observe(|event, _| {
        if let Event::WorkerLost { .. } = event {
            lost.set(lost.get() + 1);
        }
    });
    let (mut killed, mut replaced_after, mut ended, mut failed) = (None, None, 0, 0);
    for outcome in run {
        ended += 1;
        match outcome.status() {
            Status::Ok => {}
            Status::WorkerLost if kill => failed += 1,
            status => return Err(format!("a task ended as {status}").into()),
        }
        if kill && killed.is_none() && ended == tasks / 3 {
            let pid = before.first().and_then(|pid| Pid::from_raw(*pid as i32)).ok_or("no worker")?;
            killed = Some((Instant::now(), SystemTime::now()));
            kill_process(pid, Signal::KILL)?;
        }
        // Worker 0 was started first. Tasks that start there after the kill run on its replacement.
        if let Some((at, clock)) = killed
            && replaced_after.is_none()
            && outcome.stats.worker == 0
            && outcome.stats.start > clock
            && outcome.result.is_ok()
        {
            replaced_after = Some(at.elapsed().as_secs_f64());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!((ended, lost.get()), (tasks, u32::from(kill)), "outcomes and lost workers");
    Ok(json!({ "seconds": seconds, "replaced_after": replaced_after, "failed": failed }).to_string())
}
