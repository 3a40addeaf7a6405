//! Tasks of components, by the package `wrun:task`.

use wrun::job::{InputMode, Instances};
use wrun::result::Level;
use wrun::{Job, Limits, Module, OutputFile, SharedMemory, Status, Task};

use crate::library::faults::on_one_worker;
use crate::support::{bytes, each, failed, file, input, patient, pattern, pool, rust_guest, text};

fn probe() -> Module {
    rust_guest("probe-component")
}

#[test]
fn a_task_gets_its_argument_its_index_and_inputs() {
    let (own, shared) = (file(b"own"), file(b"shared"));
    let job = Job::new(&probe()).input("s", input(&shared)).limits(patient());
    let tasks = ["argument", "inputs", "find s", "get 0", "get 2", "find t"];
    let ended = each(&job, tasks.map(|argument| Task::new(argument).input(input(&own))));
    let texts: Vec<String> = ended[..4].iter().map(text).collect();
    assert_eq!(texts, ["argument of 0", "[: own of 3][s: shared of 6]", "[s: shared of 6]", "[: own of 3]"]);
    for missing in &ended[4..] {
        assert_eq!(failed(missing), (Status::Error, "there is no such input"));
    }
}

#[test]
fn a_read_ends_where_the_input_ends() {
    let content = pattern(3_000_000);
    let file = file(&content);
    let job = Job::new(&probe()).input("s", input(&file).slice(1000..2_900_000).unwrap()).limits(patient());
    let content = &content[1000..2_900_000];
    let most = u64::MAX;
    for (offset, len, expected) in [
        (0, 10, &content[..10]),
        (0, most, content),
        (1_000_001, 1_500_000, &content[1_000_001..2_500_001]),
        (2_898_990, 100, &content[2_898_990..]),
        (2_899_000, 1, &[]),
        (2_899_001, most, &[]),
        (most, most, &[]),
        (5, 0, &[]),
    ] {
        let ended = each(&job, [format!("read {offset} {len}")]);
        assert!(bytes(&ended[0]) == expected, "{offset} {len}");
    }
    // What is not read is not copied.
    let usage = each(&job, ["read 0 10"])[0].stats.usage;
    assert!(usage.copied_bytes < 100 && usage.mapped_bytes == 0, "{usage:?}");
}

#[test]
fn a_read_does_not_exceed_the_memory_limit() {
    let file = file(&pattern(8 << 20));
    let limits = Limits { memory_bytes: 6 << 20, ..patient() };
    let job = Job::new(&probe()).input("s", input(&file)).limits(limits);
    let ended = each(&job, ["read 0 18446744073709551615", "read 4096 100000"]);
    let (status, message) = failed(&ended[0]);
    assert!(
        status == Status::Limit && message.ends_with("bytes of memory, and the limit is 6291456 bytes"),
        "{message}"
    );
    assert_eq!(bytes(&ended[1]), &pattern(8 << 20)[4096..104_096]);
}

#[test]
fn a_file_that_has_become_shorter_fails_its_task_alone() {
    let (content, numbers) = (file(&pattern(100_000)), file(&[0; 8192]));
    let shared = SharedMemory::create(numbers.path(), 8192).unwrap();
    let job = Job::new(&probe()).input("s", input(&content)).shared("n", shared).limits(patient());
    let (to_cut, last) = ([content.as_file(), numbers.as_file()], 3);
    let tasks = ["read 0 99999", "add n 1023 1", "read 0 99999", "add n 1023 1", "read 0 10", "argument"];
    let ended = on_one_worker(
        &job,
        tasks.iter().enumerate().map(|(index, task)| {
            if index == last - 1 {
                to_cut.iter().for_each(|file| file.set_len(4096).unwrap());
            }
            *task
        }),
    );
    for (index, what) in [(2, "input \"s\""), (3, "shared memory \"n\"")] {
        let (status, message) = failed(&ended[index]);
        assert_eq!(status, Status::InputFault, "{message}");
        assert!(message.starts_with(what) && message.contains("was truncated to 4096 bytes"), "{message}");
    }
    assert_eq!((bytes(&ended[4]).len(), text(&ended[5]).as_str()), (10, "argument of 5"));
}

#[test]
fn output_slices_are_written_in_place() {
    let byte = |offset: usize| (offset % 251) as u8;
    for len in [1, 100, 4096, 5001, 1 << 20, 2_500_001] {
        let out = file(&[]);
        let job = Job::new(&probe()).out(OutputFile::create(out.path(), len as u64).unwrap()).limits(patient());
        let tasks = ["slice-fill 7777", "slice-fill 4096", "slice-len", "slice-fill 2000000"];
        let ended = each(&job, tasks);
        assert!(ended.iter().all(|outcome| outcome.result.is_ok()), "{len}: {ended:?}");
        assert_eq!(text(&ended[2]), len.to_string());
        let written = std::fs::read(out.path()).unwrap();
        let filled: Vec<u8> = (0..len).map(byte).collect();
        assert!(written == [&filled[..], &filled, &vec![0; len], &filled].concat(), "{len}");
    }
}

#[test]
fn a_slice_ends_where_it_ends() {
    let out = file(&[]);
    let job = Job::new(&probe()).out(OutputFile::create(out.path(), 10).unwrap()).limits(patient());
    let most = u64::MAX;
    let tasks = [
        "slice-write 3 abc".to_owned(),
        "slice-write 7 abc".to_owned(),
        "slice-write 8 abc".to_owned(),
        format!("slice-write {most} a"),
        "slice-read 5 100".to_owned(),
        format!("slice-read {most} {most}"),
    ];
    let ended = each(&job, tasks);
    assert_eq!((text(&ended[0]).as_str(), text(&ended[1]).as_str()), ("\0\0\0abc\0\0\0\0", "\0\0\0\0\0\0\0abc"));
    for index in [2, 3] {
        let (status, message) = failed(&ended[index]);
        assert!(status == Status::Trap && message.contains("bytes): the slice has 10 bytes"), "{message}");
    }
    assert_eq!((bytes(&ended[4]), bytes(&ended[5])), (&[0; 5][..], &[][..]));
    let job = Job::new(&probe()).limits(patient());
    let ended = each(&job, ["slice-len", "slice-read 0 1", "slice-write 0 a"]);
    assert_eq!((text(&ended[0]).as_str(), bytes(&ended[1])), ("0", &[][..]));
    assert!(failed(&ended[2]).1.ends_with("this task has no output slice"), "{ended:?}");
}

#[test]
fn numbers_are_changed_by_all_workers_at_once() {
    let (count, many) = (SharedMemory::in_memory(8).unwrap(), SharedMemory::in_memory(8004).unwrap());
    let job = Job::new(&probe()).shared("count", count.clone()).shared("many", many.clone()).limits(patient());
    let ended: Vec<_> = pool(2).map(&job, (0..200).map(|_| "add count 0 3")).unwrap().collect();
    assert!(ended.iter().all(|outcome| outcome.result.is_ok()), "{:?}", ended[0].result);
    assert_eq!(count.read(0..8).unwrap(), 600u64.to_le_bytes());

    let ended = each(&job, ["numbers many", "add many 1000 1", "add many 18446744073709551615 1", "add none 0 1"]);
    // Of each, the value before it: stored 5, swapped, wrapped around, not exchanged, exchanged.
    let changes = format!("1000 {:?}", [5, 5, u64::MAX, 2, 2, 8]);
    assert_eq!(text(&ended[0]), changes);
    assert_eq!(many.read(7992..8000).unwrap(), 8u64.to_le_bytes());
    let expected = "numbers.add(1000): the shared memory has 1000 numbers";
    assert_eq!(failed(&ended[1]), (Status::Trap, expected));
    assert_eq!(failed(&ended[2]).0, Status::Trap);
    assert_eq!(failed(&ended[3]), (Status::Error, "there is no shared memory \"none\""));
}

#[test]
fn a_merge_gets_results_as_its_inputs() {
    let more = file(b"more");
    let out = OutputFile::in_memory(4).unwrap();
    let job = Job::new(&probe()).input("more", input(&more)).out(out).limits(patient());
    let merged = pool(1).map(&job, ["argument", "argument"].into_iter()).unwrap().reduce("merge", |_| {}).unwrap();
    let expected = "[: argument of 0 of 13][: argument of 1 of 13][more: more of 4] (0 bytes, slice of 0)";
    assert_eq!(text(&merged), expected);
    let refused = |name: &str| {
        let mut pool = pool(1);
        let run = pool.map(&job, ["argument"].into_iter()).unwrap();
        run.reduce(name, |_| {}).unwrap_err().to_string()
    };
    assert!(refused("no-task").contains("\"no-task\" cannot merge: only a task"), "{}", refused("no-task"));
}

#[test]
fn log_lines_have_their_level() {
    let ended = each(&Job::new(&probe()).limits(patient()), ["log é"]);
    let levels: Vec<Level> = ended[0].log.iter().map(|line| line.level).collect();
    assert_eq!(levels, Level::ALL);
    assert!(ended[0].log.iter().all(|line| line.text == "log é"), "{:?}", ended[0].log);
}

#[test]
fn a_component_can_have_several_tasks() {
    let job = Job::new(&probe()).limits(patient());
    assert_eq!(text(&each(&job, ["argument"])[0]), "argument of 0", "run is the default");
    assert_eq!(text(&each(&job.clone().call("other-task"), ["x"])[0]), "the other task");
    let tasks = &probe().description().tasks.clone();
    assert_eq!(tasks.len(), 3, "{tasks:?}");
}

#[test]
fn it_also_has_what_wasi_gives_to_tasks() {
    let own = file(b"from a file\n");
    let job = Job::new(&probe()).limits(patient());
    let ended = each(&job, [Task::new("stdin").input(input(&own)), Task::new("arguments")]);
    let lines: Vec<&str> = ended[0].log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((text(&ended[0]).as_str(), &lines[..]), ("", &["from a file"][..]), "its standard output is its log");
    assert_eq!(text(&ended[1]), "probe-component.wasm|arguments");
    let mut with_words = job;
    with_words.argv = Some(vec!["a {}".into(), "b".into()]);
    assert_eq!(text(&each(&with_words, ["arguments"])[0]), "probe-component.wasm|a arguments|b");
}

#[test]
fn what_a_component_cannot_have_is_refused() {
    let refused = |change: fn(&mut Job)| {
        let mut job = Job::new(&probe());
        change(&mut job);
        pool(1).map(&job, ["argument"].into_iter()).map(drop).unwrap_err().to_string()
    };
    let message = refused(|job| job.instances = Instances::Reused);
    assert!(message.contains("is a component, and each of its tasks needs an instance of its own"), "{message}");
    let message = refused(|job| job.input_mode = InputMode::CopyOnWrite);
    assert!(message.contains("is a component, and its tasks read copies of inputs"), "{message}");
}
