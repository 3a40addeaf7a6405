//! Keys of tasks, and outcomes known from an earlier run.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use wrun::cache::TaskKeys;
use wrun::result::Finished;
use wrun::{Halt, HaltAt, Input, Status, Task, TaskError, TaskStats};

use crate::library::dispatch::echo_job;
use crate::support::{failed, file, input, pool, text};

#[test]
fn keys_are_those_of_contents() {
    let (one, same, other) = (file(b"abc"), file(b"abc"), file(b"abd"));
    let job = echo_job();
    let mut keys = TaskKeys::new(&job, None).expect("keys");
    let mut key = |task: Task| keys.at(0, &task).expect("a key");
    let with = |files: &[&Input]| Task { inputs: files.iter().map(|&file| file.clone()).collect(), ..Task::new("x") };
    assert_eq!(key(with(&[&input(&one)])), key(with(&[&input(&same)])));
    let ab = |file| input(file).slice(0..2).expect("a range");
    assert_eq!(key(with(&[&ab(&one)])), key(with(&[&ab(&other)])));
    let different = [
        Task::new("x"),
        Task::new("y"),
        Task::new(""),
        with(&[&input(&one)]),
        with(&[&input(&other)]),
        with(&[&ab(&one)]),
        with(&[&input(&one), &input(&other)]),
        with(&[&input(&other), &input(&one)]),
    ];
    let count = different.len();
    assert_eq!(different.into_iter().map(&mut key).collect::<HashSet<_>>().len(), count);

    let task = Task::new("x");
    let of =
        |job: &wrun::Job, reduce| TaskKeys::new(job, reduce).and_then(|mut keys| keys.at(0, &task)).expect("a key");
    assert_eq!(of(&job, None), of(&echo_job(), None));
    let different = [
        of(&job, None),
        of(&job, Some("concatenate")),
        of(&echo_job().call("refuse"), None),
        of(&echo_job().reuse(), None),
        of(&echo_job().input("a", input(&one)), None),
        of(&echo_job().input("b", input(&one)), None),
        of(&echo_job().input("a", input(&other)), None),
    ];
    assert_eq!(HashSet::from(different).len(), 7);
}

fn finished(result: Result<Vec<u8>, &str>) -> Finished {
    let result = result.map(Into::into).map_err(|message| TaskError::new(Status::Error, message));
    Finished::new(result, TaskStats::new(UNIX_EPOCH, Duration::from_secs(5)).worker(7).attempts(2))
}

#[test]
fn tasks_that_ended_before_have_their_outcomes_in_their_places() {
    let tasks = [
        Task::new("0"),
        Task::new("fail").finished(finished(Ok(b"known".to_vec()))),
        Task::new("2").finished(finished(Err("known to fail"))),
        Task::new("3"),
    ];
    // Known failures do not belong to this run, so they do not end it.
    let job = echo_job().halt(Halt::Now(HaltAt::Count(1)));
    let ended: Vec<_> = pool(2).map(&job, tasks.clone().into_iter()).expect("a run").collect();
    assert_eq!([text(&ended[0]), text(&ended[1]), text(&ended[3])], ["0", "known", "3"]);
    assert_eq!(failed(&ended[2]), (Status::Error, "known to fail"));
    assert_eq!((ended[1].stats.worker, ended[1].stats.attempts), (7, 2));
    assert!(ended.iter().all(|outcome| outcome.task.finished.is_none()));

    let tasks = [tasks[1].clone(), tasks[0].clone(), tasks[1].clone()];
    let merged =
        pool(2).map(&job, tasks.into_iter()).expect("a run").reduce("concatenate", |failed| panic!("{failed:?}"));
    assert_eq!(text(&merged.expect("a merge")), "known0known");
}

#[test]
fn results_of_tasks_that_ended_before_are_not_all_held_at_once() {
    let taken = Cell::new(0);
    let tasks = (0..100).map(|_| {
        taken.set(taken.get() + 1);
        Task::new("x").finished(finished(Ok(vec![0; 8 << 20])))
    });
    let mut pool = pool(1);
    for (given, outcome) in pool.map(&echo_job(), tasks).expect("a run").enumerate() {
        assert_eq!(outcome.result.expect("a result").len(), 8 << 20);
        assert!(taken.get() - given < 8, "{} taken when {given} were given", taken.get());
    }
    assert_eq!(taken.get(), 100);
}
