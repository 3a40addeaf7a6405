//! `--dry-run`: what would run, as command lines that run it.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::cli::kit::{Place, Said, ok, said};
use crate::support::WRUN;

/// What a shell prints when it runs these lines.
fn shell(place: &Place, lines: &str) -> Said {
    let path = std::path::Path::new(WRUN).parent().expect("a directory");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("PATH", path).env("WRUN_CACHE_DIR", crate::support::cache_dir()).current_dir(place.path());
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("a shell that reads");
    crate::cli::kit::texts(crate::cli::kit::output(child))
}

#[test]
fn a_line_for_each_task_does_what_the_map_would() {
    let place = Place::new();
    let items = ["a b", "", "-2", "$(rm x)'\"", "two\nlines"];
    let args = [&["--memory", "1M"], &items[..]].concat();
    let dry = place.map("echo", &[&["--dry-run"], &args[..]].concat());
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(0), ""));
    assert!(dry.stdout.starts_with("wrun run kit.wat --call echo --memory 1M --index 0 'a b'\n"), "{}", dry.stdout);
    assert_eq!(shell(&place, &dry.stdout), place.map("echo", &args));

    place.file("text", "one\ntwo\nthree\n");
    let split = ["--split", "4", "text", "text"];
    let dry = place.map("cat", &[&["--dry-run"], &split[..]].concat());
    assert_eq!(dry.stdout.lines().next(), Some("wrun run kit.wat --call cat --index 0 --file text@0+4"));
    assert_eq!(shell(&place, &dry.stdout), place.map("cat", &split));
    for args in [&["--files", "text"][..], &["--raw", "--files", "kit.wat", "text"]] {
        let dry = place.map("cat", &[&["--dry-run"], args].concat());
        assert_eq!(shell(&place, &dry.stdout), place.map("cat", args));
    }
}

#[test]
fn lines_of_standard_input_come_in_order() {
    let place = Place::new();
    let items: String = (0..20_000).map(|item| format!("{item}\n")).collect();
    let dry = place.map_lines("echo", &["--dry-run"], &items);
    let wanted: String =
        (0..20_000).map(|item| format!("wrun run kit.wat --call echo --index {item} {item}\n")).collect();
    assert_eq!(dry, ok(&wanted));
    let bytes = place.map_lines("echo", &["--dry-run", "-0"], b"\n\xff\0b");
    assert_eq!(shell(&place, &bytes.stdout).stdout.lines().count(), 3);
    // A reader that stops early is not an error.
    let mut child =
        place.wrun(&["map", "kit.wat", "--call", "echo", "--dry-run", "--items", "kit.wat"]).spawn().expect("wrun");
    let mut first = [0; 5];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("a beginning");
    assert_eq!((child.wait().expect("an end").code(), &first), (Some(0), b"wrun "));
}

#[test]
fn nothing_is_run_and_what_is_done_is_left_out() {
    let place = Place::new();
    let dry = place.map("echo", &["--dry-run", "--reduce", "join", "--joblog", "log", "a"]);
    let line = "wrun run kit.wat --call echo --index 0 a\n";
    assert_eq!(dry, said(0, line, "wrun: the results would then be merged by join\n"));
    assert!(!place.path().join("log").exists());
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
    assert_eq!(
        crate::cli::kit::finish({
            command.env("WRUN_DRY_RUN", "true");
            command
        }),
        ok(line)
    );

    let dry = place.map("echo", &["--dry-run", "--env", "KEY=secret", "a"]);
    let notice = "wrun: these lines leave out the values of --env, and take them from the environment\n";
    assert_eq!(dry, said(0, "wrun run kit.wat --call echo --env KEY --index 0 a\n", notice));

    assert_eq!(place.map("echo", &["--joblog", "log", "a"]), ok("a\n"));
    let rest = place.map("echo", &["--dry-run", "--joblog", "log", "--resume", "a", "b"]);
    assert_eq!(rest, ok("wrun run kit.wat --call echo --index 1 b\n"));
}

#[test]
fn files_that_tasks_would_write_are_neither_made_nor_changed() {
    let place = Place::new();
    place.file("short", "abc");
    let writer = r#"(module (import "wrun_v1" "region_map" (func (param i32 i64 i32) (result i32))) (memory (export "memory") 1)
        (func (export "wrun:task/write") (result i32) (i32.const 0)))"#;
    place.file("writer.wat", writer);
    let files = ["-o", "out", "--slice", "8", "--shared", "n=area:8", "--shared", "s=short:8", "a"];
    let run = [&["map", "writer.wat"], &files[..]].concat();
    let dry = [&run[..2], &["--dry-run"], &files[..]].concat();
    let line = "wrun run writer.wat --out out --slice 8 --shared 'n=area:8' --shared 's=short:8' --index 0 a\n";
    assert_eq!(place.says(&dry), ok(line));
    assert!(!place.path().join("out").exists() && !place.path().join("area").exists());
    assert_eq!(std::fs::read(place.path().join("short")).expect("a file"), b"abc");
    assert_eq!(place.says(&run).code, Some(0), "the control");
    assert!(place.path().join("out").exists() && place.path().join("area").exists());
    assert_eq!(place.says(&dry), ok(line));
}

#[test]
fn a_run_that_could_not_begin_has_no_lines() {
    let place = Place::new();
    let dry = place.map("echo", &["--dry-run", "--backend", "threads", "--timeout", "1s", "a"]);
    assert_eq!((dry.code, dry.stdout.as_str()), (Some(2), ""));
    assert_eq!(dry.stderr, place.map("echo", &["--backend", "threads", "--timeout", "1s", "a"]).stderr);
}

#[test]
fn what_cannot_run_or_be_named_is_reported() {
    let place = Place::new();
    place.file("list", "nofile\nkit.wat\n");
    let dry = place.map("echo", &["--dry-run", "--files", "--items", "list"]);
    let problem = "task 0 (nofile) cannot run: cannot use input \"nofile\": no such file; check the path\n";
    assert_eq!(dry, said(100, "wrun run kit.wat --call echo --index 1 --file kit.wat\n", problem));
    let nul = place.map_lines("echo", &["--dry-run"], b"a\0b\nc\n");
    let problem = "task 0 (a\\u{0}b) would run, but no command line can name it\n";
    assert_eq!((nul.stdout.as_str(), nul.stderr.as_str()), ("wrun run kit.wat --call echo --index 1 c\n", problem));
    assert_eq!(nul.code, Some(1));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the full device");
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "--dry-run", "a"]);
    command.stdout(full);
    let said = crate::cli::kit::finish(command);
    let problem = "wrun: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), problem));
}
