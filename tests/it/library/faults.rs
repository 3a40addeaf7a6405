//! Forbidden accesses to inputs: the task fails, and nothing else does.

use wrun::{Event, Input, Job, Module, Outcome, Status, Task};

use crate::support::{
    Flag, bytes, each, failed, file, input, open_files, patient, pattern, pool, result_words, task_module,
    task_module_with, text, words, workers_that_hold,
};

pub const PAGE: usize = 4 << 10;

pub const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
"#;

/// A task `bad` that maps the whole last input at `$at`, and does this; and a task that returns the sum of its bytes.
fn abuse(what: &str) -> Module {
    task_module_with(
        WASI,
        "2",
        &format!(
            r#"(data $words "0123456789abcdef") (data (i32.const 65532) "\2a\00\00\00")
            (func $last (result i32) (i32.sub (call $input_count) (i32.const 1)))
            (func (export "wrun:task/bad") (result i32) (local $at i32) (local $out i32)
                (local.set $at (call $map (call $last)))
                {what}
                (call $put (i32.const 12345))
                (i32.const 0))
            (func (export "wrun:task/sum") (result i32) (local $at i32) (local $end i32) (local $sum i32)
                (local.set $at (call $map (call $last)))
                (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $input_len (call $last)))))
                (loop $next
                    (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
                (call $put (local.get $sum))
                (i32.const 0))"#
        ),
    )
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().map(|&byte| u32::from(byte)).sum()
}

/// Runs tasks on a pool of one worker, which must not be lost.
pub fn on_one_worker<T: Into<Task>>(job: &Job, tasks: impl IntoIterator<Item = T>) -> Vec<Outcome> {
    let mut pool = pool(1);
    let run = pool.map(job, tasks.into_iter()).expect("a run");
    let observed = run.observe(|event, _| {
        if let Event::WorkerLost { reason, .. } = event {
            panic!("a worker was lost: {reason}");
        }
    });
    observed.collect()
}

/// Ways to write to a window at `$at`, with the offset of the first byte that each writes.
const WRITES: &[(&str, u64)] = &[
    ("(i32.store (local.get $at) (i32.const 1))", 0),
    ("(i32.store (i32.add (local.get $at) (i32.const 0x40)) (i32.const 1))", 0x40),
    ("(i32.store offset=0x1234 (local.get $at) (i32.const 1))", 0x1234),
    ("(i64.store8 offset=0x1001 (local.get $at) (i64.const 1))", 0x1001),
    ("(f64.store offset=0x8008 (local.get $at) (f64.const 1))", 0x8008),
    ("(v128.store offset=0x2000 (local.get $at) (v128.const i32x4 1 2 3 4))", 0x2000),
    ("(i32.atomic.store offset=0x3000 (local.get $at) (i32.const 1))", 0x3000),
    ("(drop (i32.atomic.rmw.add offset=0x3004 (local.get $at) (i32.const 1)))", 0x3004),
    ("(drop (i64.atomic.rmw.cmpxchg offset=0x3008 (local.get $at) (i64.const 0) (i64.const 0)))", 0x3008),
    ("(memory.fill (i32.add (local.get $at) (i32.const 0x40)) (i32.const 1) (i32.const 16))", 0x40),
    ("(memory.fill (local.get $at) (i32.const 1) (i32.const 1))", 0),
    ("(memory.copy (i32.add (local.get $at) (i32.const 0x1040)) (i32.const 0) (i32.const 16))", 0x1040),
    ("(memory.copy (i32.add (local.get $at) (i32.const 0x20)) (local.get $at) (i32.const 16))", 0x20),
    ("(memory.init $words (i32.add (local.get $at) (i32.const 0x50)) (i32.const 0) (i32.const 16))", 0x50),
    ("(call $arg_read (i32.add (local.get $at) (i32.const 0x60)))", 0x60),
    ("(drop (call $random_get (i32.add (local.get $at) (i32.const 0x70)) (i32.const 8)))", 0x70),
    ("(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.add (local.get $at) (i32.const 0x80))))", 0x80),
    ("(drop (call $args_get (i32.add (local.get $at) (i32.const 0x90)) (i32.const 512)))", 0x90),
    // Standard input is input 0; `$last` has the same bytes.
    (
        "(i32.store (i32.const 64) (i32.add (local.get $at) (i32.const 0x100))) (i32.store (i32.const 68) (i32.const 8))
         (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 72)))",
        0x100,
    ),
    // The count of bytes read is written to the window, after everything else is done.
    (
        "(i32.store (i32.const 64) (i32.const 128)) (i32.store (i32.const 68) (i32.const 8))
         (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.add (local.get $at) (i32.const 0x200))))",
        0x200,
    ),
    // Half of the write is in the guest's own memory, which ends where the window begins.
    ("(i64.store (i32.sub (local.get $at) (i32.const 4)) (i64.const 1))", 0),
];

/// Fails with all ways that gave a wrong result, so that one broken way does not hide another.
pub fn assert_none<'a>(wrong: impl IntoIterator<Item = (&'a str, String)>) {
    let wrong: Vec<String> = wrong.into_iter().map(|(how, what)| format!("{how}\n  gave {what}")).collect();
    assert!(wrong.is_empty(), "{} ways:\n{}", wrong.len(), wrong.join("\n"));
}

pub fn shown(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(output) => format!("a result of {} bytes", output.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_way_of_writing_to_an_input_fails_that_task_alone() {
    let content = pattern(17 * PAGE + 100);
    let data = Input::from_bytes("own data", &content).expect("memory");
    let mut wrong = Vec::new();
    for (how, offset) in WRITES {
        let module = abuse(how);
        let bad = Job::new(&module).call("bad").limits(patient());
        let good = Job::new(&module).call("sum").limits(patient());
        let task = || Task::new("argument").input(data.clone());
        let mut pool = pool(1);
        let mut run = |job: &Job| pool.run(job, task()).expect("a run");
        let expected = format!("input-fault: wrote to read-only input \"own data\" at offset {offset:#x}");
        for outcome in [run(&bad), run(&bad)] {
            if shown(&outcome) != expected {
                wrong.push((*how, shown(&outcome)));
            }
        }
        assert_eq!(result_words(&run(&good)), [sum(&content)], "after {how}");
    }
    assert_none(wrong);
}

#[test]
fn what_writes_to_an_input_elsewhere_is_allowed_in_own_memory() {
    // The positive control for all of the above: the same acts on the guest's own memory, 64 KiB in.
    for (how, _) in WRITES {
        let own = how.replace("(local.get $at)", "(i32.const 0x10100)");
        let module = abuse(&own);
        let job = Job::new(&module).call("bad").limits(patient());
        let data = Input::from_bytes("own data", &pattern(17 * PAGE)).expect("memory");
        let outcome = &each(&job, [Task::new("argument").input(data)])[0];
        assert_eq!(result_words(outcome), [12345], "{own}");
    }
}

#[test]
fn a_long_write_by_the_host_is_found_wherever_it_begins_and_ends() {
    // The C library may write the end of a long range first, so the offset is only known to lie inside the range.
    let cases = [
        ("(memory.fill (local.get $at) (i32.const 1) (i32.const 69632))", 0..69632),
        ("(memory.fill (i32.sub (local.get $at) (i32.const 5000)) (i32.const 1) (i32.const 10000))", 0..5000),
        ("(memory.fill (i32.add (local.get $at) (i32.const 3)) (i32.const 1) (i32.const 60000))", 3..60003),
        ("(memory.copy (i32.add (local.get $at) (i32.const 5000)) (local.get $at) (i32.const 60000))", 5000..65000),
        ("(memory.copy (local.get $at) (i32.const 0) (i32.const 65536))", 0..65536),
        ("(memory.copy (i32.sub (local.get $at) (i32.const 5000)) (local.get $at) (i32.const 9000))", 0..4000),
        ("(drop (call $random_get (i32.add (local.get $at) (i32.const 7)) (i32.const 60000)))", 7..60007),
    ];
    let content = pattern(17 * PAGE);
    let data = Input::from_bytes("data", &content).expect("memory");
    for (how, range) in cases {
        let module = abuse(how);
        let bad = Job::new(&module).call("bad").limits(patient());
        let ended = on_one_worker(&bad, (0..3).map(|_| Task::new("").input(data.clone())));
        for outcome in &ended {
            let (status, message) = failed(outcome);
            assert_eq!(status, Status::InputFault, "{how}: {message}");
            let offset = message.strip_prefix("wrote to read-only input \"data\" at offset 0x").expect(message);
            let offset = u64::from_str_radix(offset, 16).expect(message);
            assert!(range.contains(&offset), "{how}: {message}");
        }
        let good = Job::new(&module).call("sum");
        assert_eq!(result_words(&each(&good, [Task::new("").input(data.clone())])[0]), [sum(&content)]);
    }
}

#[test]
fn the_message_names_the_input_as_the_user_knows_it() {
    let module = abuse("(i32.store offset=0x40 (local.get $at) (i32.const 1))");
    let bad = Job::new(&module).call("bad");
    let file = file(&pattern(3 * PAGE));
    let whole = input(&file);
    let path = file.path().to_str().expect("UTF-8").to_owned();

    let named = &each(&bad.clone().input("dictionary", whole.clone()), [Task::new("")])[0];
    assert_eq!(failed(named).1, "wrote to read-only input \"dictionary\" at offset 0x40");
    let both = bad.clone().input("dictionary", whole.clone());
    let both = &each(&both, [Task::new("").input(whole.clone())])[0];
    assert_eq!(failed(both).1, "wrote to read-only input \"dictionary\" at offset 0x40");
    let own = &each(&bad, [Task::new("").input(whole.clone())])[0];
    assert_eq!(failed(own).1, format!("wrote to read-only input \"{path}\" at offset 0x40"));
    // Offsets are relative to the task's own view.
    let piece = whole.slice(5000..9000).expect("a range");
    let piece = &each(&bad, [Task::new("").input(piece)])[0];
    assert_eq!(failed(piece).1, format!("wrote to read-only input \"{path}@5000+4000\" at offset 0x40"));
}

#[test]
fn the_offset_counts_from_the_inputs_start_whatever_was_mapped() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/bad") (result i32)
            (i32.store8
                (i32.add (call $input_map (i32.const 0) (i64.load (i32.const 1024)) (i32.const 8000)) (call $arg (i32.const 2)))
                (i32.const 1))
            (i32.const 0))
        (func (export "wrun:task/t") (result i32)
            (call $arg_read (i32.const 1024))
            (i32.store8
                (i32.add (call $input_map (i32.const 0) (i64.load (i32.const 1024)) (i32.const 8000)) (call $arg (i32.const 2)))
                (i32.const 1))
            (i32.const 0))"#,
    );
    let file = file(&[]);
    file.as_file().set_len(5 << 30).expect("a sparse file");
    let data = Job::new(&module).call("t").input("data", input(&file));
    // The byte lies in the first page (a copied one), in the interior, or in the last page.
    for (start, at) in
        [(0u64, 0u32), (5, 0), (5, 4000), (5, 7999), (4096, 7000), (5 << 30 >> 1, 1), ((5 << 30) - 8000, 7999)]
    {
        let outcome = &each(&data, [words(&[start as u32, (start >> 32) as u32, at])])[0];
        let message = format!("wrote to read-only input \"data\" at offset {:#x}", start + u64::from(at));
        assert_eq!(failed(outcome), (Status::InputFault, message.as_str()));
    }
}

#[test]
fn a_fault_decides_the_outcome_whatever_the_task_does_next() {
    // After a host call has faulted, the guest continues; the task must be neither a success nor a different failure.
    let fill = "(memory.fill (local.get $at) (i32.const 1) (i32.const 10))";
    let cases = [
        format!("{fill} (call $output_write (local.get $at) (i32.const 10))"),
        format!("{fill} (unreachable)"),
        format!("{fill} (return (i32.const 1))"),
        format!("{fill} (call $fail (i32.const 0) (i32.const 4)) (return (i32.const 1))"),
        format!("{fill} (call $input_unmap (local.get $at))"),
        format!("{fill} (drop (call $output_map (i32.const 100)))"),
        format!(
            "{fill} (drop (call $map (call $last))) (drop (call $input_map (call $last) (i64.const 1) (i32.const 5)))"
        ),
    ];
    let content = pattern(3 * PAGE);
    let data = Input::from_bytes("data", &content).expect("memory");
    for how in cases {
        let module = abuse(&how);
        let tasks = || (0..2).map(|_| Task::new("").input(data.clone()));
        for job in [Job::new(&module).call("bad"), Job::new(&module).call("bad").reuse()] {
            for outcome in on_one_worker(&job, tasks()) {
                let message = "wrote to read-only input \"data\" at offset 0x0";
                assert_eq!(failed(&outcome), (Status::InputFault, message), "{how}");
            }
        }
        for outcome in on_one_worker(&Job::new(&module).call("sum").reuse(), tasks()) {
            assert_eq!(result_words(&outcome), [sum(&content)]);
        }
    }
}

#[test]
fn a_reused_instance_shows_the_input_again_after_a_fault() {
    // The host call leaves private pages in the window, with the bytes that it wrote.
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 0)))
            (if (call $arg (i32.const 0))
                (then (memory.fill (local.get $at) (i32.const 99) (i32.const 300000))))
            (call $output_write (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0))))
            (i32.const 0))"#,
    );
    let content = pattern(300_000);
    let data = Input::from_bytes("data", &content).expect("memory");
    let tasks = [0, 1, 0, 1, 1, 0].map(|bad| words(&[bad]).input(data.clone()));
    for (outcome, bad) in on_one_worker(&Job::new(&module).reuse(), tasks).iter().zip([0, 1, 0, 1, 1, 0]) {
        match bad {
            0 => assert!(bytes(outcome) == content),
            _ => assert_eq!(failed(outcome).0, Status::InputFault),
        }
    }
}

#[test]
fn filling_a_huge_input_ends_and_takes_no_memory() {
    const LEN: u64 = 1 << 30;
    let file = file(&[]);
    file.as_file().set_len(LEN).expect("a sparse file");
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/fill") (result i32)
            (memory.fill (call $map (i32.const 0)) (i32.const 1) (i32.wrap_i64 (call $input_len (i32.const 0))))
            (i32.const 0))
        (func (export "wrun:task/own") (result i32)
            (memory.fill (i32.shl (memory.grow (i32.const 3000)) (i32.const 16)) (i32.const 1) (i32.const 196608000))
            (i32.const 0))"#,
    );
    let job = |call: &str| Job::new(&module).call(call).limits(patient()).input("data", input(&file));
    let mut pool = pool(1);
    let filled = pool.run(&job("fill"), "").expect("a run");
    assert_eq!(failed(&filled).0, Status::InputFault);
    let workers = workers_that_hold(file.path());
    let &[worker] = &workers[..] else { panic!("one worker, not {workers:?}") };
    let peak = peak_mib(worker);
    assert!(peak < 128, "{peak} MiB");
    // The control: the same measure does see memory that a task allocates.
    assert_eq!(text(&pool.run(&job("own"), "").expect("a run")), "");
    assert!(peak_mib(worker) > 187, "{} MiB", peak_mib(worker));
}

/// A process's peak resident memory, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn every_use_of_a_window_that_was_given_back_is_a_trap() {
    let uses = [
        "(drop (i32.load (local.get $at)))",
        "(i32.store (local.get $at) (i32.const 1))",
        "(drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))",
        "(memory.fill (local.get $at) (i32.const 1) (i32.const 100000))",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.const 16))",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.const 5000))",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.const 16))",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.const 5000))",
        "(call $output_write (local.get $at) (i32.const 100))",
        "(call $log (i32.const 1) (local.get $at) (i32.const 100))",
        "(call $arg_read (local.get $at))",
        "(drop (call $random_get (local.get $at) (i32.const 100)))",
    ];
    let data = Input::from_bytes("data", &pattern(100_000)).expect("memory");
    let mut wrong = Vec::new();
    for how in uses {
        // Two pages of its own, so that the address is not a special one.
        let gone = abuse(&format!("(call $input_unmap (local.get $at)) {how}"));
        let control = abuse(&how.replace("(local.get $at)", "(i32.const 8192)"));
        let one = |module: &Module| {
            each(&Job::new(module).call("bad").limits(patient()), [Task::new("argument").input(data.clone())]).remove(0)
        };
        let outcome = one(&gone);
        if shown(&outcome) != "trap: it used memory outside of its windows, or a window that it gave back" {
            wrong.push((how, shown(&outcome)));
        }
        assert_eq!(one(&control).status(), Status::Ok, "{how}, in its own memory");
    }
    assert_none(wrong);
}

#[test]
fn a_worker_holds_no_descriptor_of_a_result_after_its_task() {
    let flag = Flag::new();
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/t") (result i32) (drop (call $output_map (i32.const 100000))) (i32.const 0))"#,
    );
    let mut pool = pool(1);
    let job = Job::new(&module).input("flag", flag.input());
    let ended: Vec<_> = pool.map(&job, 0..50).expect("a run").collect();
    assert_eq!(bytes(&ended[49]).len(), 100_000);
    let workers = workers_that_hold(flag.path());
    let &[worker] = &workers[..] else { panic!("one worker, not {workers:?}") };
    let open = open_files(worker);
    assert!(open.iter().any(|path| path.starts_with(flag.path())), "the control");
    assert!(!open.iter().any(|path| path.to_string_lossy().contains("wrun-output")), "{open:?}");
}
