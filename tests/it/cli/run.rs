//! `wrun run`: one task; a WASI program behaves as if it had been started directly.

use serde_json::json;

use crate::cli::kit::{Place, hello, keys, objects, ok, output, program, said};
use crate::support::guest;

#[test]
fn program_gets_its_arguments() {
    let place = Place::new();
    assert_eq!(place.says(&["run", &hello(), "a", "b c", ""]), ok("hello, a\nhello, b c\nhello, \n"));
    assert_eq!(place.says(&["run", &hello(), "a", "--json", "-j", "-0"]), {
        ok("hello, a\nhello, --json\nhello, -j\nhello, -0\n")
    });
    assert_eq!(place.says(&["run", &hello(), "--", "--help"]), ok("hello, --help\n"));
}

#[test]
fn program_reads_standard_input() {
    let place = Place::new();
    assert_eq!(place.says_to(&["run", &hello()], "some text\n"), ok("SOME TEXT\n"));
    let large = "line of text\n".repeat(100_000);
    let said = place.says_to(&["run", &hello(), "x"], &large);
    assert!(said.stdout == format!("hello, x\n{}", large.to_uppercase()), "{} bytes", said.stdout.len());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn program_writes_to_both_outputs_and_its_exit_code_is_that_of_wrun() {
    let place = Place::new();
    for code in [0, 1, 7, 125] {
        place.file("program.wat", program(code));
        assert_eq!(place.says(&["run", "program.wat"]), said(i32::from(code), "out\n", "err\n"));
    }
    let nothing = "hello-wasi: nothing to do: give names, or text on standard input\n";
    assert_eq!(place.says(&["run", &hello()]), said(1, "", nothing));
}

#[test]
fn program_that_traps_says_so_after_its_own_words() {
    let place = Place::new();
    place.file(
        "trap.wat",
        program(7)
            .replace("(call $exit (i32.const 7))", "(call $stop)")
            .replace("(func (export \"_start\")", "(func $stop unreachable) (func $main (export \"_start\")"),
    );
    let said = place.says(&["run", "trap.wat"]);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!((said.code, said.stdout.as_str(), lines.len()), (Some(100), "out\n", 4), "{}", said.stderr);
    assert_eq!(lines[0], "err");
    assert_eq!(lines[1], "wrun: trap.wat failed: trapped: wasm `unreachable` instruction executed");
    assert!(lines[2].ends_with("stop") && lines[3].ends_with("main"), "{}", said.stderr);
}

#[test]
fn task_gets_its_words_joined() {
    let place = Place::new();
    let run = |task: &str, words: &[&str]| place.says(&[&["run", "--call", task, "kit.wat"], words].concat());
    assert_eq!(run("echo", &["a", "b"]), ok("a b\n"));
    assert_eq!(run("echo", &[]), ok(""));
    assert_eq!(run("log", &["hi"]), said(0, "", "hi\n"));
    assert_eq!(run("fail", &["no", "luck"]), said(100, "", "wrun: kit.wat failed: no luck\n"));
    assert_eq!(place.says(&["run", "--raw", "--call", "echo", "kit.wat", "a"]), ok("a"));
}

#[test]
fn task_reads_inputs() {
    let place = Place::new();
    place.file("f", "0123456789");
    assert_eq!(place.says(&["run", "kit.wat", "--call", "cat", "-i", "a=f@2+3"]), ok("234\n"));
    assert_eq!(place.says(&["run", &guest("wordcount"), "--call", "count", "-i", "a=f"]), ok("0123456789 1\n"));
}

#[test]
fn function_of_numbers_is_called_with_numbers() {
    let place = Place::new();
    place.file(
        "add.wat",
        "(module (func (export \"add\") (param i32 i64) (result i64) \
        (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))",
    );
    assert_eq!(place.says(&["run", "sqrt.wat", "2"]), ok("1.4142135623730951\n"));
    assert_eq!(place.says(&["run", "add.wat", "-2", "5"]), ok("3\n"));
    assert_eq!(place.says(&["run", "add.wat", "2,5"]), ok("7\n"));
    assert_eq!(
        place.says(&["run", "sqrt.wat", "2", "3"]),
        said(2, "", "wrun: argument \"2 3\" does not fit sqrt(f64) -> f64: it takes 1 number, 2 given\n")
    );
    assert_eq!(
        place.says(&["run", "sqrt.wat", "two"]),
        said(2, "", "wrun: argument \"two\" does not fit sqrt(f64) -> f64: \"two\" is not a valid f64\n")
    );
}

#[test]
fn result_can_be_json() {
    let place = Place::new();
    let said = place.says(&["run", "--json", "sqrt.wat", "4"]);
    let tasks = objects(&said.stdout);
    assert_eq!((said.code, said.stderr.as_str(), tasks.len()), (Some(0), "", 1));
    assert_eq!((&tasks[0]["status"], &tasks[0]["output"]), (&json!("ok"), &json!("2")));
    assert!(keys(&tasks[0]).contains(&"seconds"));
    let failed = place.says(&["run", "--json", "--call", "fail", "kit.wat", "why"]);
    let tasks = objects(&failed.stdout);
    assert_eq!((failed.code, &tasks[0]["status"], &tasks[0]["error"]), (Some(100), &json!("error"), &json!("why")));
    assert_eq!(
        place.says(&["run", "--json", &hello(), "a"]),
        crate::cli::kit::said(
            2,
            "",
            "wrun: a command writes to this terminal by itself; for its output as JSON, use wrun map --json\n"
        )
    );
}

#[test]
fn limits_hold() {
    let place = Place::new();
    let run = |task: &str, options: &[&str], word: &str| {
        place.says(&[&["run", "--call", task], options, &["kit.wat", word]].concat())
    };
    assert_eq!(run("loop-l", &["--timeout", "200ms"], "a"), ok("a\n"));
    let late = run("loop-l", &["--timeout", "200ms"], "loop");
    assert_eq!((late.code, late.stdout.as_str()), (Some(100), ""));
    assert!(late.stderr.starts_with("wrun: kit.wat failed: timed out after 200ms in "), "{}", late.stderr);
    assert_eq!(run("grow", &["--memory", "64M"], ""), ok(""));
    let grown = run("grow", &["--memory", "16M"], "");
    assert_eq!((grown.code, grown.stdout.as_str()), (Some(100), ""));
    assert!(grown.stderr.contains("the limit is 16777216 bytes; raise it with --memory\n"), "{}", grown.stderr);
}

#[test]
fn trap_in_rust_names_function_file_and_line() {
    let place = Place::new();
    place.file("text", "word ".repeat(10) + &(0..100_000).map(|word| format!("{word} ")).collect::<String>());
    let call = ["run", "--call", "count", "-i", "a=text"];
    let fits = output(place.wrun(&[&call[..], &[&guest("wordcount")]].concat()).spawn().expect("wrun starts"));
    assert_eq!(fits.status.code(), Some(0));
    // Just enough memory to start: it then runs out of memory in its own code.
    let said = place.says(&[&call[..], &["--memory", "2M", &guest("wordcount")]].concat());
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    let frame =
        said.stderr.lines().find(|line| line.contains("wordcount/src/")).unwrap_or_else(|| panic!("{}", said.stderr));
    let line = frame.rsplit(".rs:").next().expect("a line number");
    assert!(line.starts_with(|digit: char| digit.is_ascii_digit()), "{frame}");
    assert!(said.stderr.contains("wordcount::"), "{}", said.stderr);
}
