//! Files that tasks write in place: `--out` with an output slice for each task.

use std::os::unix::fs::FileExt;

use wrun::job::FailedSlice;
use wrun::{Input, Job, Limits, Module, Outcome, OutputFile, Retries, Status, Task};

use crate::support::{
    Flag, each, failed, file, kill, patient, pool, result_words, task_module, text, worker_that_maps, workers_that_hold,
};

/// Fills its slice with its index + 1 (as a byte), after checking that all of it was 0 (otherwise it fails with code 2).
fn fills() -> Module {
    task_module(
        "1",
        r#"(func $fill (param $value i32) (result i32) (local $at i32) (local $end i32)
            (local.set $end (i32.wrap_i64 (call $region_len (i32.const 0))))
            (local.set $at (call $region_map (i32.const 0) (i64.const 0) (local.get $end)))
            (local.set $end (i32.add (local.get $at) (local.get $end)))
            (loop $next
                (if (i32.load8_u (local.get $at)) (then (return (i32.const 2))))
                (i32.store8 (local.get $at) (local.get $value))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
            (i32.const 0))
        (func $value (result i32) (i32.add (i32.const 1) (i32.wrap_i64 (i64.rem_u (call $task_index) (i64.const 255)))))
        (func (export "wrun:task/fill") (result i32) (call $fill (call $value)))
        (func (export "wrun:task/fill_and_fail") (result i32) (drop (call $fill (call $value))) (i32.const 1))
        ;; Fails if a byte was not 0, otherwise writes and fails: passes on the second attempt if the first one's bytes stay.
        (func (export "wrun:task/second_time") (result i32)
            (i32.eqz (call $fill (i32.const 7))))
        ;; Writes the first byte, waits for input 0 and writes the last.
        (func (export "wrun:task/half") (result i32) (local $at i32)
            (local.set $at (call $region_map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $region_len (i32.const 0)))))
            (i32.store8 (local.get $at) (i32.const 9))
            (call $wait (call $map (i32.const 0)))
            (i32.store8 offset=9999 (local.get $at) (i32.const 9))
            (i32.const 0))
        ;; Two overlapping windows: what is written in one appears in the other. The first byte of the slice says whether it does.
        (func (export "wrun:task/overlap") (result i32) (local $a i32) (local $b i32)
            (local.set $a (call $region_map (i32.const 0) (i64.const 0) (i32.const 60)))
            (local.set $b (call $region_map (i32.const 0) (i64.const 50) (i32.const 40)))
            (i32.store8 offset=55 (local.get $a) (i32.const 5))
            (i32.store8 offset=6 (local.get $b) (i32.const 6))
            (call $put (i32.load8_u offset=5 (local.get $b)))
            (call $put (i32.load8_u offset=56 (local.get $a)))
            (call $input_unmap (local.get $a))
            (call $input_unmap (local.get $b))
            (i32.const 0))
        ;; Writes and reads everything around its slice, up to the ends of its pages; passes if it was all 0.
        (func (export "wrun:task/around") (result i32) (local $at i32) (local $end i32)
            (local.set $end (i32.wrap_i64 (call $region_len (i32.const 0))))
            (local.set $at (call $region_map (i32.const 0) (i64.const 0) (local.get $end)))
            (local.set $end (i32.and (i32.add (i32.add (local.get $at) (local.get $end)) (i32.const 4095)) (i32.const -4096)))
            (local.set $at (i32.and (local.get $at) (i32.const -4096)))
            (loop $next
                (if (i32.load8_u (local.get $at)) (then (return (i32.const 2))))
                (i32.store8 (local.get $at) (call $value))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
            (i32.const 0))
        ;; Writes past all of that.
        (func (export "wrun:task/behind") (result i32)
            (i32.store8 offset=65535 (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 1)) (i32.const 0))"#,
    )
}

/// The contents of the file after each of these tasks has filled its slice with its number.
fn filled(count: usize, slice: usize) -> Vec<u8> {
    (0..count).flat_map(|index| std::iter::repeat_n((index % 255) as u8 + 1, slice)).collect()
}

fn job(call: &str, out: &OutputFile) -> Job {
    Job::new(&fills()).call(call).limits(patient()).out(out.clone())
}

const SIZES: [usize; 9] = [1, 3, 100, 4095, 4096, 4097, 8192, 65536 + 8, 300_001];

#[test]
fn every_slice_has_exactly_what_its_task_wrote() {
    let wat = fills();
    for slice in SIZES {
        for reuse in [false, true] {
            for call in ["fill", "around"] {
                let out = file(&[]);
                let opened = OutputFile::create(out.path(), slice as u64).unwrap();
                let mut job = Job::new(&wat).call(call).limits(patient()).out(opened);
                if reuse {
                    job = job.reuse();
                }
                let count = if slice < 10_000 { 600 } else { 20 };
                let ended: Vec<_> = pool(4).map(&job, 0..count).unwrap().collect();
                ended.iter().for_each(|outcome| assert_eq!(text(outcome), "", "{slice} {call}"));
                assert!(std::fs::read(out.path()).unwrap() == filled(count as usize, slice), "{slice} {reuse} {call}");
            }
        }
    }
}

#[test]
fn the_file_keeps_what_it_had_and_is_as_long_as_needed() {
    let out = file(&[99; 50]);
    let opened = OutputFile::create(out.path(), 10).unwrap();
    let some = Job::new(&fills()).call("behind").limits(patient()).out(opened.clone());
    let ended = each(&some, 0..2);
    assert_eq!(failed(&ended[0]).0, Status::Trap);
    // The slices of failed tasks are zeroed, and bytes that belong to no task stay.
    assert_eq!(std::fs::read(out.path()).unwrap(), [&[0; 20][..], &[99; 30]].concat());
    assert!(each(&job("fill", &opened), 0..2).iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(std::fs::read(out.path()).unwrap(), [&filled(2, 10)[..], &[99; 30]].concat());
    let mut run = pool(1);
    let longer = run.map(&job("fill", &opened), std::iter::once(Task::new(""))).unwrap().first_index(7);
    assert!(longer.finish().is_ok());
    let ended: Vec<_> = run.map(&job("fill", &opened), 0..1).unwrap().first_index(7).collect();
    assert!(ended[0].result.is_ok());
    let expected = [&filled(2, 10)[..], &[99; 30], &[0; 20], &[8; 10]].concat();
    assert_eq!(std::fs::read(out.path()).unwrap(), expected, "a gap of zeros, and no other byte has changed");
}

#[test]
fn a_failed_slice_is_zeros_or_stays_and_the_message_names_it() {
    for (choice, word, byte) in [(FailedSlice::Zero, "are zeros", 0), (FailedSlice::Leave, "are as it left them", 1)] {
        let out = file(&[]);
        let opened = OutputFile::create(out.path(), 5000).unwrap().failed_slice(choice);
        let ended = each(&job("fill_and_fail", &opened), 0..3);
        let name = out.path().display();
        let message = format!("the task function returned 1 (bytes 5000..10000 of \"{name}\" {word})");
        assert_eq!(failed(&ended[1]), (Status::Error, &message[..]));
        let bytes = std::fs::read(out.path()).unwrap();
        assert_eq!(bytes.len(), 15_000);
        let expected = |at: usize| if byte == 0 { 0 } else { (at / 5000) as u8 + 1 };
        assert!((0..15_000).all(|at| bytes[at] == expected(at)), "{choice:?}");
    }
}

#[test]
fn another_attempt_begins_with_zeros_or_with_what_was_left() {
    for (choice, passes) in [(FailedSlice::Zero, false), (FailedSlice::Leave, true)] {
        let opened = OutputFile::in_memory(5000).unwrap().failed_slice(choice);
        let retries = Retries { count: 3, ..Retries::default() };
        let ended = each(&job("second_time", &opened).retries(retries), 0..1);
        assert_eq!(ended[0].result.is_ok(), passes, "{choice:?}: {:?}", ended[0].result);
    }
}

#[test]
fn windows_of_one_slice_that_overlap_show_the_same_bytes() {
    let opened = OutputFile::in_memory(100).unwrap();
    let ended = each(&job("overlap", &opened), 0..100);
    ended.iter().for_each(|outcome| assert_eq!(result_words(outcome), [5, 6]));
    let bytes = opened.read(0..10_000).unwrap();
    let value = |at: usize| match at % 100 {
        55 => 5,
        56 => 6,
        _ => 0,
    };
    assert!((0..10_000).all(|at| bytes[at] == value(at)));
}

#[test]
fn slices_far_beyond_4_gib_are_written() {
    let out = file(&[]);
    let opened = OutputFile::create(out.path(), 5001).unwrap();
    let index = (6u64 << 30) / 5001;
    let ended: Vec<_> = pool(1).map(&job("fill", &opened), 0..1).unwrap().first_index(index).collect();
    assert_eq!(text(&ended[0]), "");
    assert_eq!(out.as_file().metadata().unwrap().len(), (index + 1) * 5001);
    let value = (index % 255) as u8 + 1;
    assert!(opened.read(index * 5001..(index + 1) * 5001).unwrap().iter().all(|byte| *byte == value));
    let far: Vec<_> = pool(1).map(&job("fill", &opened), 0..1).unwrap().first_index(u64::MAX / 2).collect();
    assert_eq!(failed(&far[0]).0, Status::Limit);
}

#[test]
fn a_task_that_is_killed_leaves_zeros_and_its_neighbours_alone() {
    let (out, flag) = (file(&[]), Flag::new());
    let opened = OutputFile::create(out.path(), 10_000).unwrap();
    let mut pool = pool(2);
    assert!(pool.map(&job("fill", &opened), 0..3).unwrap().all(|outcome| outcome.result.is_ok()));
    out.as_file().write_all_at(&[0; 10_000], 10_000).unwrap();
    let job = job("half", &opened);
    let mut run = pool.map(&job, std::iter::once(Task::new("").input(flag.input()))).unwrap().first_index(1);
    let path = flag.path().to_owned();
    let killer = std::thread::spawn(move || kill(worker_that_maps(&path)));
    let outcome = run.next().unwrap();
    killer.join().unwrap();
    assert_eq!(outcome.status(), Status::WorkerLost);
    drop(run);
    let name = out.path().display();
    let message = failed(&outcome).1.to_owned();
    assert!(message.ends_with(&format!("(bytes 10000..20000 of \"{name}\" are zeros)")), "{message}");
    let mut expected = filled(3, 10_000);
    expected[10_000..20_000].fill(0);
    assert!(std::fs::read(out.path()).unwrap() == expected);
}

#[test]
fn a_file_that_is_truncated_while_mapped_fails_its_task_alone() {
    let (out, flag) = (file(&[]), Flag::new());
    let opened = OutputFile::create(out.path(), 10_000).unwrap();
    let mut pool = pool(1);
    for len in [0, 3] {
        let job = job("half", &opened);
        let mut run = pool.map(&job, std::iter::once(Task::new("").input(flag.input()))).unwrap();
        let (path, cut, flag) = (flag.path().to_owned(), out.as_file().try_clone().unwrap(), &flag);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                worker_that_maps(&path);
                cut.set_len(len).unwrap();
                flag.raise();
            });
            run.next().unwrap()
        });
        let name = out.path().display();
        let expected = format!("output file \"{name}\" was truncated to {len} bytes while mapped");
        let (status, message) = failed(&outcome);
        assert_eq!(status, Status::InputFault);
        assert!(message.starts_with(&expected), "{message}");
        drop(run);
        out.as_file().set_len(0).unwrap();
        std::fs::write(flag.path(), [0; 4096]).unwrap();
    }
    assert!(pool.map(&job("fill", &opened), 0..3).unwrap().all(|outcome| outcome.result.is_ok()));
}

#[test]
fn what_is_no_output_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = |path: &std::path::Path| format!("{:?}", OutputFile::create(path, 1).unwrap_err());
    assert!(refusal(directory.path()).contains("it is a directory"));
    assert!(refusal("/dev/null".as_ref()).contains("it is a device"));
    assert!(refusal(&directory.path().join("no/file")).contains("no such directory"));
    let out = file(b"abc");
    let read_only = std::fs::File::open(out.path()).unwrap();
    let error = format!("{:?}", OutputFile::from_file(read_only, "mine", 1).unwrap_err());
    assert_eq!(error, r#"cannot use output file "mine": it is not open for reading and writing"#);
    assert!(OutputFile::create(out.path(), 0).is_err());
    let opened = OutputFile::create(out.path(), 1).unwrap();
    let same = Input::open(out.path()).unwrap();
    let error = pool(1).map(&job("fill", &opened).input("x", same.clone()), 0..1).map(drop).unwrap_err();
    assert!(error.kind() == wrun::ErrorKind::Request && error.to_string().contains("is the output file"), "{error}");
    let ended = each(&job("fill", &opened), [Task::new("").input(same)]);
    assert!(failed(&ended[0]).1.contains("is the output file"));
}

#[test]
fn a_full_disk_fails_tasks_with_a_message() {
    // A file in memory that may not grow stands in for a full disk.
    let sealed = rustix::fs::memfd_create("full", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let full = std::fs::File::from(sealed);
    full.set_len(25).unwrap();
    rustix::fs::fcntl_add_seals(&full, rustix::fs::SealFlags::GROW).unwrap();
    let opened = OutputFile::from_file(full, "full", 10).unwrap();
    let ended = each(&job("fill", &opened), 0..4);
    assert!(ended[..2].iter().all(|outcome| outcome.result.is_ok()));
    let (status, message) = failed(&ended[2]);
    assert!(
        status == Status::Limit && message.starts_with(r#"there is no room for its slice, bytes 20..30 of "full": "#)
    );
}

#[test]
fn a_small_slice_whose_page_has_gone_fails_its_task_when_it_is_written_back() {
    let (out, flag) = (file(&[]), Flag::new());
    let opened = OutputFile::create(out.path(), 100).unwrap();
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/wait") (result i32)
            (i32.store8 (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 1))
            (call $wait (call $map (i32.const 0)))
            (i32.const 0))"#,
    );
    let job = Job::new(&module).limits(patient()).out(opened);
    let mut pool = pool(1);
    let mut run = pool.map(&job, std::iter::once(Task::new("").input(flag.input()))).unwrap();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            worker_that_maps(flag.path());
            out.as_file().set_len(0).unwrap();
            flag.raise();
        });
        run.next().unwrap()
    });
    let expected = format!("output file \"{}\" was truncated to 0 bytes while mapped", out.path().display());
    let (status, message) = failed(&outcome);
    assert!(status == Status::InputFault && message.starts_with(&expected), "{status}: {message}");
    drop(run);
    // A run whose file somebody else has truncated reports it at the end.
    let mut run = pool.map(&job, std::iter::once(Task::new("").input(flag.input()))).unwrap();
    assert!(run.next().unwrap().result.is_ok());
    out.as_file().set_len(10).unwrap();
    let error = format!("{:?}", run.finish().unwrap_err());
    assert!(error.ends_with("it was truncated to 10 bytes while tasks wrote it, and results are lost"), "{error}");
}

#[test]
fn a_worker_that_could_write_a_file_does_not_live_on_without_it() {
    let out = file(&[]);
    let opened = OutputFile::create(out.path(), 100).unwrap();
    let mut pool = pool(1);
    let write = job("fill", &opened);
    assert!(pool.map(&write, 0..1).unwrap().all(|outcome| outcome.result.is_ok()));
    let first = pool.worker_pids();
    assert_eq!(workers_that_hold(out.path()), first, "the control");
    std::fs::write(out.path(), []).unwrap();
    assert!(pool.map(&write, 0..1).unwrap().all(|outcome| outcome.result.is_ok()));
    assert_eq!(pool.worker_pids(), first, "another run of the same file");
    let other = OutputFile::in_memory(100).unwrap();
    assert!(pool.map(&job("fill", &other), 0..1).unwrap().all(|outcome| outcome.result.is_ok()));
    assert!(pool.worker_pids() != first && workers_that_hold(out.path()).is_empty());
}

#[test]
fn a_task_that_times_out_leaves_zeros_and_another_attempt_begins_with_them() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/hang") (result i32) (local $at i32)
            (local.set $at (call $region_map (i32.const 0) (i64.const 0) (i32.const 9000)))
            ;; The second attempt sees what the first one wrote.
            (if (i32.load8_u offset=5000 (local.get $at)) (then (return (i32.const 7))))
            (i32.store8 offset=5000 (local.get $at) (i32.const 1))
            (call $hang)
            (i32.const 0))"#,
    );
    let retries = Retries { count: 1, ..Retries::default() };
    let limits = Limits { timeout: Some(std::time::Duration::from_millis(500).into()), ..Limits::default() };
    for (choice, status) in [(FailedSlice::Zero, Status::Timeout), (FailedSlice::Leave, Status::Error)] {
        let opened = OutputFile::in_memory(9000).unwrap().failed_slice(choice);
        let job = Job::new(&module).limits(limits.clone()).out(opened.clone()).retries(retries);
        let ended = each(&job, 0..1);
        assert_eq!(failed(&ended[0]).0, status, "{choice:?}: {:?}", ended[0].result);
        let written = opened.read(0..9000).unwrap();
        assert_eq!(written[5000], u8::from(choice == FailedSlice::Leave));
    }
}

#[test]
fn one_run_at_a_time_writes_a_file() {
    let out = file(&[]);
    let opened = || OutputFile::create(out.path(), 100).unwrap();
    let shared = opened();
    let mut first = pool(1);
    let run = first.map(&job("fill", &shared), 0..1).unwrap();
    for other in [shared.clone(), opened(), opened().concurrent()] {
        let error = format!("{:?}", pool(1).map(&job("fill", &other), 0..1).map(drop).unwrap_err());
        assert!(error.ends_with("another run is writing it; give each run its own"), "{error}");
    }
    drop(run);
    assert_eq!(each(&job("fill", &opened()), 0..1).len(), 1);
    assert_eq!(each(&job("fill", &shared), 0..1).len(), 1);
}

#[test]
fn runs_of_different_tasks_can_write_a_file_at_the_same_time() {
    let out = file(&[]);
    let opened = || OutputFile::create(out.path(), 100).unwrap().concurrent();
    let (mut one, mut two) = (pool(1), pool(1));
    let (early, late) = (job("fill", &opened()), job("fill", &opened()));
    let mut first = one.map(&early, 0..3).unwrap();
    let mut second = two.map(&late, 0..3).unwrap().first_index(3);
    assert!(first.by_ref().all(|outcome| outcome.result.is_ok()));
    assert!(second.by_ref().all(|outcome| outcome.result.is_ok()));
    first.finish().unwrap();
    second.finish().unwrap();
    assert_eq!(std::fs::read(out.path()).unwrap(), filled(6, 100));
    // Space for further slices is not allocated ahead, and nobody else can reserve the file meanwhile.
    let run = one.map(&early, 0..1).unwrap();
    let alone = OutputFile::create(out.path(), 100).unwrap();
    assert!(two.map(&job("fill", &alone), 0..1).is_err());
    drop(run);
}

/// Empties the file after the first of `count` tasks; returns the outcomes and the error at the end.
fn emptied(slice: u64, count: u64, empty: impl Fn(&std::fs::File)) -> (Vec<Outcome>, String) {
    let out = file(&[]);
    let opened = OutputFile::create(out.path(), slice).unwrap();
    let job = job("fill", &opened);
    let mut pool = pool(1);
    let mut run = pool.map(&job, 0..count).unwrap().ahead(1);
    let mut outcomes = vec![run.next().unwrap()];
    empty(out.as_file());
    outcomes.extend(run.by_ref());
    (outcomes, format!("{:?}", run.finish().unwrap_err()))
}

#[test]
fn a_file_that_somebody_else_empties_is_an_error_and_does_not_grow_again() {
    // Each slice needs more than is allocated ahead.
    let (outcomes, error) = emptied(2 << 20, 5, |file| file.set_len(0).unwrap());
    assert!(error.ends_with("it was truncated to 0 bytes while tasks wrote it, and results are lost"), "{error}");
    assert!(outcomes[0].result.is_ok());
    let (_, message) = failed(outcomes.last().unwrap());
    assert!(message.ends_with("was truncated to 0 bytes while tasks wrote it"), "{message}");
}

#[test]
fn a_file_that_is_removed_meanwhile_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let opened = OutputFile::create(&path, 100).unwrap();
    let (job, mut pool) = (job("fill", &opened), pool(1));
    let mut run = pool.map(&job, 0..3).unwrap();
    assert!(run.next().unwrap().result.is_ok());
    std::fs::remove_file(&path).unwrap();
    let error = format!("{:?}", run.finish().unwrap_err());
    assert!(error.ends_with("it was removed while tasks wrote it, and results are lost"), "{error}");
}
