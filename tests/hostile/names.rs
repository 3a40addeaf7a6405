//! Modules with names (of exports, functions and files) that attack the terminal or a shell.

use super::kit::guest;
use super::texts::is_harmless;
use super::wasm::{Wasm, name};
use crate::cli::kit::{Place, Said, objects, ok};

/// Names, each with a text whose presence shows that the name was printed.
const NAMES: &[(&str, &str)] = &[
    ("\u{1b}[2J\u{1b}]0;owned\u{7}", r"\u{1b}[2J\u{1b}]0;owned\u{7}"),
    ("\u{9b}2Jc1", r"\u{9b}2Jc1"),
    ("\u{202e}txt.exe\u{2066}", r"\u{202e}txt.exe\u{2066}"),
    ("two\nwrun: lines", r"wrun: lines"),
    ("tab\tand\rreturn\u{8}", "tab"),
    ("zero\0byte", "zero"),
    ("\u{2028}separators\u{2029}", "separators"),
    ("e\u{301}", "e\u{301}"),
    ("\u{e9}", "\u{e9}"),
    ("'; touch made; $(touch made) `touch made`", "touch made"),
    ("-rf", "-rf"),
    (" ", " "),
];

/// A module that exports a task and a function that takes a number under these names.
fn module(task: &str, function: &str) -> Vec<u8> {
    exporting(&[(task, 0), (function, 1)])
}

/// A module that exports its functions under these names: 0 is a task, 1 takes a number.
fn exporting(exports: &[(&str, u8)]) -> Vec<u8> {
    let all = exports.iter().flat_map(|(export, function)| [&name(export.as_bytes())[..], &[0, *function]].concat());
    Wasm::new()
        .section(1, b"\x02\x60\0\x01\x7f\x60\x01\x7f\0")
        .section(3, b"\x02\0\x01")
        .section(7, [exports.len() as u8].into_iter().chain(all).collect::<Vec<u8>>())
        .section(10, b"\x02\x04\0\x41\0\x0b\x02\0\x0b")
        .bytes
}

/// Checks that the output is harmless and contains `sign`.
#[track_caller]
fn is_shown(said: &Said, code: i32, sign: &str) {
    let all = format!("{}{}", said.stdout, said.stderr);
    assert_eq!(said.code, Some(code), "{all:?}");
    assert!(is_harmless(&all) && all.contains(sign), "{sign:?}: {all:?}");
}

#[test]
fn no_name_of_a_module_commands_the_terminal() {
    let place = Place::new();
    for (evil, sign) in NAMES {
        let task = format!("wrun:task/{evil}");
        // An argument cannot contain a zero byte, so such a function cannot be called by its name.
        let call = format!("--call={evil}");
        let callable = !evil.contains('\0');
        place.file("m.wasm", module(&task, evil));
        assert!(!callable || place.says(&["map", "m.wasm", &call, "x"]) == ok(""), "{evil:?} works");
        is_shown(&place.says(&["map", "m.wasm", "--call", "none of them", "x"]), 1, sign);
        is_shown(&place.says(&["inspect", "m.wasm"]), 0, sign);
        let json = place.says(&["inspect", "--json", "m.wasm"]);
        assert!(is_harmless(&json.stdout), "{:?}", json.stdout);
        assert_eq!(objects(&json.stdout)[0]["tasks"][0], **evil);
        // A function that takes a number but gets none.
        place.file("m.wasm", exporting(&[(evil, 1)]));
        is_shown(&place.says(&["map", "m.wasm", "x"]), 2, sign);
        is_shown(&place.says(&["run", "m.wasm", "x"]), 2, sign);
        // A task of the wrong type, and an import.
        place.file("m.wasm", module("f", &task));
        if callable {
            is_shown(&place.says(&["map", "m.wasm", &call, "x"]), 1, sign);
        }
        let import = [&b"\x01"[..], &name(evil.as_bytes()), &name(evil.as_bytes()), b"\0\0"].concat();
        place.file("m.wasm", Wasm::new().section(1, b"\x01\x60\0\0").section(2, import).bytes);
        is_shown(&place.says(&["map", "m.wasm", "x"]), 1, sign);
        is_shown(&place.says(&["inspect", "m.wasm"]), 0, sign);
    }
}

#[test]
fn a_command_line_that_is_shown_does_nothing_else_than_it_says() {
    let place = Place::new();
    for (evil, _) in NAMES {
        place.file("m.wasm", exporting(&[("wrun:task/t", 0), (&format!("wrun:task/{evil}"), 0)]));
        let shown = place.says(&["inspect", "m.wasm"]).stdout;
        let line =
            shown.lines().rev().find(|line| line.starts_with("  wrun map ")).unwrap_or_else(|| panic!("{shown}"));
        // The words as a shell reads them, one per line.
        let words = line.trim_start().strip_prefix("wrun").expect("a command line");
        let said = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("printf '%s\\n' {words}")])
            .current_dir(place.path())
            .output()
            .expect("a shell");
        let read = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(read, format!("map\nm.wasm\n--call\n{}\nITEM...\n", evil.replace('\0', r"\u{0}")), "{line}");
        assert!(!place.path().join("made").exists(), "{line}");
    }
}

#[test]
fn names_of_functions_in_a_backtrace_are_shown_harmlessly() {
    let place = Place::new();
    for (evil, sign) in NAMES.iter().filter(|(evil, _)| !evil.trim().is_empty()) {
        place.file("m.wasm", trapping().names(evil).bytes);
        let said = place.says(&["map", "m.wasm", "x"]);
        is_shown(&said, 100, sign.split(' ').next().expect("a word"));
        assert!(said.stderr.contains("wasm `unreachable` instruction executed"), "{}", said.stderr);
    }
}

/// A task that traps immediately.
fn trapping() -> Wasm {
    let task = [&b"\x01"[..], &name(b"wrun:task/t"), b"\0\0"].concat();
    Wasm::new()
        .section(1, b"\x01\x60\0\x01\x7f")
        .section(3, b"\x01\0")
        .section(7, task)
        .section(10, b"\x01\x03\0\0\x0b")
}

#[test]
fn debug_information_that_is_none_is_no_harm() {
    const SECTIONS: [&str; 10] =
        ["info", "abbrev", "line", "str", "ranges", "loc", "addr", "rnglists", "line_str", "str_offsets"];
    let place = Place::new();
    // Large numbers, zeros, and varying bytes.
    for bytes in [vec![0xff; 5000], vec![0; 5000], (0..5000).map(|at| (at * 7 + at / 256) as u8).collect()] {
        let module = SECTIONS.iter().fold(trapping(), |module, section| {
            module.section(0, [&name(format!(".debug_{section}").as_bytes())[..], &bytes].concat())
        });
        place.file("m.wasm", module.bytes);
        let said = place.says(&["map", "m.wasm", "-j1", "x", "y"]);
        assert_eq!(said.code, Some(100));
        assert_eq!(
            said.stderr.matches("failed: trapped: wasm `unreachable` instruction executed").count(),
            2,
            "{}",
            said.stderr
        );
        assert!(!said.stderr.contains("another takes its place"), "{}", said.stderr);
    }
}

#[test]
fn names_as_long_as_there_are_work() {
    let place = Place::new();
    let long = "x".repeat(99_990);
    place.file("m.wasm", module(&format!("wrun:task/{long}"), "f"));
    assert_eq!(place.says(&["map", "m.wasm", "--call", &long, "x", "y"]), ok(""));
    let unknown = place.says(&["map", "m.wasm", "--call", "y", "x"]);
    assert_eq!((unknown.code, unknown.stderr.lines().count()), (Some(1), 1));
    assert!(unknown.stderr.len() < 10_000, "{} bytes", unknown.stderr.len());
    // There is no task with an empty name.
    place.file("m.wasm", module("wrun:task/", "wrun:task/"));
    assert_eq!(place.says(&["map", "m.wasm", "x"]).code, Some(1));
}

#[test]
fn names_of_module_files_are_shown_harmlessly() {
    let place = Place::new();
    let text = std::fs::read_to_string(guest("texts")).expect("the guest");
    for (evil, sign) in NAMES.iter().filter(|(evil, _)| !evil.contains('\0')) {
        let path = format!("./{evil}.wat");
        place.file(&path, "(module (func (export \"f\")))");
        assert_eq!(place.says(&["map", &path, ""]), ok(""), "{evil:?}");
        is_shown(&place.says(&["inspect", &path]), 0, sign);
        is_shown(&place.says(&["map", &path, "--call", "g", ""]), 1, sign.split('\u{301}').next().expect("a name"));
        place.file(&path, "(modul)");
        is_shown(&place.says(&["map", &path, ""]), 1, sign);
        place.file(&path, &text);
        is_shown(&place.says(&["run", &path, "--call", "fail"]), 100, "owned");
    }
}
