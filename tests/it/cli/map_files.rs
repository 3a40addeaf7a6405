//! `wrun map` over files: whole, in pieces, and as inputs shared by all tasks.

use serde_json::json;

use crate::cli::kit::{Place, hello, objects, ok, said};
use crate::support::guest;

#[test]
fn files_are_inputs() {
    let place = Place::new();
    place.file("a", "one\n");
    place.file("b", "two");
    place.file("empty", "");
    assert_eq!(place.map("cat", &["--files", "a", "b", "empty"]), ok("one\ntwo\n"));
    assert_eq!(place.map_lines("cat", &["--files"], "b\na\n"), ok("two\none\n"));
    assert_eq!(
        place.says(&["map", &hello(), "--files", "a", "empty"]),
        ok("hello, a\nONE\nhello, empty\n"),
        "a command reads the file as its standard input"
    );
}

#[test]
fn tags_name_the_word_file_or_piece() {
    let place = Place::new();
    place.file("a", "one\ntwo\n");
    assert_eq!(place.map("echo", &["--tag", "x", "", "y"]), ok("x\tx\ny\ty\n"));
    assert_eq!(place.map("cat", &["--tag", "--files", "a"]), ok("a\tone\na\ttwo\n"));
    assert_eq!(place.map("cat", &["--tag", "--split", "4", "a"]), ok("a@0+4\tone\na@4+4\ttwo\n"));
    assert_eq!(place.map("cat", &["--tag", "--split", "1K", "a"]), ok("a\tone\na\ttwo\n"));
    let hostile = place.map("echo", &["--tag", "a\tb", "\u{1b}[2J"]);
    assert_eq!(hostile, ok("a\\tb\ta\tb\n\\u{1b}[2J\t\u{1b}[2J\n"), "one tab, no command to the terminal in a tag");
}

#[test]
fn pieces_are_cut_where_asked() {
    let place = Place::new();
    place.file("f", "one\ntwo\nthree\n");
    place.file("records", "aabbccdd");
    let tags = |args: &[&str]| {
        let said = place.map("echo", args);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{args:?}");
        said.stdout.replace('\n', " ")
    };
    assert_eq!(tags(&["--split", "4", "f"]), "f@0+4 f@4+4 f@8+6 ");
    assert_eq!(tags(&["--split", "5", "f"]), "f@0+8 f@8+6 ");
    assert_eq!(tags(&["--split", "5", "--split-at", "bytes", "f"]), "f@0+5 f@5+5 f@10+4 ");
    assert_eq!(tags(&["--split-into", "2", "--split-at", "bytes", "f"]), "f@0+7 f@7+7 ");
    assert_eq!(tags(&["--split-into", "2", "f"]), "f@0+8 f@8+6 ");
    assert_eq!(tags(&["--split-into", "1000", "f"]), "f@0+4 f@4+4 f@8+6 ");
    assert_eq!(tags(&["--split", "5", "--split-at", "record:2", "records"]), "records@0+4 records@4+4 ");
    assert_eq!(
        tags(&["--split-into", "3", "--split-at", "record:2", "records"]),
        "records@0+2 records@2+2 records@4+4 "
    );
    assert_eq!(tags(&["--split", "1G", "f", "records"]), "f records ");
    assert_eq!(tags(&["--split", "4", "--split-at", "bytes", "records", "f"]), {
        "records@0+4 records@4+4 f@0+4 f@4+4 f@8+4 f@12+2 "
    });
}

#[test]
fn pieces_together_are_the_file() {
    let place = Place::new();
    let long = format!("short\n{}\nshort again\nno end", "long ".repeat(40_000));
    place.file("long", &long);
    place.file("empty", "");
    for size in ["1", "7", "100K", "1M"] {
        let said = place.map("cat", &["--raw", "--split", size, "long", "empty", "long"]);
        assert!(said.stdout == [&*long, &long].concat(), "--split {size}");
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    }
    assert_eq!(place.map("echo", &["--split", "7", "long"]), ok("long@0+200007\nlong@200007+12\nlong@200019+6\n"));
    assert_eq!(place.map("cat", &["--split", "7", "empty"]), ok(""));
}

#[test]
fn impossible_cuts_are_refused_before_any_task() {
    let place = Place::new();
    place.file("f", "12345678");
    let refused = |args: &[&str], message: &str| {
        assert_eq!(place.map("cat", args), said(2, "", &format!("wrun: {message}\n")), "{args:?}");
    };
    assert_eq!(place.map("cat", &["--split", "4", "--split-at", "record:4", "f"]), ok("1234\n5678\n"));
    refused(
        &["--split", "4", "--split-at", "record:3", "f"],
        "input \"f\" has 8 bytes, which is not a multiple of the record size 3; check the record size",
    );
    refused(
        &["--split-at", "bytes", "f"],
        "--split-at says where to cut; add --split SIZE or --split-into N to cut at all",
    );
    refused(
        &["--split", "4", "--split-into", "2", "f"],
        "the argument '--split <SIZE>' cannot be used with '--split-into <N>'; --help shows all options",
    );
    refused(
        &["--split", "4", "--split-at", "words", "f"],
        "invalid value 'words' for '--split-at <WHERE>': give lines, bytes, rows or record:N, with N as the number of bytes \
         of a record; --help shows all options",
    );
    refused(
        &["--split", "0", "f"],
        "invalid value '0' for '--split <SIZE>': must be at least 1 byte; --help shows all options",
    );
    refused(
        &["--split", "4X", "f"],
        "invalid value '4X' for '--split <SIZE>': not a size; give a number of bytes, with K, M or G for powers of 1024, \
         such as 16M; --help shows all options",
    );
}

#[test]
fn shared_inputs_have_names_and_ranges() {
    let place = Place::new();
    place.file("f", "0123456789");
    place.file("at@sign", "x");
    assert_eq!(place.map("cat", &["-i", "a=f", "task"]), ok("0123456789\n"));
    assert_eq!(place.map("cat", &["--input", "a=f@2+3", "task"]), ok("234\n"));
    assert_eq!(place.map("cat", &["-i", "a=f@10+0", "-i", "b=at@sign", "task"]), ok("x\n"));
    assert_eq!(
        place.map("cat", &["-i", "a=f@0+2", "-i", "b=f@8+2", "--files", "at@sign"]),
        ok("x0189\n"),
        "own input first"
    );
    place.file("pattern", "^b");
    place.file("text", "abc\nbcd\n");
    let grep = ["map", &guest("grep"), "-i", "pattern=pattern", "--files", "text"];
    assert_eq!(place.says(&grep), ok("text:2:bcd\n"));
}

#[test]
fn files_that_fail_on_their_way_fail_their_task_only() {
    let place = Place::new();
    place.file("a", "one\n");
    assert_eq!(
        place.map_lines("cat", &["--files"], "a\nnone\na\n"),
        said(
            100,
            "one\none\n",
            "task 1 (none) failed: cannot use input \"none\": no such file; check the path\nwrun: 1 of 3 tasks failed\n"
        )
    );
    assert_eq!(
        place.map_lines("cat", &["--split", "9"], ".\na\n"),
        said(
            100,
            "one\n",
            "task 0 (.) failed: cannot use input \".\": it is a directory; name the files in it\nwrun: 1 of 2 tasks failed\n"
        )
    );
}

#[test]
fn results_are_merged_in_item_order() {
    let place = Place::new();
    let reduced = |items: &[&str]| place.map("echo", &[&["--reduce", "cat", "-j3"], items].concat());
    assert_eq!(reduced(&["a"]), ok("a\n"));
    assert_eq!(reduced(&["a", "b", "c", "d", "e"]), ok("abcde\n"));
    assert_eq!(place.map_lines("echo", &["--reduce", "cat"], ""), ok(""));
    let lines: String = (1000..3000).map(|number| format!("{number}\n")).collect();
    let merged = place.map_lines("echo", &["--reduce", "cat"], &lines);
    assert_eq!(merged, ok(&(lines.replace('\n', "") + "\n")));
    let shape = place.map("echo", &["--reduce", "join", "a", "b"]);
    assert_eq!(shape, ok("[a][b]\n"), "the merge task gets each result as a separate input");
}

#[test]
fn words_of_pieces_add_up() {
    let place = Place::new();
    place.file("text", "b a\nc b\nb\n");
    for name in ["wordcount", "wordcount-c"] {
        let args = ["map", &guest(name), "--call", "count", "--split", "2", "text", "--reduce", "merge"];
        assert_eq!(place.says(&args), ok("a 1\nb 3\nc 1\n"), "{name}");
        let default = ["map", &guest(name), "--split", "2", "text", "--reduce", "merge"];
        assert_eq!(place.says(&default), ok("a 1\nb 3\nc 1\n"), "the task that does not merge is the default");
    }
}

#[test]
fn a_merge_that_fails_is_a_failure() {
    let place = Place::new();
    for json in [&[][..], &["--json"]] {
        let said = place.map("echo", &[json, &["--reduce", "divide", "a", "b"]].concat());
        assert_eq!(said.code, Some(100), "{said:?}");
        assert!(said.stderr.starts_with("wrun: merge failed: trapped: integer divide by zero\n"), "{said:?}");
    }
}

#[test]
fn failed_tasks_are_not_merged() {
    let place = Place::new();
    assert_eq!(place.map("fail-f", &["--reduce", "cat", "a", "b"]), ok("ab\n"));
    let said = place.map("fail-f", &["--reduce", "cat", "a", "fx", "b"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    assert!(said.stderr.starts_with("task 1 (fx) failed: fx\n"), "{}", said.stderr);
    let end = "wrun: not merged: 1 of 3 tasks failed; merge the others with --reduce-failed skip\nwrun: 1 of 3 tasks failed\n";
    assert!(said.stderr.ends_with(end), "{}", said.stderr);
}

#[test]
fn what_succeeded_is_merged_if_asked_for() {
    let place = Place::new();
    let merged =
        |items: &[&str]| place.map("fail-f", &[&["--reduce", "join", "--reduce-failed", "skip"], items].concat());
    let said = merged(&["a", "fx", "b", "fy"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), "[a][b]\n"));
    let end = "wrun: warning: the merged result lacks 2 of 4 tasks, which failed: 1, 3\nwrun: 2 of 4 tasks failed\n";
    assert!(said.stderr.ends_with(end), "{}", said.stderr);
    assert_eq!(merged(&["a", "b"]), ok("[a][b]\n"));
    let one = merged(&["fx", "a"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(100), "[a]\n"), "a merge runs at least once");
    let none = merged(&["fx", "fy"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(100), ""));
    assert!(none.stderr.contains("wrun: not merged: 2 of 2 tasks failed\n"), "{}", none.stderr);
    let json = place.map("fail-f", &["--json", "--reduce", "join", "--reduce-failed", "skip", "a", "fx"]);
    let objects = objects(&json.stdout);
    assert_eq!((objects.len(), &objects[1]["output"], &objects[1]["missing"]), (2, &json!("[a]"), &json!(1)));
    let said = place.map("echo", &["--reduce-failed", "skip", "a"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn tasks_that_are_merged_show_what_they_log() {
    let place = Place::new();
    let options = ["--reduce", "cat", "-j1"];
    let lines = "task 0 (a): a\ntask 1 (b): b\n";
    assert_eq!(place.map("log", &[&options[..], &["a", "b"]].concat()), said(0, "", lines));
    let json = place.map("log", &[&options[..], &["--json", "a", "b"]].concat());
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), lines));
    let events = objects(&place.map("log", &[&options[..], &["--progress", "json", "a"]].concat()).stderr);
    assert!(events.iter().any(|event| event["event"] == "log" && event["message"] == "a"), "{events:?}");
    // A merge logs as well. A failed task shows its lines once.
    let merges = place.map("echo", &["--reduce", "log", "a"]);
    assert_eq!(merges, said(0, "", "task 0: \n"));
}
