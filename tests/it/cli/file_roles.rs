//! A file in two roles, one of which writes it, and two runs that write to one place.

use std::fs::{self, File, OpenOptions};
use std::process::Stdio;

use crate::cli::kit::{Place, finish, ok, said};

const WRITE: &str = r#"(module
  (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "wrun:task/write") (result i32)
    (i32.store8 (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 120)) (i32.const 0)))"#;

/// A place with a file for each role, which all have to stay as they are.
fn place() -> Place {
    let place = Place::new();
    place.file("write.wat", WRITE);
    place.file("data", "data\n");
    place.file("list", "data\n");
    fs::hard_link(place.path().join("data"), place.path().join("hard")).expect("a link");
    std::os::unix::fs::symlink("data", place.path().join("soft")).expect("a link");
    assert_eq!(place.map("echo", &["--joblog", "log", "a"]), ok("a\n"));
    place
}

#[test]
fn a_file_that_is_written_has_no_other_role() {
    let place = place();
    let contents =
        || ["kit.wat", "write.wat", "data", "list", "log"].map(|name| fs::read(place.path().join(name)).unwrap());
    let before = contents();
    let cat = ["map", "kit.wat", "--call", "cat"];
    let write = ["map", "write.wat"];
    for (command, options, one, other) in [
        (cat, &["--trace", "kit.wat", "a"][..], "the module", "--trace"),
        (cat, &["--trace", "data", "-i", "x=data", "a"], "--input x", "--trace"),
        (cat, &["--trace", "hard", "--files", "data"], "the item", "--trace"),
        (cat, &["--trace", "data", "--split", "1", "soft"], "the item", "--trace"),
        (cat, &["--trace", "list", "--files", "--items", "list"], "--items", "--trace"),
        (cat, &["--joblog", "log", "--resume", "--trace", "log", "a"], "--trace", "--joblog"),
        (cat, &["--joblog", "data", "--resume", "--files", "data"], "the item", "--joblog"),
        (cat, &["--joblog", "new", "--trace", "new", "a"], "--trace", "--joblog"),
    ] {
        let message = said(2, "", &format!("wrun: {one} and {other} are the same file, "));
        let answer = place.says(&[&command[..], options].concat());
        assert!(
            answer.code == message.code && answer.stdout.is_empty() && answer.stderr.starts_with(&message.stderr),
            "{options:?}: {answer:?}"
        );
        assert!(answer.stderr.lines().count() == 1, "{answer:?}");
    }
    for (options, one, other) in [
        (&["-o", "write.wat", "--slice", "1", "a"][..], "the module", "--out"),
        (&["-o", "data", "--slice", "1", "--files", "hard"], "the item", "--out"),
        (&["-o", "data", "--slice", "1", "-i", "x=soft", "a"], "--input x", "--out"),
        (&["-o", "list", "--slice", "1", "--items", "list"], "--items", "--out"),
        (&["-o", "log", "--slice", "1", "--joblog", "log", "--resume", "a"], "--joblog", "--out"),
        (&["-o", "data", "--slice", "1", "--shared", "x=hard:8", "a"], "--shared x", "--out"),
        (&["--shared", "x=write.wat:8", "a"], "the module", "--shared x"),
        (&["--shared", "x=data:8", "-i", "y=data", "a"], "--input y", "--shared x"),
    ] {
        let answer = place.says(&[&write[..], options].concat());
        let begin = format!("wrun: {one} and {other} are the same file, ");
        assert!(answer.code == Some(2) && answer.stderr.starts_with(&begin), "{options:?}: {answer:?}");
    }
    let run = place.says(&["run", "write.wat", "-o", "data", "--slice", "1", "--file", "hard"]);
    assert!(run.code == Some(2) && run.stderr.starts_with("wrun: --file and --out are the same file"), "{run:?}");
    // Items from a list are known late: their tasks fail.
    let late = place.says_to(&[&cat[..], &["--joblog", "log", "--resume", "--files"]].concat(), "log\n");
    assert!(late.code == Some(100) && late.stderr.contains("the item and --joblog are the same file"), "{late:?}");
    assert!(contents()[..4] == before[..4], "a file was changed");
    assert!(!place.path().join("new").exists());
}

#[test]
fn standard_output_is_no_file_of_the_run() {
    let place = place();
    let append = || OpenOptions::new().append(true).open(place.path().join("data")).expect("a file");
    for (args, one) in [
        (&["map", "kit.wat", "--call=cat", "--files", "data"][..], "the item"),
        (&["map", "kit.wat", "--call=cat", "-ix=hard", "a"], "--input x"),
        (&["map", "kit.wat", "--call=echo", "--items", "soft"], "--items"),
        (&["map", "kit.wat", "--call=echo", "--joblog", "data", "--resume", "a"], "--joblog"),
        (&["run", "kit.wat", "--call=cat", "--file", "data"], "--file"),
        (&["report", "data", "-o", "-"], "the job log"),
    ] {
        let mut command = place.wrun(args);
        command.stdout(append());
        let answer = finish(command);
        assert!(answer.code == Some(2) && answer.stderr.contains("standard output"), "{args:?}: {answer:?}");
        assert!(answer.stderr.contains(one), "{args:?}: {answer:?}");
    }
    let mut command = place.wrun(&["map", "kit.wat", "--call=echo"]);
    command.stdin(File::open(place.path().join("data")).expect("a file")).stdout(append());
    assert!(finish(command).stderr.starts_with("wrun: standard input comes from the file of standard output"));
    assert_eq!(fs::read(place.path().join("data")).unwrap(), b"data\n");
    // With --results nothing is printed, so the log can go there; both streams may go to one file.
    let mut command = place.wrun(&["map", "kit.wat", "--call=echo", "--results=dir", "--joblog=/dev/stdout", "a"]);
    command.stdout(File::create(place.path().join("out")).expect("a file"));
    assert_eq!(finish(command).code, Some(0));
    let both = File::create(place.path().join("both")).expect("a file");
    let mut command = place.wrun(&["map", "kit.wat", "--call=fail-f", "a", "f"]);
    command.stdout(both.try_clone().expect("a file")).stderr(both);
    assert_eq!(finish(command).code, Some(100));
}

#[test]
fn files_that_results_would_replace_are_refused() {
    let place = place();
    fs::create_dir(place.path().join("dir")).expect("a directory");
    let input = place.file("dir/0.out", "mine");
    let resumed = ["--results", "dir", "--joblog", "dir/log", "--resume"];
    let answer = place.map("cat", &[&resumed[..], &["--files", "dir/0.out"]].concat());
    assert!(answer.code == Some(2) && answer.stderr.contains("is in the directory for results"), "{answer:?}");
    assert_eq!(fs::read(&input).unwrap(), b"mine");
    fs::rename(&input, place.path().join("dir/mine")).expect("another name");
    assert_eq!(place.map("cat", &[&resumed[..], &["--files", "dir/mine"]].concat()), ok(""));
    assert_eq!(fs::read(place.path().join("dir/0-mine.out")).unwrap(), b"mine");
}

#[test]
fn one_run_at_a_time_writes_to_a_results_directory() {
    let place = place();
    place.file("flag", [0; 4]);
    let waits = ["map", "kit.wat", "--call", "wait-w", "-i", "flag=flag", "--results", "dir", "-j1", "--joblog", "one"];
    let mut command = place.wrun(&[&waits[..], &["a", "w"]].concat());
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wrun starts");
    while !place.path().join("dir/0.out").exists() {
        std::thread::yield_now();
    }
    let second = place.map("echo", &["--results", "dir", "--joblog", "two", "--resume", "b"]);
    assert_eq!(
        second,
        said(1, "", "wrun: results directory \"dir\" is in use by another run; give each run its own\n")
    );
    // Files that a killed run was writing are removed by the one that resumes it, and nothing else is.
    crate::support::kill(first.id());
    first.wait().expect("its end");
    place.file("dir/.wrun-aB3xYz", "ha");
    place.file("dir/.wrun-notes", "mine");
    let resumed = place.map("echo", &["--results", "dir", "--joblog", "one", "--resume", "a"]);
    assert_eq!(resumed, ok(""));
    let mut left: Vec<_> =
        fs::read_dir(place.path().join("dir")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".wrun-notes", "0.out"]);
}
