//! The files that a WASI program finds without any grant: its inputs, a scratch directory, devices.

use crate::cli::kit::{Place, why};
use crate::support::guest;

fn place() -> Place {
    let place = Place::new();
    place.file("x.txt", "hello");
    std::fs::create_dir_all(place.path().join("d/sub")).unwrap();
    place.file("d/y.txt", "1\n22\n333\n");
    place.file("t.csv", "a,b\n");
    place
}

/// The statuses of tasks of `wasi-probe`, and their outputs or errors.
fn acts(place: &Place, options: &[&str], words: &[&str]) -> Vec<(String, String)> {
    let module = guest("wasi-probe");
    let said = place.says(&[&["map", &module, "--json"], options, &["--"], words].concat());
    let ended = crate::cli::kit::objects(&said.stdout);
    assert!(!ended.is_empty(), "{options:?} {words:?}: {}", said.stderr);
    let text = |object: &serde_json::Value| {
        let text = object["output"].as_str().map_or_else(|| why(object), str::to_owned);
        (object["status"].as_str().unwrap().to_owned(), text.trim_end().to_owned())
    };
    ended.iter().map(text).collect()
}

#[track_caller]
fn gives(place: &Place, options: &[&str], words: &[&str], output: &str) {
    assert_eq!(acts(place, options, words), [("ok".to_owned(), output.to_owned())], "{options:?} {words:?}");
}

#[track_caller]
fn fails(place: &Place, options: &[&str], words: &[&str], status: &str, error: &str) {
    let ended = acts(place, options, words);
    assert_eq!(ended[0].0, status, "{options:?} {words:?}: {ended:?}");
    assert!(ended[0].1.contains(error), "{options:?} {words:?}: {ended:?}");
}

#[test]
fn an_item_stands_under_the_path_that_the_program_gets() {
    let place = place();
    let whole = place.path().join("x.txt").to_str().unwrap().to_owned();
    for path in ["x.txt", "./x.txt", "d/../x.txt", "d//..//x.txt", &whole] {
        gives(&place, &["--files", path], &["read", "{}"], "hello");
        gives(&place, &["--files", path], &["stat", "{}"], "5");
        gives(&place, &["--files", path], &["tail", "{}", "3"], "llo");
    }
    let up = format!("../{}/x.txt", place.path().file_name().unwrap().to_str().unwrap());
    gives(&place, &["--files", &up], &["read", "{}"], "hello");
    gives(&place, &["--files", &whole], &["list", place.path().to_str().unwrap()], "x.txt");
}

#[test]
fn a_piece_is_exactly_its_range() {
    let place = place();
    let pieces = acts(&place, &["--split-into", "3", "d/y.txt"], &["read", "{}"]);
    let pieces: Vec<&str> = pieces.iter().map(|(_, text)| &**text).collect();
    assert_eq!(pieces, ["1\n22", "333"]);
}

#[test]
fn inputs_and_devices_have_their_names() {
    let place = place();
    let input = ["--input", "data=t.csv", "x"];
    gives(&place, &input, &["read", "/in/data"], "a,b");
    gives(&place, &input, &["list", "/in"], "data");
    gives(&place, &["--input", "data=t.csv", "--files", "x.txt"], &["list", "/"], "dev in tmp x.txt");
    gives(&place, &["--files", "x.txt"], &["list", "/in"], "0");
    gives(&place, &["x"], &["list", "/dev"], "null stderr stdin stdout");
    gives(&place, &["x"], &["list", "/tmp"], "");
    gives(&place, &["--files", "x.txt"], &["read", "/dev/stdin"], "hello");
    gives(&place, &["x"], &["write", "/dev/stdout", "printed "], "printed done");
    gives(&place, &["x"], &["write", "/dev/null", "lost"], "done");
    gives(&place, &["x"], &["read", "/dev/null"], "");
}

#[test]
fn a_task_is_alone_in_its_scratch_directory() {
    let place = place();
    let items: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let ended = acts(&place, &[&["--jobs", "2"], &items[..]].concat(), &["alone", "/tmp", "{}"]);
    let expected: Vec<_> = items.iter().map(|item| ("ok".to_owned(), (*item).to_owned())).collect();
    assert_eq!(ended, expected);
    gives(&place, &["x"], &["alone", "/tmp", "nobody else"], "nobody else");
}

/// Makes a file in the scratch directory, and fails if it is there already.
const MAKER: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "tmp/made")
  (func (export "wrun:task/make") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 5) (i64.const 64) (i64.const 0)
      (i32.const 0) (i32.const 64))))"#;

#[test]
fn the_files_of_a_task_are_gone_with_it() {
    let place = place();
    place.file("maker.wat", MAKER);
    let said = place.says(&["map", "maker.wat", "--jobs", "1", "--reuse", "a", "b", "c"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

#[test]
fn a_full_scratch_directory_is_named() {
    let place = place();
    let full = "its scratch directory was full, at the limit of 1048576 bytes; raise it with --scratch";
    fails(&place, &["--scratch", "1M", "x"], &["fill", "/tmp/x"], "limit", full);
    fails(&place, &["x"], &["fill", "/tmp/x"], "limit", "at the limit of 67108864 bytes");
    fails(&place, &["--scratch", "0", "x"], &["write", "/tmp/x", "text"], "denied", "--dir HOST");
}

#[test]
fn open_files_of_every_kind_count() {
    let place = place();
    let limit =
        "it has more files, directories and events of WASI than the limit of 100; raise it with --max-open-files";
    for path in ["/tmp", "/dev/stdin", "/dev/null", "/in/0", "/"] {
        fails(&place, &["--max-open-files", "100", "--files", "x.txt"], &["hoard", path], "limit", limit);
    }
}

#[test]
fn what_is_not_the_tasks_cannot_be_written() {
    let place = place();
    let denied = "(os error 69) (exit code 1); it was granted no directory; grant one with --dir HOST[::GUEST][:rw]";
    for words in [
        &["write", "{}", "text"][..],
        &["append", "/in/0", "text"],
        &["cut", "{}"],
        &["remove", "{}"],
        &["rename", "{}", "/tmp/x"],
        &["write", "/new", "text"],
        &["mkdir", "/new"],
    ] {
        fails(&place, &["--files", "x.txt"], words, "denied", denied);
    }
    assert_eq!(std::fs::read_to_string(place.path().join("x.txt")).unwrap(), "hello");
}

#[test]
fn only_a_failure_about_a_missing_file_is_denied() {
    let place = place();
    fails(&place, &["x"], &["read", "/etc/passwd"], "denied", "grant one with --dir");
    fails(&place, &["--dir", "d", "x"], &["read", "/etc/passwd"], "denied", "grant one with --dir");
    assert_eq!(
        acts(&place, &["x"], &["miss", "/etc/passwd", "line 3 has no number"]),
        [("error".to_owned(), "miss /etc/passwd line 3 has no number: line 3 has no number (exit code 1)".to_owned())]
    );
}

#[test]
fn granted_directories_stand_beside_the_tasks_own_files() {
    let place = place();
    let beside = ["--dir", "d::/d:rw", "--files", "x.txt"];
    gives(&place, &beside, &["read", "{}"], "hello");
    gives(&place, &beside, &["read", "/d/y.txt"], "1\n22\n333");
    gives(&place, &beside, &["list", "/"], "d dev in tmp x.txt");
    gives(&place, &beside, &["list", "/d"], "sub y.txt");
    fails(&place, &beside, &["rename", "/d/y.txt", "/tmp/y.txt"], "error", "(os error 75)");
    // An item has precedence over a file of the granted directory.
    std::fs::create_dir(place.path().join("other")).unwrap();
    place.file("other/y.txt", "of the host");
    place.file("other/z.txt", "z");
    let over = ["--dir", "other::d", "--files", "d/y.txt"];
    gives(&place, &over, &["read", "d/y.txt"], "1\n22\n333");
    gives(&place, &over, &["read", "d/z.txt"], "z");
    gives(&place, &over, &["list", "d"], "y.txt z.txt");
    fails(&place, &over, &["write", "d/new", "text"], "denied", "(os error 63)");
    // A grant of `/tmp` has precedence over the scratch directory.
    gives(&place, &["--dir", "d::/tmp", "x"], &["list", "/tmp"], "sub y.txt");
}

#[test]
fn the_tasks_files_lie_over_a_granted_root() {
    let place = place();
    for guest_path in ["/", "."] {
        let root = format!("{}::{guest_path}:rw", place.path().to_str().unwrap());
        let options = ["--dir", &root, "--input", "data=t.csv", "--split-into", "3", "d/y.txt"];
        let at_last = |words: &[&str]| acts(&place, &options, words).pop().unwrap();
        assert_eq!(at_last(&["read", "{}"]), ("ok".into(), "333".into()));
        assert_eq!(at_last(&["read", "d/y.txt"]), ("ok".into(), "1\n22\n333".into()));
        assert_eq!(at_last(&["read", "x.txt"]), ("ok".into(), "hello".into()));
        assert_eq!(at_last(&["read", "in/data"]), ("ok".into(), "a,b".into()));
        assert_eq!(at_last(&["list", "."]).1, "d dev in kit.wat sqrt.wat t.csv tmp x.txt");
        assert_eq!(at_last(&["list", "d"]).1, "sub y.txt y.txt@5+4");
        assert_eq!(at_last(&["write", "d/new", "text"]).1, "done");
        assert_eq!(std::fs::read_to_string(place.path().join("d/new")).unwrap(), "text");
        std::fs::remove_file(place.path().join("d/new")).unwrap();
    }
    // A granted root that has a `tmp` keeps it.
    std::fs::create_dir(place.path().join("tmp")).unwrap();
    gives(&place, &["--dir", ".::/:rw", "x"], &["write", "/tmp/kept", "text"], "done");
    assert_eq!(std::fs::read_to_string(place.path().join("tmp/kept")).unwrap(), "text");
}

#[test]
fn a_program_that_is_run_has_them_as_well() {
    let place = place();
    let module = guest("wasi-probe");
    let said = place.says(&["run", &module, "alone", "/tmp", "here"]);
    assert_eq!((said.code, said.stdout.trim_end()), (Some(0), "here"), "{}", said.stderr);
    let said = place.says(&["run", &module, "--input", "data=t.csv", "--", "read", "/in/data"]);
    assert_eq!((said.code, said.stdout.trim_end()), (Some(0), "a,b"), "{}", said.stderr);
}
