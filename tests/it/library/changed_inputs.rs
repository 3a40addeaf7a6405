//! Files that change while a task uses them, by truncation or otherwise.

use std::fs::File;
use std::os::unix::fs::FileExt;

use wrun::{Input, Job, Module, Status, Task};

use crate::library::faults::{PAGE, WASI, assert_none, on_one_worker, shown};
use crate::support::{
    Flag, bytes, failed, file, input, patient, pattern, pool, result_words, task_module, task_module_with, wait_for,
    worker_that_maps,
};

/// A task that maps input 0 and does this with it.
fn reader(what: &str) -> Module {
    task_module_with(
        WASI,
        "8",
        &format!(
            r#"(func (export "wrun:task/t") (result i32) (local $at i32) (local $out i32)
            (local.set $at (call $map (i32.const 0)))
            (if (i32.gt_u (call $input_count) (i32.const 1)) (then (call $wait (call $map (i32.const 1)))))
            {what}
            (i32.const 0))"#
        ),
    )
}

/// Ways to read all of a window of 16 pages at `$at`, by the guest and by the host.
const READS: &[&str] = &[
    "(drop (i32.load offset=40960 (local.get $at))) (call $put (i32.load8_u offset=65535 (local.get $at)))",
    "(drop (v128.load offset=40960 (local.get $at))) (call $put (i32.load8_u offset=65535 (local.get $at)))",
    "(drop (i32.atomic.load offset=40960 (local.get $at))) (call $put (i32.load8_u offset=65535 (local.get $at)))",
    "(memory.copy (i32.const 65536) (local.get $at) (i32.const 65536)) (call $put (i32.load8_u (i32.const 131071)))",
    // A short copy of constant length is compiled to loads and stores that wasmtime does not expect to fault.
    "(memory.copy (i32.const 65536) (i32.add (local.get $at) (i32.const 40960)) (i32.const 24))
     (call $put (i32.load8_u (i32.const 65536)))",
    "(call $output_write (local.get $at) (i32.const 65536))",
    "(local.set $out (call $output_map (i32.const 65536))) (memory.copy (local.get $out) (local.get $at) (i32.const 65536))",
    "(call $log (i32.const 3) (local.get $at) (i32.const 65536)) (call $put (i32.const 1))",
    "(call $fail (local.get $at) (i32.const 65536)) (call $put (i32.const 1))",
    "(drop (call $input_find (i32.add (local.get $at) (i32.const 40960)) (i32.const 100))) (call $put (i32.const 1))",
    "(i32.store (i32.const 64) (local.get $at)) (i32.store (i32.const 68) (i32.const 65536))
     (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72))) (call $put (i32.const 1))",
];

/// The one of [`READS`] that returns everything that it read.
const WRITTEN_OUT: &str = "(call $output_write (local.get $at) (i32.const 65536))";

#[test]
fn a_file_truncated_while_mapped_fails_that_task_alone() {
    let mut wrong = Vec::new();
    for how in READS {
        let module = reader(how);
        let job = Job::new(&module).limits(patient());
        let data = file(&pattern(16 * PAGE));
        let flag = Flag::new();
        let good = Input::from_bytes("good", &pattern(16 * PAGE)).expect("memory");
        let tasks = [
            Task::new("").input(good.clone()),
            Task::new("").input(input(&data)).input(flag.input()),
            Task::new("").input(good),
        ];
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                // Once the second window is mapped, so is the first.
                worker_that_maps(flag.path());
                data.as_file().set_len(2 * PAGE as u64).expect("a shorter file");
                flag.raise();
            });
            let mut pool = pool(1);
            pool.map(&job, tasks.into_iter()).expect("a run").collect::<Vec<_>>()
        });
        let expected = format!("input-fault: input {:?} was truncated to 8192 bytes while mapped", data.path());
        if shown(&ended[1]) != expected {
            wrong.push((*how, shown(&ended[1])));
        }
        // The control: the same task on a file that does not change.
        assert_eq!(ended[0].status(), Status::Ok, "{how}: {:?}", ended[0].result);
        assert!(ended[0].result == ended[2].result && !bytes(&ended[0]).is_empty(), "{how}");
    }
    assert_none(wrong);
}

#[test]
fn a_file_truncated_before_it_is_mapped_fails_that_task_alone() {
    let module = reader(WRITTEN_OUT);
    let content = pattern(16 * PAGE);
    let good = Input::from_bytes("good", &content).expect("memory");
    let mut wrong = Vec::new();
    for len in [0, 1, PAGE, 5000, 15 * PAGE, 15 * PAGE + 1, 16 * PAGE - 1] {
        let data = file(&content);
        let opened = input(&data);
        data.as_file().set_len(len as u64).expect("a shorter file");
        let tasks = [opened, good.clone()].map(|input| Task::new("").input(input));
        let ended = on_one_worker(&Job::new(&module), tasks);
        let expected = format!("input-fault: input {:?} was truncated to {len} bytes while mapped", data.path());
        if shown(&ended[0]) != expected {
            wrong.push(("a shorter file", format!("{} for one of {len} bytes", shown(&ended[0]))));
        }
        assert!(bytes(&ended[1]) == content);
    }
    assert_none(wrong);
}

#[test]
fn a_file_truncated_within_its_last_page_does_not_give_a_wrong_result() {
    // No access faults here: the page still exists, with zeros in place of the bytes.
    let module = reader(WRITTEN_OUT);
    let data = file(&pattern(16 * PAGE));
    let flag = Flag::new();
    let task = Task::new("").input(input(&data)).input(flag.input());
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            worker_that_maps(flag.path());
            data.as_file().set_len(16 * PAGE as u64 - 10).expect("a shorter file");
            flag.raise();
        });
        on_one_worker(&Job::new(&module).limits(patient()), [task])
    });
    let message = format!("input {:?} was truncated to 65526 bytes while mapped", data.path());
    assert_eq!(failed(&ended[0]), (Status::InputFault, message.as_str()));
}

#[test]
fn a_truncated_range_of_a_file_is_found_by_its_own_end() {
    // The file is still longer than the piece, but ends before the piece does.
    let module = reader(WRITTEN_OUT);
    let data = file(&pattern(64 * PAGE));
    let piece = |start: u64| input(&data).slice(start..start + 16 * PAGE as u64).expect("a range");
    let (lost, kept) = (piece(40 * PAGE as u64 + 5), piece(5));
    data.as_file().set_len(45 * PAGE as u64).expect("a shorter file");
    let ended = on_one_worker(&Job::new(&module), [lost, kept].map(|input| Task::new("").input(input)));
    let message =
        format!("input \"{}@163845+65536\" was truncated to 184320 bytes while mapped", data.path().display());
    assert_eq!(failed(&ended[0]), (Status::InputFault, message.as_str()));
    assert!(bytes(&ended[1]) == &pattern(64 * PAGE)[5..5 + 16 * PAGE]);
}

#[test]
fn a_file_that_grows_while_mapped_is_seen_as_it_was() {
    let data = file(&pattern(5000));
    let opened = input(&data);
    data.as_file().write_all_at(&[255; 9000], 5000).expect("a longer file");
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 0)))
            (call $output_write (local.get $at) (i32.const 65536))
            (i32.const 0))"#,
    );
    let found = &on_one_worker(&Job::new(&module), [Task::new("").input(opened)])[0];
    assert!(bytes(found)[..5000] == pattern(5000));
    assert!(bytes(found)[5000..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_task_whose_standard_input_was_truncated_reads_what_is_left() {
    // Copying maps nothing, so nothing faults: it is an ordinary end of file.
    let module = task_module_with(
        WASI,
        "2",
        r#"(func (export "_start") (local $n i32)
            (i32.store (i32.const 64) (i32.const 4096)) (i32.store (i32.const 68) (i32.const 60000))
            (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 68)))
            (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72))))"#,
    );
    let data = file(&pattern(10_000));
    let opened = input(&data);
    let whole = &on_one_worker(&Job::new(&module), [opened.clone()])[0];
    assert!(bytes(whole) == pattern(10_000));
    data.as_file().set_len(7000).expect("a shorter file");
    assert!(bytes(&on_one_worker(&Job::new(&module), [opened])[0]) == pattern(7000));
}

#[test]
fn a_change_of_an_input_is_seen_by_atomic_loads() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 0)))
            (call $put (i32.load offset=8 (local.get $at)))
            (call $wait (local.get $at))
            (call $put (i32.load offset=8 (local.get $at)))
            (i32.const 0))"#,
    );
    let shared = file(&[0; PAGE]);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            worker_that_maps(shared.path());
            // Two writes: the test cannot know when the guest has read the first value, so the second follows once the guest waits.
            shared.as_file().write_all_at(&7u32.to_le_bytes(), 8).expect("a write");
            shared.as_file().write_all_at(&1u32.to_le_bytes(), 0).expect("a write");
        });
        on_one_worker(&Job::new(&module).limits(patient()), [Task::new("").input(input(&shared))])
    });
    assert_eq!(result_words(&ended[0])[1], 7);
}

#[test]
#[expect(unsafe_code, reason = "maps memory that a worker changes at the same time")]
fn atomic_instructions_on_shared_pages_lose_no_update_between_two_processes() {
    use std::sync::atomic::{AtomicU32, Ordering};
    const ADDS: u32 = 3_000_000;
    // The memory of `output_map` is shared but out of reach for other processes; this test reaches it through /proc.
    let module = task_module(
        "1",
        &format!(
            r#"(func (export "wrun:task/t") (result i32) (local $at i32) (local $flag i32) (local $n i32)
            (local.set $flag (call $map (i32.const 0)))
            (local.set $at (call $output_map (i32.const 4096)))
            (i32.atomic.store offset=4 (local.get $at) (i32.const 1))
            (loop (br_if 0 (i32.ne (i32.const 2) (i32.atomic.load offset=4 (local.get $at)))))
            (loop $add
                (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
                (br_if $add (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {ADDS}))))
            ;; The other side unmaps before it raises the flag; only then can the result be sealed.
            (call $wait (local.get $flag))
            (i32.const 0))"#
        ),
    );
    let flag = Flag::new();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            let worker = worker_that_maps(flag.path());
            let output = wait_for(|| {
                let number = std::fs::read_dir(format!("/proc/{worker}/fd")).ok()?.flatten().find(|entry| {
                    std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("wrun-output"))
                })?;
                File::options().read(true).write(true).open(number.path()).ok()
            });
            wait_for(|| (output.metadata().ok()?.len() == 4096).then_some(()));
            let map = memmap2::MmapRaw::map_raw(&output).expect("a mapping");
            let word = |at: usize| {
                // SAFETY: inside of the page, aligned, and only accessed by atomics while the guest runs.
                unsafe { AtomicU32::from_ptr(map.as_mut_ptr().cast::<u32>().add(at)) }
            };
            wait_for(|| (word(1).load(Ordering::Acquire) == 1).then_some(()));
            word(1).store(2, Ordering::Release);
            for _ in 0..ADDS {
                word(0).fetch_add(1, Ordering::Relaxed);
            }
            drop(map);
            flag.raise();
        });
        on_one_worker(&Job::new(&module).limits(patient()), [Task::new("").input(flag.input())])
    });
    assert_eq!(result_words(&ended[0])[0], 2 * ADDS);
}
