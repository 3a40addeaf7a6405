//! The command line in a failure's report: it runs that task again, with the same outcome.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use crate::cli::kit::{Place, Said, objects, ok, said, texts};
use crate::support::{self, WRUN};

/// A directory with a module whose tasks fail with a message that shows what they see.
fn place() -> Place {
    let place = Place::new();
    place.file(
        "tell.wat",
        r#"(module
  (import "wrun_v1" "task_index" (func $task_index (result i64)))
  (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
  (import "wrun_v1" "arg_read" (func $arg_read (param i32)))
  (import "wrun_v1" "input_count" (func $input_count (result i32)))
  (import "wrun_v1" "input_len" (func $input_len (param i32) (result i64)))
  (import "wrun_v1" "input_map" (func $input_map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "fail" (func $fail (param i32 i32)))
  (memory (export "memory") 3)
  (data (i32.const 1000) "index 0, argument ")
  ;; The index's last digit, the argument and all inputs.
  (func (export "wrun:task/tell") (result i32) (local $end i32) (local $input i32) (local $len i32)
    (i32.store8 (i32.const 1006) (i32.add (i32.const 48) (i32.wrap_i64 (call $task_index))))
    (call $arg_read (i32.const 1018))
    (local.set $end (i32.add (i32.const 1018) (call $arg_len)))
    (block (loop
      (br_if 1 (i32.ge_u (local.get $input) (call $input_count)))
      (i32.store8 (local.get $end) (i32.const 124))
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (local.set $len (i32.wrap_i64 (call $input_len (local.get $input))))
      (memory.copy (local.get $end) (call $input_map (local.get $input) (i64.const 0) (local.get $len)) (local.get $len))
      (local.set $end (i32.add (local.get $end) (local.get $len)))
      (local.set $input (i32.add (local.get $input) (i32.const 1)))
      (br 0)))
    (call $fail (i32.const 1000) (i32.sub (local.get $end) (i32.const 1000)))
    (i32.const 1))
  (func (export "wrun:task/other") (result i32) (i32.const 0)))"#,
    );
    place
}

/// Runs a command line in a shell, with `wrun` in its path.
fn shell(place: &Place, shell: &str, line: &str) -> Said {
    let bin = Path::new(WRUN).parent().expect("a directory").to_str().expect("UTF-8");
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(shell);
    command.args(["-c", line]).current_dir(place.path()).env_clear().env("PATH", path);
    texts(command.env("WRUN_CACHE_DIR", support::cache_dir()).output().expect("a shell"))
}

/// The messages of failed tasks, and their command lines.
fn failures(said: &Said) -> Vec<(String, String)> {
    let lines: Vec<&str> = said.stderr.lines().collect();
    let reruns = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("rerun: ")?)));
    let before =
        |at: usize| lines[..at].iter().rev().find_map(|line| line.split_once(" failed: ")).expect("a failure").1;
    reruns.map(|(at, line)| (before(at).to_owned(), line.to_owned())).collect()
}

/// Checks that each failure happens again when its command line is run, and that there are this many failures.
#[track_caller]
fn happens_again(place: &Place, said: &Said, count: usize, shell_name: &str) -> Vec<String> {
    let failures = failures(said);
    assert_eq!((said.code, failures.len()), (Some(100), count), "{}", said.stderr);
    let mut lines = Vec::new();
    for (message, line) in failures {
        let again = shell(place, shell_name, &line);
        let first = again.stderr.lines().next().unwrap_or_default();
        let what = first.split_once(" failed: ").map(|(_, message)| message);
        assert_eq!((again.code, what), (Some(100), Some(message.as_str())), "{line}\n{}", again.stderr);
        lines.push(line);
    }
    lines
}

#[test]
fn failed_tasks_come_with_a_line_that_does_it_again() {
    let place = place();
    let all = place.map("divide", &["a b", "it's"]);
    let lines = happens_again(&place, &all, 2, "sh");
    assert_eq!(lines[0], "wrun run kit.wat --call divide --index 0 'a b'");
    assert_eq!(lines[1], "wrun run kit.wat --call divide --index 1 \"it's\"");
    // The line comes after the backtrace, and the backtrace is the same, too.
    let (first, _) = all.stderr.split_once("\nrerun: ").expect("a line");
    let again = shell(&place, "sh", &lines[0]);
    assert_eq!(again.stderr.trim_end().lines().skip(1).collect::<Vec<_>>(), first.lines().skip(1).collect::<Vec<_>>());
    assert!(first.lines().count() > 2, "{first}");

    let tell = place.says_to(&["map", "tell.wat", "--call", "tell"], "\n-x\n--json\n--\n;$(touch x)`\n");
    let lines = happens_again(&place, &tell, 5, "sh");
    assert_eq!(lines[1], "wrun run tell.wat --call tell --index 1 -- -x");
    assert!(!place.path().join("x").exists());
}

#[test]
fn options_and_variables_that_matter_are_repeated() {
    let place = place();
    place.file("data", "0123456789");
    let mut command =
        place.wrun(&["map", "tell.wat", "-j1", "--call", "tell", "-i", "a=data@2+3", "--input", "b b=data", "x"]);
    command.env("WRUN_MEMORY", "3M").env("WRUN_VERBOSE", "1");
    let all = crate::cli::kit::finish(command);
    let lines = happens_again(&place, &all, 1, "sh");
    assert!(
        lines[0].contains(" --memory 3M ") && lines[0].contains("--input 'a=data@2+3' --input 'b b=data'"),
        "{lines:?}"
    );
    assert!(all.stderr.contains("failed: index 0, argument x|234|0123456789"), "{}", all.stderr);

    let slow = place.map("loop-l", &["--timeout", "100ms", "ok", "l"]);
    happens_again(&place, &slow, 1, "sh");
    let large = place.map("grow", &["--memory", "1M", "x"]);
    happens_again(&place, &large, 1, "sh");
    // Excluding the merge function leaves one task function; the command line must name it.
    let reduced = place.says(&["map", "tell.wat", "--reduce", "other", "x"]);
    let lines = happens_again(&place, &reduced, 1, "sh");
    assert_eq!(lines, ["wrun run tell.wat --call tell --index 0 x"]);
}

#[test]
fn files_and_pieces_are_items_again() {
    let place = place();
    place.file("one.txt", "one\n");
    place.file("two@0+3", "two\n");
    place.file("lines", "1\n2\n3\n");
    let all = place.says(&["map", "tell.wat", "--call", "tell", "--files", "one.txt", "two@0+3"]);
    let lines = happens_again(&place, &all, 2, "sh");
    assert_eq!(lines[0], "wrun run tell.wat --call tell --index 0 --file one.txt");
    assert!(all.stderr.contains("failed: index 1, argument two@0+3|two"), "{}", all.stderr);
    let pieces = place.says(&["map", "tell.wat", "--call", "tell", "--split", "2", "lines"]);
    let lines = happens_again(&place, &pieces, 3, "sh");
    assert_eq!(lines[1], "wrun run tell.wat --call tell --index 1 --file lines@2+2");
}

#[test]
fn commands_get_their_words_again() {
    let place = place();
    // Exits with the number of arguments.
    place.file(
        "count.wat",
        r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (i32.store (i32.const 16) (i32.const 100)) (i32.store (i32.const 20) (i32.const 1000))
    (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $exit (i32.add (i32.mul (i32.const 30) (i32.load (i32.const 24))) (i32.load (i32.const 0))))))"#,
    );
    place.file("three", "abc");
    for (args, line) in [
        (&["a b"][..], "wrun run count.wat --index 0 'a b'"),
        (&["a b", "--", "x", "-{}", "--json"], "wrun run count.wat --index 0 --item 'a b' -- x '-{}' --json"),
        (&["--files", "three"], "wrun run count.wat --index 0 --file three"),
        (&["--files", "three", "--", "x"], "wrun run count.wat --index 0 --file three -- x"),
    ] {
        let all = place.says(&[&["map", "count.wat"], args].concat());
        assert_eq!(happens_again(&place, &all, 1, "sh"), [line]);
    }
}

#[test]
fn items_of_any_bytes_are_quoted_for_every_shell() {
    let place = place();
    let items = b"\xff\xfe'\\\na\tb\nc\x1b[2J\nd\0e\n";
    let all = place.says_to(&["map", "tell.wat", "--call", "tell"], items);
    // A command line cannot contain a NUL.
    let lines = happens_again(&place, &all, 3, "sh");
    assert_eq!(lines[0], r#"wrun run tell.wat --call tell --index 0 "$(printf '\377\376\047\134')""#);
    assert!(lines.concat().chars().all(|char| !char.is_control()), "{lines:?}");
    let path = place.path().join(OsStr::from_bytes(b"m\xff.wat"));
    std::fs::copy(place.path().join("tell.wat"), &path).expect("a file");
    let mut command = place.wrun(&["map"]);
    let all = crate::cli::kit::finish({
        command.arg(OsStr::from_bytes(b"m\xff.wat")).args(["--call", "tell", "x"]);
        command
    });
    assert_eq!(failures(&all)[0].1, r#"wrun run "$(printf 'm\377.wat')" --call tell --index 0 x"#);
    happens_again(&place, &all, 1, "sh");
}

#[test]
fn programs_get_the_line_as_well() {
    let place = place();
    let all = place.map("fail", &["--json", "--progress=json", "x"]);
    let line = "wrun run kit.wat --call fail --index 0 x";
    assert_eq!(objects(&all.stdout)[0]["rerun"], line);
    let events = objects(&all.stderr);
    assert_eq!(events.iter().find(|event| event["event"] == "failed").expect("an event")["rerun"], line);
    let long = "x".repeat(10_000);
    let all = place.map("fail", &["--json", &long]);
    assert!(
        !all.stderr.contains("rerun: ") && objects(&all.stdout)[0]["rerun"].as_str().expect("a line").len() > 10_000
    );
}

#[test]
fn what_never_ran_or_was_cancelled_has_no_line() {
    let place = place();
    place.file("list", "nowhere\n");
    let all = place.map("cat", &["--files", "--items", "list"]);
    assert!(all.stderr.contains("failed") && !all.stderr.contains("rerun: "), "{}", all.stderr);
    let all = place.map("loop-l", &["-j2", "--halt", "now", "l", "--timeout", "300ms", "l", "l", "l"]);
    assert_eq!(failures(&all).len(), all.stderr.matches(") failed: ").count(), "{}", all.stderr);
}

#[test]
fn one_task_of_a_map_runs_as_there() {
    let place = place();
    place.file("data", "0123456789");
    let tell = |args: &[&str]| {
        let said = place.says(&[&["run", "tell.wat", "--call", "tell"], args].concat());
        said.stderr.trim_end().trim_start_matches("wrun: tell.wat failed: ").to_owned()
    };
    assert_eq!(tell(&["--index", "7", "a", "b"]), "index 7, argument a b");
    assert_eq!(tell(&["--item", "-a"]), "index 0, argument -a");
    assert_eq!(tell(&["--file", "data@3+2"]), "index 0, argument data@3+2|34");
    assert_eq!(tell(&["--file", "data"]), "index 0, argument data|0123456789");
    assert_eq!(place.says(&["run", &crate::cli::kit::hello(), "--file", "data"]), ok("hello, data\n0123456789\n"));
    assert_eq!(
        place.says(&["run", &crate::cli::kit::hello(), "--item", "bob", "--", "dear", "{}"]),
        ok("hello, dear\nhello, bob\n")
    );
    let none = place.says(&["run", "tell.wat", "--call", "tell", "--file", "nowhere"]);
    assert_eq!(none, said(1, "", "wrun: cannot use input \"nowhere\": no such file; check the path\n"));
    let both = place.says(&["run", "tell.wat", "--call", "tell", "--file", "data", "--item", "x"]);
    assert_eq!((both.code, both.stderr.lines().count()), (Some(2), 1), "{}", both.stderr);
    let words = place.says(&["run", "tell.wat", "--call", "tell", "--item", "x", "y"]);
    assert_eq!((words.code, words.stderr.lines().count()), (Some(2), 1), "{}", words.stderr);
}
