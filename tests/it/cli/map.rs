//! `wrun map`: where items come from, the order and format of results, and the exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::cli::kit::{Place, finish, hello, ok, output, program, said, texts};
use crate::support::{Flag, stderr};

#[test]
fn words_are_items() {
    let place = Place::new();
    assert_eq!(place.says(&["map", "sqrt.wat", "2", "9"]), ok("1.4142135623730951\n3\n"));
    assert_eq!(place.says(&["map", "sqrt.wat", "-4", "1e4"]), ok("NaN\n100\n"));
    assert_eq!(place.map("echo", &["a b", "", "ü"]), ok("a b\nü\n"));
}

#[test]
fn lines_of_standard_input_are_items() {
    let place = Place::new();
    assert_eq!(place.says_to(&["map", "sqrt.wat"], "4\n9\n"), ok("2\n3\n"));
    for (lines, tagged) in [
        ("", ""),
        ("a\nb\n", "(a)(b)"),
        ("a\nb", "(a)(b)"),
        ("a\n\nb\n", "(a)()(b)"),
        ("\n", "()"),
        ("a\r\n b \n", "(a\r)( b )"),
    ] {
        let items: Vec<String> = crate::cli::kit::objects(&place.map_lines("echo", &["--json"], lines).stdout)
            .iter()
            .map(|object| format!("({})", object["item"].as_str().expect("text")))
            .collect();
        assert_eq!(items.concat(), tagged, "{lines:?}");
    }
}

#[test]
fn a_file_holds_items() {
    let place = Place::new();
    place.file("items", "x\ny");
    assert_eq!(place.map("echo", &["--items", "items"]), ok("x\ny\n"));
    assert_eq!(place.map_lines("echo", &["--items", "-"], "p\nq\n"), ok("p\nq\n"));
    assert_eq!(
        place.map("echo", &["--items", "items", "word"]),
        said(2, "", "wrun: the argument '--items <FILE>' cannot be used with '[ITEM]...'; --help shows all options\n")
    );
}

#[test]
fn items_may_end_in_nul_bytes() {
    let place = Place::new();
    place.file("items", "a\nb\0c\0");
    assert_eq!(place.map("echo", &["--null", "--items", "items"]), ok("a\nb\nc\n"));
    assert_eq!(place.says(&["map", "-0", "kit.wat", "--call", "echo", "--items", "items"]), ok("a\nb\nc\n"));
}

#[test]
fn short_option_0_is_an_option_wherever_it_stands() {
    let place = Place::new();
    place.file("items", "a\nb\0c\0");
    assert_eq!(place.map("echo", &["-0", "--items", "items"]), ok("a\nb\nc\n"));
    assert_eq!(place.map("echo", &["--items", "items", "-0"]), ok("a\nb\nc\n"));
    assert_eq!(place.map_lines("echo", &["-0"], "a\nb\0c\0"), ok("a\nb\nc\n"));
}

#[test]
fn items_need_not_be_text() {
    let place = Place::new();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "--tag", "--items", "items"]);
    place.file("items", b"\xff\xfe\nb\n");
    let output = output(command.spawn().expect("wrun starts"));
    assert_eq!(output.stdout, b"\xff\xfe\t\xff\xfe\nb\tb\n");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let failed = place.map_lines("fail", &[], b"\xff\n");
    let rerun = r#"rerun: wrun run kit.wat --call fail --index 0 "$(printf '\377')""#;
    let failure = format!("task 0 (\\xff) failed: \u{fffd}\n{rerun}\nwrun: 1 of 1 tasks failed\n");
    assert_eq!(failed, said(100, "", &failure));
}

#[test]
fn items_that_are_too_long_are_refused() {
    let place = Place::new();
    let longest = "x".repeat(64 << 10);
    assert_eq!(place.map_lines("echo", &[], &longest), ok(&format!("{longest}\n")));
    let failed = place.map_lines("echo", &[], format!("{longest}x\nb\n"));
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(100), "b\n"));
    assert!(failed.stderr.contains("failed: item is longer than 65536 bytes; raise that with --max-argument, or put it into a file and use --files\n"));
    assert!(failed.stderr.len() < 300, "{}", failed.stderr);
    assert_eq!(
        place.map("echo", &["b", &format!("{longest}x")]),
        said(
            2,
            "",
            "wrun: item is longer than 65536 bytes; raise that with --max-argument, or put it into a file and use --files\n"
        )
    );
}

#[test]
fn many_lines_stream_through_in_order() {
    let place = Place::new();
    let lines: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    let said = place.map_lines("echo", &["-j2"], &lines);
    assert!(said.stdout == lines, "{} bytes in, {} bytes out", lines.len(), said.stdout.len());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn first_result_appears_while_items_are_still_coming() {
    let place = Place::new();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "-j2"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("wrun starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    for item in ["one\n", "two\n", "three\n"] {
        stdin.write_all(item.as_bytes()).expect("wrun reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("wrun writes");
        assert_eq!(line, item);
    }
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the end");
    assert_eq!(rest, "");
    assert_eq!(texts(output(child)), ok(""));
}

#[test]
fn reader_that_has_enough_ends_the_run_quietly() {
    let place = Place::new();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("wrun starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Endless items, until wrun takes no more.
    let items = std::thread::spawn(move || while stdin.write_all(b"again and again\n").is_ok() {});
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("wrun writes");
    assert_eq!(line, "again and again\n");
    assert_eq!(texts(output(child)), ok(""));
    items.join().expect("the end of items");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").expect("/dev/full"));
    let full = "wrun: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!(finish(command), said(1, "", full));
}

#[test]
fn results_come_in_item_order_whatever_ends_first() {
    let place = Place::new();
    for (option, expected) in [("--tag", "w\tw\nb\tb\n"), ("--unordered", "b\nw\n")] {
        let flag = Flag::new();
        let input = format!("flag={}", flag.path().display());
        let args = ["map", "kit.wat", "--call", "wait-w", "-i", &input, "-j2", "-v", option, "w", "b"];
        let mut child = place.wrun(&args).spawn().expect("wrun starts");
        // The second task has ended while the first one is still waiting.
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("wrun tells");
        assert!(line.starts_with("task 1 (b): ok in "), "{line}");
        flag.raise();
        let said = texts(output(child));
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), expected), "{option}");
    }
}

#[test]
fn unordered_results_are_the_same_set() {
    let place = Place::new();
    let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let said = place.map_lines("echo", &["-j3", "--unordered"], &lines);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert!(sorted(&said.stdout) == sorted(&lines));
}

#[test]
fn numbers_of_workers_are_taken_as_joblib_takes_them() {
    let place = Place::new();
    for jobs in [&["-j", "1"][..], &["-j3"], &["--jobs", "-1"], &["-j", "-2"], &["--jobs=-1000"], &["-j-1"]] {
        assert_eq!(place.map("echo", &[jobs, &["a", "b"]].concat()), ok("a\nb\n"), "{jobs:?}");
    }
    let refused = |value: &str, why: &str| {
        said(2, "", &format!("wrun: invalid value '{value}' for '--jobs <N>': {why}; --help shows all options\n"))
    };
    let none = refused("0", "0 jobs would run nothing; give 1 or more, or -1 for one job per CPU");
    assert_eq!(place.map("echo", &["a", "--jobs", "0"]), none);
    let abc = refused("abc", "not a number; give a number such as 4, or -1 for one job per CPU");
    assert_eq!(place.map("echo", &["a", "-j", "abc"]), abc);
}

#[test]
fn instances_are_fresh_unless_reused() {
    let place = Place::new();
    assert_eq!(place.map("calls", &["-j1", "a", "b", "c"]), ok("1\n1\n1\n"));
    assert_eq!(place.map("calls", &["-j1", "a", "b", "c", "--reuse"]), ok("1\n2\n3\n"));
}

#[test]
fn commands_get_the_item_as_their_argument() {
    let place = Place::new();
    assert_eq!(place.says(&["map", &hello(), "alice", "b c"]), ok("hello, alice\nhello, b c\n"));
    assert_eq!(place.says_to(&["map", &hello()], "alice\n"), ok("hello, alice\n"));
}

#[test]
fn words_after_two_dashes_are_a_template_of_arguments() {
    let place = Place::new();
    assert_eq!(
        place.says(&["map", &hello(), "a", "b", "--", "<{}-{}>", "x"]),
        ok("hello, <a-a>\nhello, x\nhello, <b-b>\nhello, x\n")
    );
    place.file("items", "a\nb\n");
    let template = ok("hello, (a)\nhello, (b)\n");
    assert_eq!(place.says(&["map", &hello(), "--items", "items", "--", "({})"]), template);
    assert_eq!(place.says_to(&["map", &hello(), "--", "({})"], "a\nb\n"), template);
    assert_eq!(place.says(&["map", &hello(), "a", "--", "--tag", "-j0"]), ok("hello, --tag\nhello, -j0\n"));
    assert_eq!(
        place.says(&["map", "sqrt.wat", "4", "--", "5"]),
        said(
            2,
            "",
            "wrun: words after -- are a WASI program's arguments, and module sqrt.wat imports no args_get of WASI\n"
        )
    );
}

#[test]
fn command_that_fails_is_an_error_with_its_standard_error_as_the_message() {
    let place = Place::new();
    place.file("seven.wat", program(7));
    place.file("zero.wat", program(0));
    assert_eq!(place.says(&["map", "zero.wat", "x"]), said(0, "out\n", "task 0 (x): err\n"));
    assert_eq!(
        place.says(&["map", "seven.wat", "x"]),
        said(
            100,
            "",
            "task 0 (x) failed: err (exit code 7)\nit had printed:\n    out\nrerun: wrun run seven.wat --index 0 x\nwrun: 1 of 1 tasks failed\n"
        )
    );
}

#[test]
fn failed_tasks_are_reported_and_counted_and_others_go_on() {
    let place = Place::new();
    assert_eq!(place.map("fail-f", &["a", "b"]), ok("a\nb\n"));
    let failures = "task 1 (f1) failed: f1\nrerun: wrun run kit.wat --call fail-f --index 1 f1\n\
                    task 3 (f2) failed: f2\nrerun: wrun run kit.wat --call fail-f --index 3 f2\n\
                    wrun: 2 of 4 tasks failed\n";
    assert_eq!(place.map("fail-f", &["a", "f1", "b", "f2"]), said(100, "a\nb\n", failures));
}

#[test]
fn an_item_that_cannot_be_an_argument_of_a_program_fails_its_task() {
    let place = Place::new();
    let hello = hello();
    let mixed = place.says_to(&["map", &hello], b"a\0b\nbob\n\xff\n");
    assert_eq!((mixed.code, mixed.stdout.as_str()), (Some(100), "hello, bob\n"), "{}", mixed.stderr);
    let nul = "its item contains a NUL byte, which an argument of a program cannot; use --null if a NUL byte ends each item\n";
    assert!(mixed.stderr.contains(nul), "{}", mixed.stderr);
    assert!(
        mixed.stderr.contains("its item is not UTF-8, and arguments of a WASI program must be\n"),
        "{}",
        mixed.stderr
    );
    assert_eq!(place.says_to(&["map", &hello, "--null"], b"a\0b\0"), ok("hello, a\nhello, b\n"));
}

#[test]
fn a_command_whose_instance_is_to_be_reused_is_refused_before_any_task() {
    let place = Place::new();
    let hello = hello();
    let line = "wrun: hello-wasi.wasm is a WASI command, whose instance cannot be entered twice; leave --reuse out\n";
    assert_eq!(place.says(&["map", &hello, "a", "b", "c", "d", "--reuse", "-j", "1"]), said(2, "", line));
}
