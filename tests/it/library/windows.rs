//! Windows: what a task sees of its inputs, where, and for how long.

use wrun::{Input, Job, Limits, Module, Status, Task};

use crate::support::{bytes, each, failed, file, input, pattern, result_words, rust_guest, task_module, text, words};

pub const WASM_PAGE: usize = 64 << 10;
pub const PAGE: usize = 4 << 10;

/// The message of a task that used a window after unmapping it.
pub const GONE: &str = "it used memory outside of its windows, or a window that it gave back";

/// Maps the range of input 0 that the argument gives (offset and length); returns the address, then all memory that the call
/// added.
fn dump(memory: &str) -> Module {
    task_module(
        memory,
        r#"(func (export "wrun:task/dump") (result i32) (local $old i32)
            (local.set $old (i32.shl (memory.size) (i32.const 16)))
            (call $put (call $input_map (i32.const 0) (i64.extend_i32_u (call $arg (i32.const 0))) (call $arg (i32.const 1))))
            (call $output_write (local.get $old) (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $old)))
            (i32.const 0))"#,
    )
}

/// Splits what [`dump`] returns: the address, and the memory.
fn address_and_memory(dumped: &[u8]) -> (usize, &[u8]) {
    let (address, memory) = dumped.split_at(4);
    (u32::from_le_bytes(address.try_into().expect("four bytes")) as usize, memory)
}

/// Lengths and offsets around the boundaries of both kinds of pages.
const EDGES: [usize; 8] = [0, 1, PAGE - 1, PAGE, PAGE + 1, WASM_PAGE - 1, WASM_PAGE, WASM_PAGE + 1];

/// Checks what a task sees that mapped `expected`, which is at `file_offset` in its file.
fn check_window(dumped: &[u8], expected: &[u8], file_offset: usize, what: &str) {
    let (address, memory) = address_and_memory(dumped);
    assert_ne!(address, 0, "{what}");
    if expected.is_empty() {
        assert!(memory.is_empty(), "{what}: an empty window takes no memory");
        return;
    }
    assert_eq!(address % PAGE, file_offset % PAGE, "{what}: the alignment of the file");
    let start = address - WASM_PAGE;
    assert!(memory[start..].starts_with(expected), "{what}: the range's bytes");
    assert!(memory[..start].iter().all(|&byte| byte == 0), "{what}: something before the range");
    assert!(memory[start + expected.len()..].iter().all(|&byte| byte == 0), "{what}: something after the range");
}

#[test]
fn a_range_of_any_alignment_is_seen_exactly_and_nothing_around_it() {
    let content = pattern(3 * WASM_PAGE + 5000);
    let file = file(&content);
    let whole = input(&file);
    let ranges: Vec<(usize, usize)> = EDGES.iter().flat_map(|&at| EDGES.iter().map(move |&len| (at, len))).collect();
    let job = Job::new(&dump("1"));

    // The guest asks for the range.
    let tasks = ranges.iter().map(|&(at, len)| words(&[at as u32, len as u32]).input(whole.clone()));
    for (outcome, &(at, len)) in each(&job, tasks).iter().zip(&ranges) {
        check_window(bytes(outcome), &content[at..at + len], at, &format!("{len} bytes at {at}"));
    }
    // The task has only this range.
    let slice = |at: usize, len: usize| whole.slice(at as u64..(at + len) as u64).expect("a range");
    let tasks = ranges.iter().map(|&(at, len)| words(&[0, len as u32]).input(slice(at, len)));
    for (outcome, &(at, len)) in each(&job, tasks).iter().zip(&ranges) {
        check_window(bytes(outcome), &content[at..at + len], at, &format!("{len} bytes at {at}, as the input"));
    }
    // Both: a range of a range.
    let tasks =
        ranges.iter().map(|&(at, len)| words(&[at as u32, len as u32]).input(slice(4097, content.len() - 4097)));
    for (outcome, &(at, len)) in each(&job, tasks).iter().zip(&ranges) {
        let what = format!("{len} bytes at {at} of a part at 4097");
        check_window(bytes(outcome), &content[4097 + at..4097 + at + len], 4097 + at, &what);
    }
}

#[test]
fn a_file_of_any_length_is_seen_whole_with_zeros_behind_it() {
    let job = Job::new(&dump("1"));
    for len in EDGES {
        let content = pattern(len);
        let file = file(&content);
        let outcome = &each(&job, [words(&[0, len as u32]).input(input(&file))])[0];
        check_window(bytes(outcome), &content, 0, &format!("a file of {len} bytes"));
    }
}

#[test]
fn a_memory_that_begins_with_no_page_gets_no_window_at_address_0() {
    let job = Job::new(&task_module(
        "0",
        r#"(func (export "wrun:task/first") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 0)))
            (call $output_write (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0))))
            (i32.eqz (local.get $at)))"#,
    ));
    for content in [pattern(10), pattern(WASM_PAGE)] {
        let input = Input::from_bytes("data", &content).expect("memory");
        let outcome = &each(&job, [Task::new("").input(input)])[0];
        assert!(bytes(outcome) == content, "{} bytes", content.len());
    }
}

#[test]
fn a_large_range_is_seen_exactly_where_there_is_room_to_align_it_and_where_there_is_not() {
    const LARGE: usize = 8 << 20;
    let content = pattern(LARGE + 3 * PAGE);
    let file = file(&content);
    // The module's own page and the window's pages: with the second declaration nothing is left.
    for memory in ["1", "1 130"] {
        let job = Job::new(&dump(memory));
        for (at, len) in [(0, LARGE), (0, LARGE + 1), (1, LARGE), (PAGE, LARGE - 1), (PAGE + 5, LARGE + PAGE)] {
            let task = words(&[at as u32, len as u32]).input(input(&file));
            check_window(
                bytes(&each(&job, [task])[0]),
                &content[at..at + len],
                at,
                &format!("{memory}, {len} from {at}"),
            );
        }
    }
}

#[test]
fn impossible_ranges_trap_with_a_message_that_names_the_call_and_the_values() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/map") (result i32)
            (drop (call $input_map (call $arg (i32.const 0)) (i64.load (i32.const 1028)) (call $arg (i32.const 3))))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    let map = |index: u32, offset: u64, len: u32| words(&[index, offset as u32, (offset >> 32) as u32, len]);
    let cases = [
        (map(0, 0, 101), "input_map(0, 0, 101): the input has 100 bytes"),
        (map(0, 100, 1), "input_map(0, 100, 1): the input has 100 bytes"),
        (map(0, 101, 0), "input_map(0, 101, 0): the input has 100 bytes"),
        (map(0, u64::MAX, 1), "input_map(0, 18446744073709551615, 1): the input has 100 bytes"),
        (map(0, u64::MAX - 3, 100), "input_map(0, 18446744073709551612, 100): the input has 100 bytes"),
        (map(1, 0, 1), "input_map(1, 0, 1): this task has 1 inputs, counted from 0"),
        (map(u32::MAX, 0, 1), "input_map(4294967295, 0, 1): this task has 1 inputs, counted from 0"),
    ];
    let job = Job::new(&module);
    let tasks = cases.iter().map(|(task, _)| task.clone().input(data.clone()));
    for (outcome, (_, message)) in each(&job, tasks).iter().zip(&cases) {
        assert_eq!(failed(outcome), (Status::Trap, *message));
    }
    let none = &each(&job, [map(0, 0, 1)])[0];
    assert_eq!(failed(none), (Status::Trap, "input_map(0, 0, 1): this task has no inputs"));
    for task in [map(0, 0, 100), map(0, 99, 1), map(0, 100, 0)] {
        assert_eq!(text(&each(&job, [task.input(data.clone())])[0]), "", "what is possible");
    }
}

#[test]
fn the_same_range_has_the_same_address_and_others_have_their_own() {
    let module = task_module(
        "1",
        r#"(func $at (param i64 i32) (call $put (call $input_map (i32.const 0) (local.get 0) (local.get 1))))
        (func (export "wrun:task/addresses") (result i32)
            (call $at (i64.const 0) (i32.const 100))
            (call $at (i64.const 0) (i32.const 100))
            (call $at (i64.const 0) (i32.const 101))
            (call $at (i64.const 1) (i32.const 100))
            (call $at (i64.const 0) (i32.const 100))
            (call $put (memory.size))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(200)).expect("memory");
    let found = result_words(&each(&Job::new(&module), [Task::new("").input(data)])[0]);
    let [first, again, longer, later, third, pages] = found[..] else { panic!("{found:?}") };
    assert_eq!((again, third), (first, first));
    assert!(longer != first && later != first && later != longer, "{found:?}");
    assert_eq!(pages, 4, "three windows and a page of the module's own");
}

/// Maps input 0, `arg 0` times, unmaps it `arg 1` times, and reads its byte at `arg 2`.
fn counting(memory: &str) -> Job {
    Job::new(&task_module(
        memory,
        r#"(func (export "wrun:task/count") (result i32) (local $at i32) (local $n i32)
            (local.set $n (call $arg (i32.const 0)))
            (loop $map
                (local.set $at (call $map (i32.const 0)))
                (br_if $map (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.set $n (call $arg (i32.const 1)))
            (block $done (loop $unmap
                (br_if $done (i32.eqz (local.get $n)))
                (call $input_unmap (local.get $at))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $unmap)))
            (call $put (i32.load8_u (i32.add (local.get $at) (call $arg (i32.const 2)))))
            (i32.const 0))"#,
    ))
}

/// Checks what a task of [`counting`] does when its window is at different addresses.
fn check_counting(maps: u32, unmaps: u32, at: usize, expected: Result<(), (Status, &str)>) {
    let content = pattern(3 * PAGE);
    for (memory, from) in [("1", 0), ("1", 5), ("1", PAGE), ("2", 0), ("2", 5)] {
        let job = counting(memory);
        let data = Input::from_bytes("data", &content).expect("memory");
        let data = data.slice(from as u64..content.len() as u64).expect("a range");
        let outcome = &each(&job, [words(&[maps, unmaps, at as u32]).input(data)])[0];
        match expected {
            Ok(()) => assert_eq!(result_words(outcome), [u32::from(content[from + at])], "{memory} pages, from {from}"),
            Err(expected) => assert_eq!(failed(outcome), expected, "{memory} pages, from {from}"),
        }
    }
}

#[test]
fn a_window_stays_until_it_was_unmapped_as_often_as_mapped() {
    check_counting(1, 0, 100, Ok(()));
    check_counting(2, 1, 100, Ok(()));
    check_counting(2, 1, 5000, Ok(()));
    check_counting(3, 2, 5000, Ok(()));
}

#[test]
fn use_after_unmap_traps() {
    for at in [0, 5000, 3 * PAGE - 6] {
        check_counting(1, 1, at, Err((Status::Trap, GONE)));
        check_counting(2, 2, at, Err((Status::Trap, GONE)));
    }
}

#[test]
fn unmapping_what_is_no_window_traps() {
    let module = task_module(
        "2",
        r#"(func (export "wrun:task/more") (result i32) (local $at i32)
            (local.set $at (call $map (i32.const 0)))
            (call $input_unmap (i32.add (local.get $at) (call $arg (i32.const 0))))
            (if (call $arg (i32.const 1)) (then (call $input_unmap (local.get $at))))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    let ended = each(&Job::new(&module), [[0, 0], [1, 0], [0, 1]].map(|args| words(&args).input(data.clone())));
    assert_eq!(text(&ended[0]), "");
    assert_eq!(failed(&ended[1]), (Status::Trap, "input_unmap(0x20001): no window begins there"));
    assert_eq!(failed(&ended[2]), (Status::Trap, "input_unmap(0x20000): no window begins there"));
}

#[test]
fn an_empty_window_can_be_unmapped_and_takes_nothing_from_others() {
    // One page: the first real window begins at the address of the empty one.
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/both") (result i32) (local $empty i32) (local $full i32)
            (local.set $empty (call $input_map (i32.const 0) (i64.const 7) (i32.const 0)))
            (local.set $full (call $map (i32.const 0)))
            (call $input_unmap (local.get $empty))
            (call $put (i32.load8_u (local.get $full)))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(100)).expect("memory");
    assert_eq!(result_words(&each(&Job::new(&module), [Task::new("").input(data)])[0]), [1]);
}

/// Walks over input 0 through windows and reads a 32-bit word at each step, unmapping each window before the next.
fn walk() -> Job {
    Job::new(&task_module(
        "1",
        r#"(func (export "wrun:task/walk") (result i32) (local $offset i64) (local $len i64) (local $size i64) (local $at i32)
            (local.set $size (call $input_len (i32.const 0)))
            (local.set $offset (i64.extend_i32_u (call $arg (i32.const 0))))
            (local.set $len (i64.extend_i32_u (call $arg (i32.const 1))))
            (loop $next
                (if (i64.gt_u (i64.add (local.get $offset) (local.get $len)) (local.get $size))
                    (then (local.set $len (i64.sub (local.get $size) (local.get $offset)))))
                (local.set $at (call $input_map (i32.const 0) (local.get $offset) (i32.wrap_i64 (local.get $len))))
                (call $put (i32.load (local.get $at)))
                (call $input_unmap (local.get $at))
                (local.set $offset (i64.add (local.get $offset) (local.get $len)))
                (br_if $next (i64.lt_u (local.get $offset) (local.get $size))))
            (i32.const 0))"#,
    ))
}

#[test]
fn a_file_larger_than_4_gib_is_read_through_several_windows() {
    use std::os::unix::fs::FileExt;
    const GIB: u64 = 1 << 30;
    let file = file(&[]);
    file.as_file().set_len(6 * GIB + 12).expect("a sparse file");
    let mark = |offset: u64, mark: u32| file.as_file().write_all_at(&mark.to_le_bytes(), offset).expect("room");
    for step in 0..7 {
        mark(step * GIB, 100 + step as u32);
        mark(step * GIB + 5, 200 + step as u32);
    }
    let tasks = [[0, GIB as u32], [5, GIB as u32], [0, 3 << 30]];
    let ended = each(&walk(), tasks.map(|args| words(&args).input(input(&file))));
    assert_eq!(result_words(&ended[0])[..6], [100, 101, 102, 103, 104, 105]);
    assert_eq!(result_words(&ended[0])[6], 106);
    assert_eq!(result_words(&ended[1]), [200, 201, 202, 203, 204, 205, 206]);
    assert_eq!(result_words(&ended[2]), [100, 103, 106]);
}

#[test]
fn addresses_of_windows_that_were_given_back_are_used_again() {
    let file = file(&[]);
    file.as_file().set_len(64 << 20).expect("a sparse file");
    // 8 KiB windows over 64 MiB: 8192 windows, which take 512 MiB of addresses if none is reused.
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/pages") (result i32) (local $offset i64) (local $size i64)
            (local.set $size (call $input_len (i32.const 0)))
            (loop $next
                (call $input_unmap (call $input_map (i32.const 0) (local.get $offset) (i32.const 8192)))
                (local.set $offset (i64.add (local.get $offset) (i64.const 8192)))
                (br_if $next (i64.lt_u (local.get $offset) (local.get $size))))
            (call $put (memory.size))
            (i32.const 0))"#,
    );
    let found = result_words(&each(&Job::new(&module), [Task::new("").input(input(&file))])[0]);
    assert_eq!(found, [2], "a page of the module's own, and one for all windows");
}

#[test]
fn a_larger_window_finds_room_where_smaller_ones_were() {
    let file = file(&[]);
    file.as_file().set_len(4 << 30).expect("a sparse file");
    let module = task_module(
        "1",
        r#"(func $visit (param $len i32)
            (call $input_unmap (call $input_map (i32.const 0) (i64.const 0) (local.get $len))))
        (func (export "wrun:task/grow") (result i32)
            (call $visit (i32.const 0x60000000))
            (call $visit (i32.const 0x80000000))
            (call $visit (i32.const 0xf0000000))
            (call $put (memory.size))
            (i32.const 0))"#,
    );
    let found = result_words(&each(&Job::new(&module), [Task::new("").input(input(&file))])[0]);
    assert!(found[0] > 0xf000, "{found:?}");
}

#[test]
fn too_many_windows_at_a_time_are_a_limit_that_says_what_to_do() {
    let file = file(&[]);
    file.as_file().set_len(5 << 30).expect("a sparse file");
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/hold") (result i32) (local $offset i64)
            (loop $next
                (drop (call $input_map (i32.const 0) (local.get $offset) (i32.const 0x40000000)))
                (local.set $offset (i64.add (local.get $offset) (i64.const 0x40000000)))
                (br_if $next (i64.lt_u (local.get $offset) (i64.extend_i32_u (call $arg (i32.const 0))))))
            (i32.const 0))"#,
    );
    let ended = each(&Job::new(&module), [3 << 30, u32::MAX].map(|until| words(&[until]).input(input(&file))));
    assert_eq!(text(&ended[0]), "");
    let (status, message) = failed(&ended[1]);
    assert_eq!(status, Status::Limit);
    assert!(message.contains("no room for a window of 1073741824 bytes"), "{message}");
    assert!(message.ends_with("map smaller ranges one after another"), "{message}");
}

#[test]
fn own_inputs_come_before_shared_ones_and_only_these_have_names() {
    let module = task_module(
        "1",
        r#"(data (i32.const 100) "two") (data (i32.const 110) "own a") (data (i32.const 120) "absent")
        (func (export "wrun:task/list") (result i32) (local $i i32)
            (call $put (call $input_find (i32.const 100) (i32.const 3)))
            (call $put (call $input_find (i32.const 110) (i32.const 5)))
            (call $put (call $input_find (i32.const 120) (i32.const 6)))
            (call $put (call $input_find (i32.const 100) (i32.const 0)))
            (block $done (loop $next
                (br_if $done (i32.eq (local.get $i) (call $input_count)))
                (call $put (i32.wrap_i64 (call $input_len (local.get $i))))
                (call $put (i32.load8_u (call $map (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
            (i32.const 0))"#,
    );
    let named = |name: &str, byte: u8, len: usize| Input::from_bytes(name, &vec![byte; len]).expect("memory");
    let job = Job::new(&module).input("one", named("1", 1, 11)).input("two", named("2", 2, 12));
    let tasks = [
        Task::new("").input(named("own a", 3, 13)).input(named("own b", 4, 14)),
        Task::new(""),
        Task::new("").input(named("own a", 5, 15)),
    ];
    let ended = each(&job, tasks);
    let absent = u32::MAX;
    assert_eq!(result_words(&ended[0]), [3, absent, absent, absent, 13, 3, 14, 4, 11, 1, 12, 2]);
    assert_eq!(result_words(&ended[1]), [1, absent, absent, absent, 11, 1, 12, 2]);
    assert_eq!(result_words(&ended[2]), [2, absent, absent, absent, 15, 5, 11, 1, 12, 2]);
}

#[test]
fn many_tasks_see_the_same_file() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/sum") (result i32) (local $at i32) (local $end i32) (local $sum i32)
            (local.set $at (call $map (i32.const 0)))
            (local.set $end (i32.add (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0)))))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
            (call $put (local.get $sum))
            (i32.const 0))"#,
    );
    let content = pattern(100_001);
    let file = file(&content);
    let sum: u32 = content.iter().map(|&byte| u32::from(byte)).sum();
    let shared = Job::new(&module).input("data", input(&file));
    let own = input(&file);
    for outcome in each(&shared, (0..200).map(|_| Task::new(""))) {
        assert_eq!(result_words(&outcome), [sum]);
    }
    for outcome in each(&Job::new(&module), (0..200).map(|_| Task::new("").input(own.clone()))) {
        assert_eq!(result_words(&outcome), [sum]);
    }
}

#[test]
fn the_guest_grows_its_own_memory_before_and_after_mapping() {
    let module = task_module(
        "1",
        r#"(func $zero (param $at i32) (result i32) (local $end i32)
            (local.set $end (i32.add (local.get $at) (i32.const 65536)))
            (loop $next
                (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 0))))
                (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
            (i32.const 1))
        (func (export "wrun:task/grow") (result i32) (local $before i32) (local $at i32) (local $after i32)
            (local.set $before (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
            (i32.store (local.get $before) (i32.const 41))
            (local.set $at (call $map (i32.const 0)))
            (call $put (memory.size))
            (local.set $after (i32.shl (memory.grow (i32.const 2)) (i32.const 16)))
            (call $put (memory.size))
            (call $put (i32.ge_u (local.get $after) (i32.add (local.get $at) (i32.wrap_i64 (call $input_len (i32.const 0))))))
            (call $put (call $zero (local.get $after)))
            (i32.store (local.get $after) (i32.const 42))
            (call $put (i32.load (local.get $before)))
            (call $put (i32.load (local.get $after)))
            (call $put (i32.load8_u (local.get $at)))
            (call $input_unmap (local.get $at))
            ;; Still the same, and still its own.
            (call $put (memory.size))
            (call $put (i32.load (local.get $after)))
            (i32.const 0))"#,
    );
    let data = Input::from_bytes("data", &pattern(WASM_PAGE + 1)).expect("memory");
    let found = result_words(&each(&Job::new(&module), [Task::new("").input(data)])[0]);
    assert_eq!(found, [4, 6, 1, 1, 41, 42, 1, 6, 42]);
}

#[test]
fn a_rust_guests_allocator_works_after_mapping() {
    let module = rust_guest("wordcount");
    // A table of 50,000 different words takes megabytes, which are allocated while the text is mapped.
    let content: String = (0..50_000).map(|n| format!("word{n} twice ")).collect();
    let file = file(content.as_bytes());
    let mut expected: Vec<String> = (0..50_000).map(|n| format!("word{n} 1\n")).collect();
    expected.push("twice 50000\n".into());
    expected.sort();
    let outcome = &each(&Job::new(&module).call("count"), [Task::new("").input(input(&file))])[0];
    assert!(text(outcome) == expected.concat(), "{:?}", &text(outcome)[..100]);
}

#[test]
fn a_declared_maximum_may_be_just_enough_and_is_named_where_it_is_not() {
    let cases = [("1 2", 0, WASM_PAGE, None), ("1 2", 0, WASM_PAGE + 1, Some(131072)), ("1 3", 0, WASM_PAGE + 1, None)];
    // A range that is not page-aligned needs one more page.
    let skewed = [("1 2", 1, WASM_PAGE, Some(131072)), ("1 3", 1, WASM_PAGE, None), ("1 2", 1, WASM_PAGE - 1, None)];
    let data = Input::from_bytes("data", &pattern(2 * WASM_PAGE)).expect("memory");
    for (memory, at, len, maximum) in cases.into_iter().chain(skewed) {
        let task = words(&[at, len as u32]).input(data.clone());
        let outcome = &each(&Job::new(&dump(memory)), [task])[0];
        match maximum {
            None => assert!(bytes(outcome).len() > len, "{memory}: {len} at {at}"),
            Some(maximum) => {
                let (status, message) = failed(outcome);
                assert_eq!(status, Status::Limit, "{memory}: {len} at {at}: {message}");
                let declared = format!("the module declares at most {maximum} bytes of memory and uses 65536");
                assert!(message.contains(&declared), "{message}");
                assert!(message.contains("larger maximum"), "{message}");
            }
        }
    }
}

#[test]
fn windows_do_not_count_against_the_memory_limit() {
    let data = Input::from_bytes("data", &pattern(20 * WASM_PAGE)).expect("memory");
    let limits = Limits { memory_bytes: WASM_PAGE as u64, ..Limits::default() };
    let job = Job::new(&dump("1")).limits(limits);
    let outcome = &each(&job, [words(&[0, 20 * WASM_PAGE as u32]).input(data)])[0];
    assert_eq!(bytes(outcome).len(), 4 + 20 * WASM_PAGE);
}
