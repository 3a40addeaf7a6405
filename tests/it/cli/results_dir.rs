//! `--results DIR`: a file for each task.

use std::collections::BTreeMap;
use std::fs;

use crate::cli::kit::{Place, Said, ok, said};

/// The files of the directory `dir`, with their contents.
fn files(place: &Place) -> BTreeMap<String, String> {
    let entries = fs::read_dir(place.path().join("dir")).expect("a directory").map(|entry| entry.expect("an entry"));
    let text = |entry: &fs::DirEntry| String::from_utf8_lossy(&fs::read(entry.path()).expect("a file")).into_owned();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), text(&entry))).collect()
}

/// The expected contents of a directory.
fn map_of(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn map(place: &Place, task: &str, args: &[&str]) -> Said {
    place.map(task, &[&["--results", "dir"], args].concat())
}

#[test]
fn each_task_has_a_file_and_standard_output_nothing() {
    let place = Place::new();
    let all = map(&place, "fail-f", &["a", "f\u{1b}[2J", "b/../x"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(100), ""));
    assert_eq!(files(&place), map_of(&[("0.out", "a"), ("1.err", "f\\u{1b}[2J\n"), ("2.out", "b/../x")]));

    let place = Place::new();
    assert_eq!(map(&place, "log", &["a line"]), said(0, "", "task 0 (a line): a line\n"));
    assert_eq!(files(&place), map_of(&[("0.log", "a line\n"), ("0.out", "")]));
}

#[test]
fn files_and_pieces_have_their_names() {
    let place = Place::new();
    place.file("text", "one\ntwo\n");
    fs::create_dir(place.path().join("sub")).expect("a directory");
    place.file("sub/odd\nname", "x");
    assert_eq!(map(&place, "cat", &["--split", "4", "text", "sub/odd\nname"]), ok(""));
    assert_eq!(
        files(&place),
        map_of(&[("0-text@0+4.out", "one\n"), ("1-text@4+4.out", "two\n"), ("2-odd\\nname.out", "x")])
    );
}

#[test]
fn a_directory_of_another_run_is_refused_unless_it_is_resumed() {
    let place = Place::new();
    let args = ["--reuse", "-j1", "--joblog", "log"];
    assert_eq!(map(&place, "pass-on-call", &[&args[..], &["2", "0"]].concat()).code, Some(100));
    assert_eq!(files(&place), map_of(&[("0.err", "2\n"), ("1.out", "0")]));
    let again = map(&place, "echo", &["a"]);
    let problem =
        "wrun: results directory \"dir\" is not empty; name another, or resume its run with --joblog FILE --resume\n";
    assert_eq!(again, said(1, "", problem));
    // A task that failed before and passes now has only its result, and results of earlier tasks are there as well.
    fs::remove_file(place.path().join("dir/1.out")).expect("a file");
    let retried = [&args[..], &["--resume-failed", "--retries", "1", "--retry-delay", "1ms", "2", "0"]].concat();
    assert_eq!(map(&place, "pass-on-call", &retried).code, Some(0));
    assert_eq!(files(&place), map_of(&[("0.out", "2"), ("1.out", "0")]));
}

#[test]
fn what_a_task_logged_stays_where_its_run_is_resumed() {
    let place = Place::new();
    let resumed = |items: &[&str]| map(&place, "log", &[&["-j1", "--joblog", "log", "--resume"], items].concat()).code;
    assert_eq!(resumed(&["a", "b"]), Some(0));
    let both = map_of(&[("0.log", "a\n"), ("0.out", ""), ("1.log", "b\n"), ("1.out", "")]);
    assert_eq!(files(&place), both);
    assert_eq!(resumed(&["a", "b"]), Some(0));
    assert_eq!(files(&place), both);
    // A lost file is restored, and a log that belongs to another result is removed.
    fs::write(place.path().join("dir/0.out"), "other").expect("a file");
    assert_eq!(resumed(&["a", "b"]), Some(0));
    assert_eq!(files(&place), map_of(&[("0.out", ""), ("1.log", "b\n"), ("1.out", "")]));
}

#[test]
fn a_merged_result_is_printed_and_the_parts_are_files() {
    let place = Place::new();
    assert_eq!(map(&place, "echo", &["--reduce", "join", "a", "b"]), ok("[a][b]\n"));
    assert_eq!(files(&place), map_of(&[("0.out", "a"), ("1.out", "b")]));
}

#[test]
fn a_directory_that_takes_no_more_ends_the_run() {
    let place = Place::new();
    let file = place.map("echo", &["--results", "kit.wat", "a"]);
    assert_eq!((file.code, file.stdout.as_str()), (Some(1), ""));
    assert!(file.stderr.starts_with("wrun: cannot create results directory \"kit.wat\": "), "{}", file.stderr);
    // An existing directory with the name of a result file cannot be replaced.
    fs::create_dir_all(place.path().join("dir/0.out/x")).expect("a directory");
    place.file("log", "");
    let full = map(&place, "echo", &["--joblog", "log", "--resume", "a"]);
    assert_eq!(full.code, Some(1), "{}", full.stderr);
    assert!(full.stderr.contains("wrun: results directory \"dir\" cannot be written: "), "{}", full.stderr);
    let left: Vec<String> = fs::read_dir(place.path().join("dir"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, ["0.out"], "no partial file is left");
}
