//! `--out`, `--slice`, `--failed-slice`, `--shared` and `--input-mode` on the command line.

use std::fs;
use std::path::Path;
use std::process::Child;

use crate::cli::kit::{Place, objects, ok, output, said, texts};
use crate::support::{Flag, worker_that_maps};

/// A directory with a module: `write` fills its output slice with its argument's first byte, and fails if that is `f`; `add` adds 1
/// to the shared memory `n`; `scribble` writes to its input.
fn place() -> Place {
    let place = Place::new();
    place.file(
        "write.wat",
        r#"(module
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "output_write" (func $output_write (param i32 i32)))
  (import "wrun_v1" "region_find" (func $region_find (param i32 i32) (result i32)))
  (import "wrun_v1" "region_len" (func $region_len (param i32) (result i64)))
  (import "wrun_v1" "region_map" (func $region_map (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "n")
  (func (export "wrun:task/write") (result i32) (local $len i32)
    (call $arg_read (i32.const 16))
    (local.set $len (i32.wrap_i64 (call $region_len (i32.const 0))))
    (memory.fill (call $region_map (i32.const 0) (i64.const 0) (local.get $len)) (i32.load8_u (i32.const 16)) (local.get $len))
    (call $output_write (i32.const 16) (i32.const 1))
    (i32.eq (i32.load8_u (i32.const 16)) (i32.const 102)))
  (func (export "wrun:task/add") (result i32)
    (drop (i64.atomic.rmw.add
      (call $region_map (call $region_find (i32.const 8) (i32.const 1)) (i64.const 0) (i32.const 8)) (i64.const 1)))
    (i32.const 0))
  (func (export "wrun:task/wait") (result i32) (local $at i32)
    (i32.store8 (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 119))
    (local.set $at (call $input_map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $input_len (i32.const 0)))))
    (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get $at)))))
    (i32.const 0))
  (func (export "wrun:task/scribble") (result i32)
    (i32.store8 (call $input_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 88))
    (i32.const 0)))"#,
    );
    place
}

fn out(place: &Place) -> String {
    fs::read_to_string(place.path().join("out")).expect("the output file").replace('\0', "0")
}

const WRITE: &[&str] = &["map", "write.wat", "--call", "write", "-o", "out", "--slice", "3"];

#[test]
fn slices_are_written_in_order_from_words_and_from_a_pipe() {
    let place = place();
    assert_eq!(place.says(&[WRITE, &["a", "b", "c"]].concat()), ok("a\nb\nc\n"));
    assert_eq!(out(&place), "aaabbbccc");
    assert_eq!(place.says_to(WRITE, "x\ny\n"), ok("x\ny\n"));
    assert_eq!(out(&place), "xxxyyyccc");
    let many = "z\n".repeat(2000);
    assert_eq!(place.says_to(&[WRITE, &["-j", "4"]].concat(), &many), ok(&many));
    assert_eq!(out(&place), "z".repeat(6000));
}

#[test]
fn a_failure_names_its_bytes_and_can_be_run_again() {
    let place = place();
    let failed = place.says(&[WRITE, &["a", "f", "c"]].concat());
    let message = "the task function returned 1 (bytes 3..6 of \"out\" are zeros)";
    let rerun = "wrun run write.wat --call write --out out --slice 3 --index 1 f";
    let reported = format!("task 1 (f) failed: {message}\nrerun: {rerun}\nwrun: 1 of 3 tasks failed\n");
    assert_eq!(failed, said(100, "a\nc\n", &reported));
    assert_eq!(out(&place), "aaa000ccc");
    let words: Vec<&str> = rerun.split(' ').skip(1).collect();
    assert_eq!(place.says(&words), said(100, "", &format!("wrun: write.wat failed: {message}\n")));
    assert_eq!(
        place.says(&["run", "write.wat", "--call=write", "-o", "out", "--slice=3", "--index=1", "b"]),
        ok("b\n")
    );
    assert_eq!(out(&place), "aaabbbccc");
    let left = place.says(&[WRITE, &["--failed-slice", "leave", "--json", "f"]].concat());
    let object = &objects(&left.stdout)[0];
    assert_eq!(object["error"], "the task function returned 1 (bytes 0..3 of \"out\" are as it left them)");
    assert_eq!(out(&place), "fffbbbccc");
}

#[test]
fn a_run_that_is_resumed_has_its_slices_in_the_file_already() {
    let place = place();
    let resume = |items: &[&str]| place.says(&[WRITE, &["--joblog", "log", "--resume", "--json"], items].concat());
    let starts = |items: &[&str]| -> Vec<f64> {
        objects(&resume(items).stdout).iter().map(|object| object["start"].as_f64().expect("a time")).collect()
    };
    let first = starts(&["a", "b"]);
    let second = starts(&["a", "b", "c"]);
    assert_eq!((&second[..2], out(&place).as_str()), (&first[..], "aaabbbccc"));
    // At another position an item has another output slice.
    let moved = starts(&["b", "b", "c"]);
    assert!(moved[0] > second[2] && moved[1..] == second[1..], "{moved:?} after {second:?}");
    assert_eq!(out(&place), "bbbbbbccc");
    // Slices that were cut off are written again, and so are all slices if the file was replaced.
    fs::OpenOptions::new().write(true).open(place.path().join("out")).unwrap().set_len(6).unwrap();
    let cut = starts(&["b", "b", "c"]);
    assert!(cut[..2] == moved[..2] && cut[2] > moved[0], "{cut:?} after {moved:?}");
    assert_eq!(out(&place), "bbbbbbccc");
    fs::rename(place.path().join("out"), place.path().join("old")).unwrap();
    let other = starts(&["b", "b", "c"]);
    assert!(other.iter().all(|start| *start > cut[2]), "{other:?} after {cut:?}");
    assert_eq!(out(&place), "bbbbbbccc");
}

#[test]
fn shared_memory_counts_in_map_and_in_run() {
    let place = place();
    let count = || {
        u64::from_le_bytes(
            fs::read(place.path().join("n.bin")).expect("the shared memory").try_into().expect("8 bytes"),
        )
    };
    let shared = ["--call", "add", "--shared", "n=n.bin:8"];
    assert_eq!(
        place.says_to(&[&["map", "write.wat", "-j", "4", "--json"], &shared[..]].concat(), "x\n".repeat(500)).code,
        Some(0)
    );
    assert_eq!(count(), 500);
    assert_eq!(place.says(&[&["run", "write.wat"], &shared[..]].concat()), ok(""));
    assert_eq!(count(), 501);
}

#[test]
fn inputs_are_written_only_where_that_is_asked_for() {
    let place = place();
    place.file("data", "abc");
    let scribble = |mode: &[&str]| {
        place.says(&[&["run", "write.wat", "--call", "scribble", "--file", "data", "--raw"], mode].concat())
    };
    assert_eq!(scribble(&[]).code, Some(100));
    assert_eq!(scribble(&["--input-mode", "ro"]).code, Some(100));
    assert_eq!(scribble(&["--input-mode", "cow"]), ok(""));
    assert_eq!(fs::read(place.path().join("data")).unwrap(), b"abc");
}

#[test]
fn what_cannot_work_is_refused_in_one_line() {
    let place = place();
    place.file("data", "abc");
    fs::create_dir(place.path().join("directory")).unwrap();
    let refused = |options: &[&str], code: i32, words: &[&str]| {
        let answer = place.says(&[&["map", "write.wat", "--call", "write"], options, &["a"]].concat());
        assert!(
            answer.code == Some(code) && words.iter().all(|word| answer.stderr.contains(word)),
            "{options:?}: {answer:?}"
        );
        assert!(code != 1 || answer.stderr.lines().count() == 1, "{}", answer.stderr);
    };
    refused(&["--slice", "3"], 2, &["--out"]);
    refused(&["--out", "out"], 2, &["--slice"]);
    refused(&["--out", "out", "--slice", "0"], 2, &["must be at least 1 byte"]);
    refused(&["--out", "directory", "--slice", "3"], 1, &["--out", "it is a directory"]);
    refused(&["--out", "/dev/null", "--slice", "3"], 1, &["--out", "it is a device"]);
    refused(&["--out", "none/out", "--slice", "3"], 1, &["--out", "no such directory"]);
    refused(&["--shared", "x=data:2"], 2, &["ends inside a page", "which has 3 bytes"]);
    refused(&["--shared", "x"], 2, &["NAME=PATH:SIZE"]);
    refused(&["--shared", "x=directory:8"], 1, &["--shared x", "it is a directory"]);
    assert_eq!(fs::read(place.path().join("data")).unwrap(), b"abc");
    // A module that cannot use it.
    let sqrt = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guests/wat/sqrt.wat");
    for options in [&["--out", "out", "--slice", "8"][..], &["--shared", "x=area:8"]] {
        let answer = place.says(&[&["map", sqrt], options, &["4"]].concat());
        let said = "wrun: module sqrt.wat writes to no output file and no shared memory (it imports neither wrun_v1::region_map nor wrun_v1::region_map_at): give it none\n";
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(2), said));
    }
}

/// Starts a run with a slice of the file `out`, which ends when the flag is raised.
fn waiting(place: &Place, flag: &Flag) -> Child {
    let input = format!("flag={}", flag.path().display());
    let args = ["map", "write.wat", "--call", "wait", "-i", &input, "-o", "out", "--slice", "3", "-j1", "a"];
    let child = place.wrun(&args).spawn().expect("wrun starts");
    worker_that_maps(flag.path());
    child
}

#[test]
fn a_second_run_does_not_write_the_file_of_the_first() {
    let (place, flag) = (place(), Flag::new());
    let first = waiting(&place, &flag);
    let in_use = "cannot use output file \"out\": another run is writing it; give each run its own\n";
    assert_eq!(place.says(&[WRITE, &["x"]].concat()), said(1, "", &format!("wrun: {in_use}")));
    let run = ["run", "write.wat", "--call", "write", "-o", "out", "--slice", "3", "--index", "1", "x"];
    assert_eq!(place.says(&run), said(1, "", &format!("wrun: {in_use}")));
    flag.raise();
    assert_eq!(texts(output(first)).code, Some(0));
    // Commands that run one task each can do so at the same time.
    let indexes = ["0", "1", "2", "3", "4", "5"];
    let command = |index: &&str| {
        let args = ["run", "write.wat", "--call=write", "-o", "out", "--slice=1000", "--index", *index, *index];
        place.wrun(&args).spawn().expect("wrun starts")
    };
    let children: Vec<Child> = indexes.iter().map(command).collect();
    assert!(children.into_iter().all(|child| texts(output(child)).code == Some(0)));
    let expected: String = indexes.iter().map(|index| index.repeat(1000)).collect();
    assert_eq!(out(&place), expected);
}

#[test]
fn a_file_that_is_truncated_or_removed_during_a_run_is_an_error() {
    let truncate = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    for (how, lose) in [("truncated to 0 bytes", &truncate as &dyn Fn(&Path)), ("removed", &remove)] {
        let (place, flag) = (place(), Flag::new());
        let run = waiting(&place, &flag);
        lose(&place.path().join("out"));
        flag.raise();
        let answer = texts(output(run));
        assert_eq!(answer.code, Some(1), "{answer:?}");
        let end = format!(
            "wrun: cannot finish output file \"out\": it was {how} while tasks wrote it, and results are lost\n"
        );
        assert!(answer.stderr.ends_with(&end), "{answer:?}");
    }
}
