//! Inputs and regions in memory of the guest's own: copied there, or mapped over it.

use wrun::job::InputMode;
use wrun::{Input, Job, Limits, Module, Status, Task};

use crate::library::faults::on_one_worker;
use crate::library::windows::{PAGE, WASM_PAGE};
use crate::support::{bytes, each, failed, file, input, pattern, result_words, task_module, words};

/// Lengths and offsets around the boundaries of both kinds of pages.
const EDGES: [usize; 8] = [0, 1, PAGE - 1, PAGE, PAGE + 1, WASM_PAGE - 1, WASM_PAGE, WASM_PAGE + 1];

/// The content of a file that is longer than all ranges.
fn content() -> Vec<u8> {
    pattern(3 * WASM_PAGE + 5000)
}

/// All ranges of [`EDGES`], each as offset and length.
fn ranges() -> impl Iterator<Item = (usize, usize)> {
    EDGES.into_iter().flat_map(|at| EDGES.into_iter().map(move |len| (at, len)))
}

/// Fills pages 2 to 5 with 255, maps the range of input 0 that the argument gives over them, and returns the address, these pages, and
/// the same pages once the window was given back.
fn over() -> Module {
    task_module(
        "6",
        r#"(func (export "wrun:task/over") (result i32) (local $at i32)
            (memory.fill (i32.const 0x20000) (i32.const 255) (i32.const 0x40000))
            (local.set $at (call $input_map_at
                (i32.const 0) (i64.extend_i32_u (call $arg (i32.const 0))) (call $arg (i32.const 1)) (i32.const 0x20000)))
            (call $put (local.get $at))
            (call $output_write (i32.const 0x20000) (i32.const 0x40000))
            (call $input_unmap (local.get $at))
            (call $output_write (i32.const 0x20000) (i32.const 0x40000))
            (i32.const 0))"#,
    )
}

#[test]
fn a_range_of_any_alignment_is_mapped_over_whole_pages_and_nothing_else() {
    let content = content();
    let file = file(&content);
    for job in [Job::new(&over()), Job::new(&over()).reuse(), Job::new(&over()).input_mode(InputMode::CopyOnWrite)] {
        let tasks = ranges().map(|(at, len)| words(&[at as u32, len as u32]).input(input(&file)));
        for (outcome, (at, len)) in each(&job, tasks).iter().zip(ranges()) {
            let (address, memory) = bytes(outcome).split_at(4);
            let (memory, given_back) = memory.split_at(4 * WASM_PAGE);
            let address = u32::from_le_bytes(address.try_into().expect("four bytes")) as usize;
            let what = format!("{len} bytes from {at} on");
            if len == 0 {
                assert!(address != 0 && memory.iter().all(|&byte| byte == 255), "{what}: nothing is mapped");
                continue;
            }
            let skew = at % PAGE;
            let covered = (skew + len).next_multiple_of(WASM_PAGE);
            assert_eq!(address, 2 * WASM_PAGE + skew, "{what}: the alignment of the file");
            assert!(memory[..skew].iter().all(|&byte| byte == 0), "{what}: before the range");
            assert!(memory[skew..][..len] == content[at..][..len], "{what}: the range's bytes");
            assert!(memory[skew + len..covered].iter().all(|&byte| byte == 0), "{what}: behind the range");
            assert!(memory[covered..].iter().all(|&byte| byte == 255), "{what}: behind the window");
            assert!(given_back[..covered].iter().all(|&byte| byte == 0), "{what}: given back");
            assert!(given_back[covered..].iter().all(|&byte| byte == 255), "{what}: behind what was given back");
        }
    }
}

#[test]
fn a_piece_of_a_file_is_mapped_and_read_by_its_offset_in_the_file() {
    let content = content();
    let file = file(&content);
    let piece = input(&file).slice(5001..5001 + 70_000).expect("a range");
    let task = words(&[2, 69_998]).input(piece.clone());
    let outcome = &each(&Job::new(&over()), [task])[0];
    let skew = 5003 % PAGE;
    assert_eq!(result_words(outcome)[0] as usize, 2 * WASM_PAGE + skew);
    assert!(bytes(outcome)[4 + skew..][..69_998] == content[5003..][..69_998]);
    let outcome = &each(&Job::new(&reader()), [words(&[2, 69_998]).input(piece)])[0];
    assert!(bytes(outcome)[READ_TO - WASM_PAGE..][..69_998] == content[5003..][..69_998]);
}

/// Where [`reader`] reads to.
const READ_TO: usize = 0x10007;

/// Fills pages 1 to 4 with 255, copies the range of input 0 that the argument gives to [`READ_TO`], and returns these pages.
fn reader() -> Module {
    task_module(
        "5",
        r#"(func (export "wrun:task/read") (result i32)
            (memory.fill (i32.const 0x10000) (i32.const 255) (i32.const 0x40000))
            (call $input_read
                (i32.const 0) (i64.extend_i32_u (call $arg (i32.const 0))) (call $arg (i32.const 1)) (i32.const 0x10007))
            (call $output_write (i32.const 0x10000) (i32.const 0x40000))
            (i32.const 0))"#,
    )
}

#[test]
fn a_range_of_any_alignment_is_copied() {
    let content = content();
    let file = file(&content);
    let tasks = ranges().map(|(at, len)| words(&[at as u32, len as u32]).input(input(&file)));
    for (outcome, (at, len)) in each(&Job::new(&reader()), tasks).iter().zip(ranges()) {
        let (memory, what) = (bytes(outcome), format!("{len} bytes from {at} on"));
        let start = READ_TO - WASM_PAGE;
        assert!(memory[start..][..len] == content[at..][..len], "{what}");
        let around = memory[..start].iter().chain(&memory[start + len..]);
        assert!(around.copied().all(|byte| byte == 255), "{what}: bytes around it");
    }
}

/// Copies input 0 into a window of input 1.
fn reads_into_a_window() -> Module {
    task_module(
        "1",
        r#"(func (export "wrun:task/into") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 1)))
            (call $input_read (i32.const 0) (i64.const 1) (i32.const 150000) (i32.add (local.get $at) (i32.const 100)))
            (call $output_write (local.get $at) (i32.const 150200))
            (i32.const 0))
        (func (export "wrun:task/result") (result i32)
            (call $input_read (i32.const 0) (i64.const 0) (i32.const 200000) (call $output_map (i32.const 200000)))
            (i32.const 0))"#,
    )
}

#[test]
fn a_copy_goes_wherever_the_guest_may_write() {
    let (from, to) = (pattern(200_000), vec![7; 150_200]);
    let (from_file, to_file) = (file(&from), file(&to));
    let task = || Task::new("").input(input(&from_file)).input(input(&to_file));
    let into = Job::new(&reads_into_a_window()).call("into").limits(Limits::default());
    let copied = &each(&into.clone().input_mode(InputMode::CopyOnWrite), [task()])[0];
    assert!(bytes(copied) == [&to[..100], &from[1..150_001], &to[150_100..]].concat());
    assert_eq!(
        failed(&each(&into, [task()])[0]),
        (Status::InputFault, &*format!("wrote to read-only input {:?} at offset 0x64", to_file.path()))
    );
    let result = &each(&Job::new(&reads_into_a_window()).call("result"), [task()])[0];
    assert!(bytes(result) == from);
}

#[test]
fn what_copy_on_write_windows_over_own_memory_hold_counts_once() {
    let module = task_module(
        "16",
        r#"(func (export "wrun:task/over") (result i32)
            (memory.fill (call $input_map_at (i32.const 0) (i64.const 0) (i32.const 600000) (i32.const 0x20000))
                (i32.const 1) (i32.const 600000))
            (call $put (i32.load (i32.const 0x20000)))
            (i32.const 0))
        (func (export "wrun:task/new") (result i32)
            (memory.fill (call $map (i32.const 0)) (i32.const 1) (i32.const 600000))
            (i32.const 0))"#,
    );
    let memory = 16 * WASM_PAGE as u64;
    let data = file(&pattern(600_000));
    let job = Job::new(&module).limits(Limits { memory_bytes: memory, ..Limits::default() });
    let job = job.input_mode(InputMode::CopyOnWrite);
    let over = &each(&job.clone().call("over"), [Task::new("").input(input(&data))])[0];
    assert_eq!(result_words(over), [0x0101_0101]);
    assert_eq!(over.stats.usage.peak_memory_bytes, memory);
    // The control: the same in new pages is more than the limit.
    assert_eq!(failed(&each(&job.call("new"), [Task::new("").input(input(&data))])[0]).0, Status::Limit);
}

#[test]
fn a_file_that_is_too_short_fails_that_task_alone() {
    let content = pattern(200_000);
    let good = Input::from_bytes("good", &content).expect("memory");
    for (module, call) in [(reader(), "read"), (over(), "over")] {
        for len in [0, 1, 5000, 100_000, 149_999] {
            let data = file(&content);
            let opened = input(&data);
            data.as_file().set_len(len).expect("a shorter file");
            let tasks = [opened, good.clone()].map(|input| words(&[0, 150_000]).input(input));
            let ended = on_one_worker(&Job::new(&module).call(call), tasks);
            let message = format!("input {:?} was truncated to {len} bytes while mapped", data.path());
            assert_eq!(failed(&ended[0]), (Status::InputFault, message.as_str()), "{call}");
            assert!(bytes(&ended[1]).windows(1000).any(|part| part == &content[..1000]), "{call}");
        }
    }
}
