//! Tests a run's policy on an executor that runs nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::HaltAt;
use crate::backend::{Assignment, Executor, ExecutorEvent, TaskEnd};
use crate::pool::external::External;
use crate::result::{Output, TaskError, TaskStats};
use crate::sys::machine::Machine;

/// A record of what an executor was asked to do.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// Ends each attempt at once, as its task's argument says: `ok`, a status, `broken` (the executor fails), `stranger` (it ends an
/// attempt that it was not given), `unstarted` (it cancels the attempt), or `hang` (the attempt never ends by itself).
struct Mock {
    seen: Seen,
    room: usize,
    held: VecDeque<(u64, String)>,
    hanging: Vec<u64>,
    stopped: bool,
}

impl Mock {
    fn end(ticket: u64, attempts: u32, result: Result<&str, Status>) -> ExecutorEvent {
        let result =
            result.map(|text| Output::from(text.as_bytes())).map_err(|status| TaskError::new(status, "as requested"));
        let stats = TaskStats { start: SystemTime::now(), attempts, ..TaskStats::default() };
        ExecutorEvent::Ended(TaskEnd::new(ticket, result, stats))
    }
}

impl Executor for Mock {
    fn has_room(&self) -> bool {
        self.held.len() + self.hanging.len() < self.room
    }

    fn submit(&mut self, given: Assignment<'_>) {
        let wish = String::from_utf8_lossy(&given.task.argument).into_owned();
        self.seen.note(format!("{} {wish}", given.index));
        match wish.as_str() {
            "hang" => self.hanging.push(given.ticket),
            _ => self.held.push_back((given.ticket, wish)),
        }
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        if self.stopped
            && let Some(ticket) = self.hanging.pop()
        {
            return Some(Mock::end(ticket, 1, Err(Status::Cancelled)));
        }
        let (ticket, wish) = self.held.pop_front()?;
        Some(match wish.as_str() {
            "ok" => Mock::end(ticket, 1, Ok("done")),
            "broken" => ExecutorEvent::Failed(Error::backend("the machine is gone")),
            "stranger" => Mock::end(u64::MAX, 1, Ok("done")),
            "unstarted" => Mock::end(ticket, 0, Err(Status::Cancelled)),
            status => Mock::end(ticket, 1, Err(status.parse().expect("a status"))),
        })
    }

    fn wait(&mut self, _at_most: Option<Duration>) {}

    fn stop(&mut self, now: bool) {
        self.seen.note(if now { "stop now" } else { "stop soon" });
        self.stopped |= now;
    }
}

fn policy() -> Policy {
    Policy {
        retries: Retries { count: 0, delay: Duration::ZERO },
        halt: Halt::Never,
        admission: Admission::default(),
        slices: None,
        shared: Vec::new(),
        longest_argument: 100,
        unseen_inputs: None,
    }
}

fn dispatcher(policy: Policy, room: usize) -> (Dispatcher<'static>, Seen) {
    let seen = Seen::default();
    let (held, hanging) = (VecDeque::new(), Vec::new());
    let mock = Mock { seen: seen.clone(), room, held, hanging, stopped: false };
    let waker = Waker::new().expect("a waker");
    let executor = AttemptExecutor::External(External::new(Box::new(mock), waker.clone()));
    (Dispatcher::new(policy, executor, waker), seen)
}

fn submit(dispatcher: &mut Dispatcher<'_>, arguments: &[&str]) {
    for (index, argument) in (0..).zip(arguments) {
        dispatcher.submit(Pending::new(index, index, Call::Map, Task::new(*argument)));
    }
}

/// Runs all submitted tasks to their ends; returns each task's status and number of attempts, by tag.
fn outcomes(dispatcher: &mut Dispatcher<'_>) -> Vec<(Status, u32)> {
    let mut outcomes = Vec::new();
    for _ in 0..100 {
        dispatcher.turn(Wait::NO);
        while let Some(ended) = dispatcher.next_ended() {
            outcomes.push((ended.tag, ended.into_outcome()));
        }
        if dispatcher.is_idle() {
            outcomes.sort_by_key(|(tag, _)| *tag);
            return outcomes.into_iter().map(|(_, outcome)| (outcome.status(), outcome.stats.attempts)).collect();
        }
    }
    panic!("the run does not end; so far {outcomes:?}");
}

#[test]
fn failed_tasks_are_tried_again_as_often_as_allowed() {
    let retries = Retries { count: 2, delay: Duration::ZERO };
    let (mut dispatcher, seen) = dispatcher(Policy { retries, ..policy() }, 8);
    submit(&mut dispatcher, &["ok", "error", "denied"]);
    assert_eq!(outcomes(&mut dispatcher), [(Status::Ok, 1), (Status::Error, 3), (Status::Denied, 1)]);
    assert_eq!(seen.all().iter().filter(|what| *what == "1 error").count(), 3);
}

#[test]
fn a_run_halts_at_its_number_of_failures() {
    let (mut dispatcher, seen) = dispatcher(Policy { halt: Halt::Soon(HaltAt::Count(2)), ..policy() }, 1);
    submit(&mut dispatcher, &["error", "trap", "ok", "ok"]);
    let cancelled = (Status::Cancelled, 0);
    assert_eq!(outcomes(&mut dispatcher), [(Status::Error, 1), (Status::Trap, 1), cancelled, cancelled]);
    assert!(matches!(dispatcher.take_halted(), Some(Halted::Failures { failed: 2, ended: 2, .. })));
    assert!(dispatcher.take_halted().is_none(), "it is reported once");
    assert_eq!(seen.all(), ["0 error", "1 trap", "stop soon"]);
}

#[test]
fn stopping_now_ends_what_runs_and_starts_nothing() {
    let (mut dispatcher, seen) = dispatcher(policy(), 1);
    submit(&mut dispatcher, &["hang", "ok"]);
    dispatcher.turn(Wait::NO);
    dispatcher.stop_handle().stop_now();
    assert_eq!(outcomes(&mut dispatcher), [(Status::Cancelled, 1), (Status::Cancelled, 0)]);
    assert_eq!(seen.all(), ["0 hang", "stop now"]);
}

#[test]
fn an_executor_that_fails_ends_the_run_and_all_tasks_have_an_outcome() {
    let (mut dispatcher, _) = dispatcher(policy(), 2);
    submit(&mut dispatcher, &["broken", "ok", "ok"]);
    assert_eq!(outcomes(&mut dispatcher), [(Status::Cancelled, 0); 3]);
    assert_eq!(dispatcher.take_error().expect("an error").to_string(), "the machine is gone");
}

#[test]
fn an_attempt_that_was_not_given_cannot_end() {
    let (mut dispatcher, _) = dispatcher(policy(), 2);
    submit(&mut dispatcher, &["stranger"]);
    assert_eq!(outcomes(&mut dispatcher), [(Status::Cancelled, 0)]);
    assert!(dispatcher.take_error().expect("an error").to_string().contains("which it was not given"));
}

#[test]
fn a_task_that_its_executor_did_not_start_is_cancelled_and_not_given_again() {
    let (mut dispatcher, seen) = dispatcher(policy(), 2);
    submit(&mut dispatcher, &["unstarted", "ok"]);
    assert_eq!(outcomes(&mut dispatcher), [(Status::Cancelled, 0), (Status::Ok, 1)]);
    assert_eq!(seen.all(), ["0 unstarted", "1 ok"]);
}

#[test]
fn what_cannot_run_is_given_to_nobody() {
    let (mut dispatcher, seen) = dispatcher(policy(), 2);
    submit(&mut dispatcher, &[&"x".repeat(101)]);
    dispatcher.submit(Pending::new(1, 1, Call::Map, Task::unrunnable("ok", "no such file")));
    assert_eq!(outcomes(&mut dispatcher), [(Status::Limit, 0), (Status::Error, 0)]);
    assert!(seen.all().is_empty());
}

#[test]
fn nothing_starts_while_the_machine_is_short_of_memory() {
    let free = Arc::new(std::sync::atomic::AtomicU64::new(1));
    let measured = free.clone();
    let measure = move || Machine { free_memory_bytes: measured.load(std::sync::atomic::Ordering::Relaxed), load: 0.0 };
    let admission = Admission { free_memory_bytes: Some(2), ..Admission::default() }.measured_by(measure);
    let (mut dispatcher, seen) = dispatcher(Policy { admission, ..policy() }, 2);
    dispatcher.turn(Wait::NO);
    assert!(matches!(dispatcher.next_notice(), Some(Notice::HeldUp(_))));
    submit(&mut dispatcher, &["ok"]);
    dispatcher.turn(Wait::NO);
    assert!(seen.all().is_empty() && !dispatcher.has_room());
    free.store(2, std::sync::atomic::Ordering::Relaxed);
    let looked_at = std::time::Instant::now();
    let outcome = loop {
        dispatcher.turn(Wait::NO);
        if let Some(ended) = dispatcher.next_ended() {
            break ended.into_outcome();
        }
        assert!(looked_at.elapsed() < Duration::from_secs(20), "the gate stays closed");
        std::thread::yield_now();
    };
    assert_eq!(outcome.status(), Status::Ok);
}
