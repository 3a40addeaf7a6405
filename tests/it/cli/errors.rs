//! Bad input: one line on standard error that names the problem and says what to do, the documented exit code, nothing on
//! standard output, and no task runs. Each refusal is paired with a correct use of the same option.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::cli::kit::{Place, finish, hello, ok, said};

/// wrun failed.
const FAILURE: i32 = 1;
/// The command line is wrong.
const USAGE: i32 = 2;

/// Checks that `wrun` exits with this code and prints exactly this line after `wrun: `.
#[track_caller]
fn refuses(place: &Place, args: &[&str], code: i32, line: &str) {
    assert_eq!(place.says(args), said(code, "", &format!("wrun: {line}\n")), "{args:?}");
}

/// Checks that `wrun` exits with this code and prints one line that contains all these parts.
#[track_caller]
fn refuses_with(place: &Place, args: &[&str], code: i32, parts: &[&str]) {
    let said = place.says(args);
    assert_eq!((said.code, said.stdout.as_str()), (Some(code), ""), "{args:?}: {}", said.stderr);
    assert!(said.stderr.starts_with("wrun: ") && said.stderr.lines().count() == 1, "{args:?}: {}", said.stderr);
    for part in parts {
        assert!(said.stderr.contains(part), "{args:?} lacks {part:?}: {}", said.stderr);
    }
}

#[test]
fn missing_files_are_named() {
    let place = Place::new();
    place.file("f", "x");
    assert_eq!(place.map("cat", &["--files", "f"]), ok("x\n"));
    let none = "cannot use input \"none\": no such file; check the path";
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--files", "f", "none"], FAILURE, none);
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--split", "1", "f", "none"], FAILURE, none);
    let input = format!("--input a: {none}");
    refuses(&place, &["map", "kit.wat", "--call", "cat", "-i", "a=none", "x"], FAILURE, &input);
    refuses(&place, &["run", "kit.wat", "--call", "cat", "-i", "a=none"], FAILURE, &input);
}

#[test]
fn missing_modules_are_named_with_advice() {
    let place = Place::new();
    assert_eq!(place.says(&["map", "sqrt.wat", "4"]), ok("2\n"));
    for command in ["map", "run", "inspect", "compile"] {
        refuses_with(&place, &[command, "none.wasm"], FAILURE, &["\"none.wasm\"", "check the path"]);
    }
}

#[test]
fn missing_lists_of_items_are_named_with_advice() {
    let place = Place::new();
    place.file("list", "4\n");
    assert_eq!(place.says(&["map", "sqrt.wat", "--items", "list"]), ok("2\n"));
    refuses_with(&place, &["map", "sqrt.wat", "--items", "none"], FAILURE, &["items", "\"none\"", "check the path"]);
    refuses_with(&place, &["map", "sqrt.wat", "--items", "."], FAILURE, &["items", "\".\"", "directory", "name"]);
}

#[test]
fn directories_are_no_files() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("dir")).expect("a directory");
    let advice = "cannot use input \"dir\": it is a directory; name the files in it";
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--files", "dir"], FAILURE, advice);
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--split", "9", "dir"], FAILURE, advice);
    let input = format!("--input a: {advice}");
    refuses(&place, &["map", "kit.wat", "--call", "cat", "-i", "a=dir", "x"], FAILURE, &input);
    refuses(&place, &["map", "dir", "x"], FAILURE, "dir is a directory: name a .wasm or .wat file");
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    let place = Place::new();
    let status = Command::new("mkfifo").arg(place.path().join("pipe")).status().expect("mkfifo");
    assert!(status.success());
    let save = "which cannot be mapped; save its contents to a file first";
    let pipe = format!("cannot use input \"pipe\": it is a pipe, {save}");
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--files", "pipe"], FAILURE, &pipe);
    let device = format!("cannot use input \"/dev/null\": it is a device, {save}");
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--files", "/dev/null"], FAILURE, &device);
}

#[test]
fn unreadable_files_are_named() {
    let place = Place::new();
    let secret = place.file("secret", "x");
    let module = place.file("secret.wat", "(module)");
    let readable = |mode| {
        for path in [&secret, &module] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        }
    };
    assert_eq!(place.map("cat", &["--files", "secret"]), ok("x\n"));
    readable(0o000);
    if std::fs::File::open(&secret).is_ok() {
        // Root can read everything; a test of the library covers the message.
        readable(0o600);
        return;
    }
    let denied = "cannot use input \"secret\": permission denied; make it readable for this user";
    refuses(&place, &["map", "kit.wat", "--call", "cat", "--files", "secret"], FAILURE, denied);
    refuses_with(&place, &["map", "secret.wat", "x"], FAILURE, &["\"secret.wat\"", "make it readable"]);
}

#[test]
fn unknown_functions_are_named_with_what_there_is() {
    let place = Place::new();
    place.file(
        "two.wat",
        "(module (func (export \"wrun:task/count\") (result i32) (i32.const 0)) \
        (func (export \"wrun:task/merge\") (result i32) (i32.const 0)))",
    );
    assert_eq!(place.says(&["map", "two.wat", "--call", "count", "x"]), ok(""));
    let typo = "module two.wat has no task or function \"cuont\": did you mean \"count\"? it offers tasks count, merge";
    refuses(&place, &["map", "two.wat", "--call", "cuont", "x"], FAILURE, typo);
    refuses(&place, &["run", "two.wat", "--call", "cuont"], FAILURE, typo);
    let none = "module two.wat has no task or function \"xyz\": it offers tasks count, merge";
    refuses(&place, &["map", "two.wat", "--call", "xyz", "x"], FAILURE, none);
    refuses(&place, &["map", "two.wat", "--call", "count", "--reduce", "xyz", "x"], FAILURE, none);
    let several = "module two.wat has several tasks (count, merge); choose one with --call NAME";
    refuses(&place, &["map", "two.wat", "x"], FAILURE, several);
    place.file("nothing.wat", "(module)");
    refuses(
        &place,
        &["map", "nothing.wat", "x"],
        FAILURE,
        "module nothing.wat offers nothing to call: export a task (wrun:task/NAME or wrun_task_NAME), a function of numbers, or _start",
    );
}

#[test]
fn unknown_imports_are_named() {
    let place = Place::new();
    let importing = |module: &str, name: &str| {
        format!("(module (import \"{module}\" \"{name}\" (func)) (func (export \"f\") (result i32) (i32.const 5)))")
    };
    for (module, name, advice) in [
        ("env", "puts", "link the library that defines it, or remove its use"),
        ("wrun_v1", "teleport", "there is no such function; build it with the current SDK"),
        ("other", "f", "only functions of wrun_v1 and wasi_snapshot_preview1 are"),
    ] {
        place.file("i.wat", importing(module, name));
        let option = "use --unknown-imports trap to let it trap only when it is called";
        let line = format!("module i.wat imports {module}::{name}, which wrun does not provide: {advice}; {option}");
        refuses(&place, &["map", "i.wat", ""], FAILURE, &line);
        refuses(&place, &["run", "i.wat"], FAILURE, &line);
    }
    place.file(
        "i.wat",
        "(module (import \"wrun_v1\" \"arg_len\" (func (result i32))) (func (export \"f\") (result i32) (call 0)))",
    );
    assert_eq!(place.says(&["map", "i.wat", " "]), ok("1\n"));
    place.file("i.wat", "(module (import \"wrun_v1\" \"arg_len\" (func (result i64))) (func (export \"f\")))");
    refuses_with(
        &place,
        &["map", "i.wat", ""],
        FAILURE,
        &["module i.wat imports wrun_v1::arg_len as func () -> (i64), but it is"],
    );
}

#[test]
fn memory_that_cannot_hold_the_input_is_reported_as_too_small() {
    let place = Place::new();
    let mapper = |memory: &str| {
        format!(
            "(module (import \"wrun_v1\" \"input_len\" (func $len (param i32) (result i64)))
               (import \"wrun_v1\" \"input_map\" (func $map (param i32 i64 i32) (result i32)))
               (memory (export \"memory\") {memory})
               (func (export \"wrun:task/t\") (result i32)
                 (drop (call $map (i32.const 0) (i64.const 0) (i32.wrap_i64 (call $len (i32.const 0)))))
                 (i32.const 0)))"
        )
    };
    place.file("small", "x");
    place.file("large", vec![b'x'; 300_000]);
    place.file("none.wat", mapper("1 1"));
    place.file("one.wat", mapper("1 2"));
    place.file("all.wat", mapper("1"));
    let no_room = "module none.wat imports wrun_v1::input_map but its memory has no room for a window: it starts with 1 pages \
                   of 64 KiB, and its maximum is 1; raise the maximum (wasm-ld --max-memory=BYTES) or declare none";
    refuses(&place, &["map", "none.wat", "--files", "small"], FAILURE, no_room);
    assert_eq!(place.says(&["map", "one.wat", "--files", "small"]), ok(""));
    assert_eq!(place.says(&["map", "all.wat", "--files", "large"]), ok(""));
    // The task decides how much of a file it maps, so this shows only when it runs.
    let said = place.says(&["map", "one.wat", "--files", "large"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    let first = "task 0 (large) failed: input_map: no room for a window of ";
    assert!(said.stderr.starts_with(first), "{}", said.stderr);
    assert!(said.stderr.contains("declares at most 131072 bytes of memory"), "{}", said.stderr);
    assert!(said.stderr.contains("; build it with a larger maximum, or map smaller ranges\n"), "{}", said.stderr);
}

#[test]
fn bad_ranges_are_named() {
    let place = Place::new();
    place.file("f", "0123456789");
    let cat = |input: &str| {
        vec!["map", "kit.wat", "--call", "cat", "x", "-i"]
            .into_iter()
            .chain([input.to_owned().leak() as &str])
            .collect::<Vec<_>>()
    };
    assert_eq!(place.says(&cat("a=f@9+1")), ok("9\n"));
    let past =
        |range: &str| format!("--input a: range {range} reaches past the end of input \"f\", which has 10 bytes");
    refuses(&place, &cat("a=f@9+2"), USAGE, &past("9..11"));
    refuses(&place, &cat("a=f@1K+0"), USAGE, &past("1024..1024"));
    refuses(&place, &cat("a=f@1+18446744073709551615"), USAGE, &past("1..18446744073709551615"));
    let form = |value: &str| {
        format!(
            "invalid value '{value}' for '--input <NAME=PATH[@OFFSET+LEN]>': give NAME=PATH or NAME=PATH@OFFSET+LEN, such as \
             words=/usr/share/dict/words; --help shows all options"
        )
    };
    for value in ["f", "=f", "a="] {
        refuses(&place, &cat(value), USAGE, &form(value));
    }
    let twice = ["map", "kit.wat", "--call", "cat", "x", "-i", "a=f", "-i", "a=f@0+1"];
    refuses(&place, &twice, USAGE, "two inputs are named \"a\"; give each its own name");
}

#[test]
fn arguments_that_do_not_fit_the_parameters_are_refused_before_any_task() {
    let place = Place::new();
    place.file("int.wat", "(module (func (export \"f\") (param i32) (result i32) (local.get 0)))");
    assert_eq!(place.says(&["map", "int.wat", "-1", "4294967295"]), ok("-1\n-1\n"));
    let fit = |argument: &str, why: &str| format!("argument {argument:?} does not fit f(i32) -> i32: {why}");
    refuses(&place, &["map", "int.wat", "1", "abc"], USAGE, &fit("abc", "\"abc\" is not a valid i32"));
    refuses(
        &place,
        &["map", "int.wat", "1", "4294967296"],
        USAGE,
        &fit("4294967296", "\"4294967296\" is not a valid i32"),
    );
    refuses(&place, &["map", "int.wat", "1", "1.5"], USAGE, &fit("1.5", "\"1.5\" is not a valid i32"));
    refuses(&place, &["map", "int.wat", "1", "2 3"], USAGE, &fit("2 3", "it takes 1 number, 2 given"));
    refuses(&place, &["map", "int.wat", ""], USAGE, &fit("", "it takes 1 number, 0 given"));
    // Lines arrive one at a time, and so do errors in them.
    let lines = place.says_to(&["map", "int.wat"], "1\nabc\n2\n");
    let failed = "task 1 (abc) failed: \"abc\" is not a valid i32\nrerun: wrun run int.wat --index 1 abc\nwrun: 1 of 3 tasks failed\n";
    assert_eq!(lines, said(100, "1\n2\n", failed));
}

#[test]
fn unknown_words_and_options_are_named() {
    let place = Place::new();
    let end = "; --help shows all options";
    refuses(&place, &["frob"], USAGE, &format!("unrecognized subcommand 'frob'{end}"));
    refuses(&place, &["map"], USAGE, &format!("the following required arguments were not provided: <MODULE>{end}"));
    let splt = format!("unexpected argument '--splt' found; tip: a similar argument exists: '--split'{end}");
    refuses(&place, &["map", "sqrt.wat", "4", "--splt", "1M"], USAGE, &splt);
    refuses(&place, &["map", "sqrt.wat", "4", "-x"], USAGE, &format!("unexpected argument '-x' found{end}"));
    refuses_with(&place, &["cache", "frob"], USAGE, &["'frob'", "path, list, clear"]);
    refuses_with(
        &place,
        &["map", "sqrt.wat", "4", "--timeout", "2"],
        USAGE,
        &["'2' for '--timeout <TIME|N%>'", "500ms, 2s or 1m"],
    );
    refuses_with(&place, &["map", "sqrt.wat", "4", "--timeout", "0s"], USAGE, &["must be longer than 0"]);
    refuses_with(
        &place,
        &["map", "sqrt.wat", "4", "--memory", "0"],
        USAGE,
        &["'0' for '--memory <SIZE>'", "at least 1 byte"],
    );
    refuses_with(&place, &["map", "sqrt.wat", "4", "--stack", "1G"], USAGE, &["stack", "67108864"]);
}

#[test]
fn impossible_numbers_of_workers_are_refused() {
    let place = Place::new();
    assert_eq!(place.says(&["map", "sqrt.wat", "4", "--jobs", "100"]), ok("2\n"));
    refuses_with(
        &place,
        &["map", "sqrt.wat", "4", "--jobs", "9999999999999"],
        USAGE,
        &["'9999999999999' for '--jobs <N>'"],
    );
}

#[test]
fn few_file_descriptors_end_in_results_or_in_an_error() {
    let place = Place::new();
    let lines: String = (0..200).map(|line| format!("{line}\n")).collect();
    place.file("items", &lines);
    let with_limit = |descriptors: u32, jobs: u32| {
        let wrun = place.wrun(&[]);
        let mut shell = Command::new("/bin/sh");
        let line = format!("ulimit -n {descriptors}; exec \"$0\" map kit.wat --call echo --items items -j {jobs}");
        shell.arg("-c").arg(line).arg(wrun.get_program()).current_dir(place.path());
        shell.env_clear().envs(wrun.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(shell)
    };
    assert_eq!(with_limit(256, 2), ok(&lines));
    // No exit code means that the run hung and was killed.
    let said = with_limit(64, 24);
    match said.code {
        Some(0) => assert_eq!(said.stdout, lines),
        code => assert_eq!((code, said.stderr.starts_with("wrun: ")), (Some(FAILURE), true), "{}", said.stderr),
    }
}

#[test]
fn options_that_exclude_each_other_are_named() {
    let place = Place::new();
    for (a, b) in [("--tag", "--json"), ("--raw", "--json")] {
        let line = format!("the argument '{a}' cannot be used with '{b}'; --help shows all options");
        refuses(&place, &["map", "sqrt.wat", "4", a, b], USAGE, &line);
    }
    for option in ["--tag", "--unordered"] {
        let line = format!("the argument '--reduce <NAME>' cannot be used with '{option}'; --help shows all options");
        refuses(&place, &["map", "kit.wat", "4", "--reduce", "cat", option], USAGE, &line);
    }
}

#[test]
fn names_in_errors_do_not_command_the_terminal() {
    let place = Place::new();
    for args in [
        &["map", "\u{1b}[2J\nx.wasm", "1"][..],
        &["map", "sqrt.wat", "--call", "\u{1b}[2J\nx", "1"],
        &["map", "sqrt.wat", "\u{1b}[2J\nx"],
        &["map", "kit.wat", "--call", "cat", "--files", "\u{1b}[2J\nx"],
        &["map", "sqrt.wat", "1", "--jobs", "\u{1b}[2J\nx"],
        &["map", "sqrt.wat", "1", "--\u{1b}[2Jx"],
        &["\u{1b}[2Jfrob"],
    ] {
        let said = place.says(args);
        assert!(matches!(said.code, Some(FAILURE | USAGE)) && said.stdout.is_empty(), "{args:?}: {said:?}");
        assert!(!said.stderr.contains('\u{1b}') && said.stderr.lines().count() == 1, "{args:?}: {:?}", said.stderr);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    assert_eq!(place.says(&["--version"]), ok(&format!("wrun {}\n", env!("CARGO_PKG_VERSION"))));
    for args in [&["--help"][..], &["help"], &["help", "map"], &["map", "--help"], &["run", "-h"]] {
        let said = place.says(args);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(said.stdout.contains("Usage: wrun") && said.stdout.contains("Exit codes: 0 all tasks ok;"), "{args:?}");
    }
    let bare = place.says(&[]);
    assert_eq!((bare.code, bare.stdout.as_str()), (Some(USAGE), ""));
    assert!(bare.stderr.contains("Usage: wrun <COMMAND>"), "{}", bare.stderr);
    assert_eq!(place.says(&["map", &hello(), "you"]), ok("hello, you\n"));
}
