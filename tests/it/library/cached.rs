//! Results that are kept between runs: the cache and its keys.

use std::cell::RefCell;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;
use wrun::cache::ResultCache;
use wrun::job::UnknownImports;
use wrun::result::{Level, LogLine};
use wrun::{
    Access, Compiler, Directory, Event, Grants, Input, Job, Limits, Module, Outcome, Pool, RunStats, Source, Task,
};

use crate::support::{Flag, WRUN, file, input, module, pool, text, within_patience, worker_that_maps};

/// Writes the argument and all inputs, and logs the argument; does not ask for its index.
const CAT: &str = r#"
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_count" (func $input_count (result i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $write (param i32 i32)))
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func $map (param $input i32) (result i32)
    (call $input_map (local.get $input) (i64.const 0) (i32.wrap_i64 (call $input_len (local.get $input)))))
  (func $cat (export "wrun:task/cat") (result i32) (local $input i32)
    (call $arg_read (i32.const 1024))
    (call $write (i32.const 1024) (call $arg_len))
    (call $log (i32.const 3) (i32.const 1024) (call $arg_len))
    (block (loop
      (br_if 1 (i32.ge_u (local.get $input) (call $input_count)))
      (call $write (call $map (local.get $input)) (i32.wrap_i64 (call $input_len (local.get $input))))
      (local.set $input (i32.add (local.get $input) (i32.const 1)))
      (br 0)))
    (i32.const 0))
  (func (export "wrun:task/same") (result i32) (call $cat))
  (func (export "wrun:task/fail") (result i32) (i32.const 1))
  ;; Ends when the first byte of the input is not 0.
  (func (export "wrun:task/wait") (result i32) (local $at i32)
    (local.set $at (call $map (i32.const 0)))
    (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get $at)))))
    (i32.const 0))
  ;; A result of 200,000 bytes, with the argument in it.
  (func (export "wrun:task/long") (result i32) (local $count i32)
    (call $arg_read (i32.const 0))
    (loop
      (call $write (i32.const 0) (i32.const 50000))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get $count) (i32.const 4))))
    (i32.const 0))
"#;

fn cat_module() -> Module {
    module(format!("(module {CAT})"))
}

fn job_of(call: &str) -> Job {
    Job::new(&cat_module()).call(call)
}

/// A directory for a cache.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("results")
    }

    fn cache(&self) -> ResultCache {
        ResultCache::at(self.dir())
    }

    fn pool(&self) -> Pool {
        pool_with(self.cache())
    }

    /// Outcomes, in item order, of a run on its own pool.
    fn run(&self, job: &Job, tasks: impl Source) -> Vec<Outcome> {
        self.pool().map(job, tasks).expect("a run").collect()
    }

    /// Whether the result of this one task comes from the cache.
    fn knows(&self, job: &Job, task: &Task) -> bool {
        let outcome = &self.run(job, std::iter::once(task.clone()))[0];
        assert!(outcome.result.is_ok(), "{outcome:?}");
        outcome.stats.cached
    }
}

fn pool_with(cache: ResultCache) -> Pool {
    let workers = NonZeroUsize::new(2).expect("two");
    Pool::builder().workers(workers).worker_exe(WRUN).cache(cache).build().expect("a pool")
}

/// What a run reports about not being cached, and its outcomes.
fn reported(mut pool: Pool, job: &Job, tasks: impl Source) -> (Vec<String>, Vec<Outcome>) {
    let reported = Rc::new(RefCell::new(Vec::new()));
    let listener = Rc::clone(&reported);
    let run = pool.map(job, tasks).expect("a run").observe(move |event, _| {
        if let Event::NotCached { why } = event {
            listener.borrow_mut().push((*why).to_owned());
        }
    });
    let outcomes = run.collect();
    (reported.take(), outcomes)
}

#[test]
fn a_task_whose_result_is_kept_does_not_run() {
    let place = Place::new();
    let shared = file(b"shared");
    let job = job_of("cat").input("i", input(&shared));
    let tasks = || (0..20).map(|number| Task::new(format!("{number} ")));
    let first = place.run(&job, tasks());
    assert!(first.iter().all(|outcome| !outcome.stats.cached));
    let mut pool = place.pool();
    let mut run = pool.map(&job, tasks()).expect("a run");
    let second: Vec<_> = run.by_ref().collect();
    let stats = run.finish().expect("an ordinary end");
    let mut expected = RunStats::default();
    (expected.taken, expected.done, expected.cached) = (20, 20, 20);
    assert_eq!(stats, expected);
    for (index, (first, second)) in first.iter().zip(&second).enumerate() {
        assert_eq!(text(second), format!("{index} shared"));
        assert_eq!((text(second), &second.log), (text(first), &first.log));
        assert_eq!(second.log, [LogLine::new(Level::Info, format!("{index} "))]);
        assert!(second.stats.cached);
        assert_eq!((second.stats.start, second.stats.duration), (first.stats.start, first.stats.duration));
    }
    assert!(pool.worker_pids().is_empty(), "a worker was started for nothing");
    assert!(self::pool(1).map(&job, tasks()).expect("a run").all(|outcome| !outcome.stats.cached), "without a cache");
}

#[test]
fn every_thing_that_a_task_can_see_is_in_its_key() {
    let place = Place::new();
    let (a, b) = (file(b"aaaa"), file(b"bbbb"));
    let task = Task::new("x").input(input(&a));
    let base = || job_of("cat").input("i", input(&a));
    assert!(!place.knows(&base(), &task));
    assert!(place.knows(&base(), &task));
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        base().limits(limits)
    };
    let environment = Grants { environment: vec![("A".into(), "b".into())], ..Grants::default() };
    let with = |inputs: &[Input]| Task { inputs: inputs.to_vec(), ..Task::new("x") };
    let slice = |range| input(&a).slice(range).expect("a range");
    let others = [
        (Job { module: module(format!("(module {CAT} (data (i32.const 0) \"\"))")), ..base() }, task.clone()),
        (job_of("same").input("i", input(&a)), task.clone()),
        (job_of("cat").input("j", input(&a)), task.clone()),
        (job_of("cat").input("i", input(&b)), task.clone()),
        (job_of("cat"), task.clone()),
        (limits(|limits| limits.memory_bytes += 1), task.clone()),
        (limits(|limits| limits.output_bytes += 1), task.clone()),
        (limits(|limits| limits.stack_bytes += 65536), task.clone()),
        (limits(|limits| limits.log_bytes += 1), task.clone()),
        (limits(|limits| limits.open_files += 1), task.clone()),
        (limits(|limits| limits.host_call_bytes += 1), task.clone()),
        (Job { seed: 1, ..base() }, task.clone()),
        (base().unknown_imports(UnknownImports::Trap), task.clone()),
        (base().grants(environment), task.clone()),
        (base(), Task { argument: "y".into(), ..task.clone() }),
        (base(), with(&[])),
        (base(), with(&[input(&b)])),
        (base(), with(&[input(&a), input(&b)])),
        (base(), with(&[input(&b), input(&a)])),
        (base(), with(&[slice(0..3)])),
        // The bytes are the same, but a guest finds them at another address.
        (base(), with(&[slice(1..4)])),
    ];
    for (number, (job, task)) in others.iter().enumerate() {
        assert!(!place.knows(job, task), "number {number} is mistaken for another");
        assert!(place.knows(job, task), "number {number} is not cached");
    }
    let compiler = Compiler { exe: Some(WRUN.into()), count_fuel: true, ..Compiler::default() };
    let counting = compiler.load_bytes("test.wat", format!("(module {CAT})").as_bytes()).expect("a valid module");
    let fuel = |fuel| Job { module: counting.clone(), ..limits(fuel) };
    for job in
        [fuel(|limits| limits.fuel = Some(1_000_000)), fuel(|limits| limits.fuel = Some(2_000_000)), fuel(|_| {})]
    {
        let (first, second) =
            (place.run(&job, std::iter::once(task.clone())), place.run(&job, std::iter::once(task.clone())));
        assert_eq!((first[0].stats.cached, second[0].stats.cached), (false, true));
        assert!(first[0].stats.fuel.is_some() && first[0].stats.fuel == second[0].stats.fuel);
    }
    // Differences that cannot change a result.
    let same = file(b"aaaa");
    assert!(place.knows(&limits(|limits| limits.timeout = Some(Duration::from_secs(1000).into())), &task));
    assert!(place.knows(&base(), &with(&[input(&same)])), "other files with the same bytes");
    assert_eq!(place.cache().list().expect("a list").len(), others.len() + 4);
}

#[test]
fn a_byte_that_changes_is_seen_though_size_and_time_stay() {
    let place = Place::new();
    let data = file(b"one");
    let task = || Task::new("").input(input(&data));
    assert!(!place.knows(&job_of("cat"), &task()) && place.knows(&job_of("cat"), &task()));
    let modified = data.as_file().metadata().expect("metadata").modified().expect("a time");
    data.as_file().write_all_at(b"t", 0).expect("a write");
    data.as_file().set_modified(modified).expect("a time");
    let outcome = &place.run(&job_of("cat"), std::iter::once(task()))[0];
    assert_eq!((text(outcome).as_str(), outcome.stats.cached), ("tne", false));
}

#[test]
fn words_of_a_command_and_its_position_are_in_the_key_where_it_sees_them() {
    let place = Place::new();
    let command = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let quiet = command.replace("random_get", "args_get");
    let at = |module: &str, index: u64, words: Option<&[&str]>| {
        let argv = words.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        let job = Job { argv, ..Job::new(&self::module(module)) };
        let mut pool = place.pool();
        let mut run = pool.map(&job, std::iter::once("x")).expect("a run").first_index(index);
        let outcome = run.next().expect("an outcome");
        assert!(outcome.result.is_ok(), "{outcome:?}");
        outcome.stats.cached
    };
    assert!(!at(command, 0, None) && at(command, 0, None));
    assert!(!at(command, 1, None), "random numbers follow from the position");
    assert!(!at(&quiet, 0, None) && at(&quiet, 1, None), "and nothing else does");
    assert!(!at(&quiet, 0, Some(&[])) && !at(&quiet, 0, Some(&["x"])) && !at(&quiet, 0, Some(&["x", "y"])));

    let index = r#"(module (import "wrun_v1" "task_index" (func $index (result i64)))
        (func (export "f") (result i64) (call $index)))"#;
    let index = Job::new(&self::module(index));
    let results = |count: usize| -> Vec<(String, bool)> {
        let outcomes = place.run(&index, std::iter::repeat_n("", count));
        outcomes.iter().map(|outcome| (text(outcome), outcome.stats.cached)).collect()
    };
    assert_eq!(results(2), [("0".to_owned(), false), ("1".to_owned(), false)]);
    assert_eq!(results(3), [("0".to_owned(), true), ("1".to_owned(), true), ("2".to_owned(), false)]);
}

#[test]
fn failures_are_never_kept() {
    let place = Place::new();
    for _ in 0..2 {
        let outcomes = place.run(&job_of("fail"), ["a", "b"].into_iter());
        assert!(outcomes.iter().all(|outcome| outcome.result.is_err() && !outcome.stats.cached));
    }
    let limits = Limits { argument_bytes: 3, ..Limits::default() };
    assert!(!place.knows(&job_of("cat"), &Task::new("long")));
    let outcomes = place.run(&job_of("cat").limits(limits), std::iter::once("long"));
    assert!(outcomes[0].result.is_err(), "a cached result does not lift a limit");
    assert_eq!(place.cache().list().expect("a list").len(), 1);
}

#[test]
fn jobs_whose_tasks_see_more_are_not_cached_and_say_so() {
    let place = Place::new();
    let directory = Directory::open(place.0.path(), "/d", Access::ReadOnly).expect("a directory");
    let granted = |grants| job_of("cat").grants(grants);
    let polls = r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    for (job, why) in [
        (job_of("cat").reuse(), "instances are reused"),
        (granted(Grants { directories: vec![directory], ..Grants::default() }), "the files of directories"),
        (granted(Grants { clock: true, ..Grants::default() }), "the real time"),
        (granted(Grants { random: true, ..Grants::default() }), "real random numbers"),
        (Job::new(&module(polls)), "poll_oneoff"),
    ] {
        for _ in 0..2 {
            let (reported, outcomes) = reported(place.pool(), &job, ["a", "b"].into_iter());
            assert!(reported.len() == 1 && reported[0].contains(why), "{reported:?}");
            assert!(outcomes.iter().all(|outcome| outcome.result.is_ok() && !outcome.stats.cached));
        }
    }
    assert!(!place.dir().exists());
    assert!(reported(place.pool(), &job_of("cat"), std::iter::once("a")).0.is_empty());
}

#[test]
fn a_result_is_not_kept_where_an_input_changed_meanwhile() {
    let place = Place::new();
    let dir = place.dir();
    within_patience(move || {
        let flag = Flag::new();
        let mut pool = pool_with(ResultCache::at(&dir));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                worker_that_maps(flag.path());
                flag.raise();
            });
            let outcome = pool.run(&job_of("wait").input("flag", flag.input()), "").expect("an outcome");
            assert!(outcome.result.is_ok(), "{outcome:?}");
        });
        assert!(ResultCache::at(&dir).list().expect("a list").is_empty());
        let outcome = pool.run(&job_of("wait").input("flag", flag.input()), "").expect("an outcome");
        assert!(outcome.result.is_ok() && !outcome.stats.cached);
        assert_eq!(ResultCache::at(&dir).list().expect("a list").len(), 1, "nothing changed this time");
    });
}

#[test]
fn long_results_come_back_whole_and_are_merged() {
    let place = Place::new();
    let reduced = || {
        let mut pool = place.pool();
        let stats = Rc::new(RefCell::new(RunStats::default()));
        let last = Rc::clone(&stats);
        // Long results, short ones, and merges of both.
        let run = pool.map(&job_of("long"), (0..20).map(|number: i32| number)).expect("a run");
        let run = run.observe(move |_, stats| *last.borrow_mut() = *stats);
        let merged = run.reduce("cat", |failed| panic!("{failed:?}")).expect("a merge");
        (merged.result.expect("a result"), merged.stats.cached, stats.take())
    };
    let (first, cached, stats) = reduced();
    assert_eq!((first.len(), cached, stats.merged, stats.merged_cached), (20 * 200_000, false, 4, 0));
    let (second, cached, stats) = reduced();
    assert!(first == second, "another result");
    assert_eq!((cached, stats.cached, stats.merged, stats.merged_cached), (true, 20, 4, 4));
}

#[test]
fn inputs_and_arguments_in_memory_are_known_by_their_bytes() {
    let place = Place::new();
    let bytes = |first: u8| [&[first][..], &vec![b'x'; 100_000]].concat();
    let job = job_of("long").limits(Limits { argument_bytes: 1 << 20, ..Limits::default() });
    let known = |input, argument| {
        let input = Input::from_bytes("memory", &bytes(input)).expect("memory");
        place.knows(&job, &Task::new(bytes(argument)).input(input))
    };
    assert!(!known(1, 1) && known(1, 1));
    assert!(!known(2, 1) && !known(1, 2));
    assert!(known(2, 1) && known(1, 2));
}

#[test]
fn an_unchanged_file_is_hashed_once_for_all_runs() {
    // Files that have existed for a while: hashes of files that were written just now are not remembered.
    let place = Place::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let task = || Task::new("").input(Input::open(&path).expect("a file"));
    let hashes = || {
        let entries = std::fs::read_dir(place.dir()).expect("a directory").flatten();
        let hashes = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".hash"));
        hashes.map(|entry| entry.metadata().expect("metadata").ino()).collect::<HashSet<u64>>()
    };
    assert!(!place.knows(&job_of("cat"), &task()));
    let remembered = hashes();
    assert_eq!(remembered.len(), 1);
    assert!(place.knows(&job_of("cat"), &task()));
    assert!(!place.knows(&job_of("same"), &task()));
    assert_eq!(hashes(), remembered, "new hashes are written again");
}

#[test]
fn a_cache_that_cannot_be_written_is_reported_once_and_the_run_goes_on() {
    let place = Place::new();
    let not_a_directory = place.0.path().join("file");
    std::fs::write(&not_a_directory, "").expect("a file");
    let (without_directory, outcomes) = reported(pool_with(ResultCache::at(&not_a_directory)), &job_of("cat"), 0..50);
    assert!(without_directory.len() == 1 && without_directory[0].contains("cannot be used"), "{without_directory:?}");
    assert_eq!(outcomes.iter().map(text).collect::<Vec<_>>(), (0..50).map(|n: i32| n.to_string()).collect::<Vec<_>>());

    // The directory is removed after it was opened.
    let dir = place.dir();
    let tasks = (0..50).inspect(move |_: &i32| drop(std::fs::remove_dir_all(&dir)));
    let (reported, outcomes) = reported(place.pool(), &job_of("cat"), tasks);
    assert!(reported.len() == 1 && reported[0].contains("cannot write to cache directory"), "{reported:?}");
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
}

#[test]
fn pools_share_a_cache() {
    let place = Place::new();
    let all = |place: &Place| place.run(&job_of("cat"), 0..200).iter().map(text).collect::<Vec<_>>();
    let expected: Vec<String> = (0..200).map(|number: i32| number.to_string()).collect();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| all(&place))).collect();
        runs.into_iter().for_each(|run| assert_eq!(run.join().expect("a run"), expected));
    });
    assert!(place.run(&job_of("cat"), 0..200).iter().all(|outcome| outcome.stats.cached));
}
