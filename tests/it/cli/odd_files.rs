//! Files that are not what they seem: without a true size, without a name in UTF-8, or not files at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

use crate::cli::kit::{Place, Said, finish, hello, objects, ok, said};

#[test]
fn files_that_the_kernel_makes_up_are_read_whole() {
    let place = Place::new();
    let version = fs::read_to_string("/proc/version").expect("a version");
    let in_sys = "/sys/kernel/mm/transparent_hugepage/enabled";
    for (path, text) in [("/proc/version", Ok(version.clone())), (in_sys, fs::read_to_string(in_sys))] {
        let Ok(text) = text else { continue };
        let input = format!("x={path}");
        for args in [
            &["map", "kit.wat", "--call", "cat", "--files", path][..],
            &["map", "kit.wat", "--call", "cat", "--split", "1G", path],
            &["map", "kit.wat", "--call", "cat", "-i", &input, "item"],
            &["run", "kit.wat", "--call", "cat", "--file", path],
            &["run", "kit.wat", "--call", "cat", "-i", &input],
        ] {
            assert_eq!(place.says(args), ok(&text), "{args:?}");
        }
        assert_eq!(place.says_to(&["map", "kit.wat", "--call", "cat", "--files"], path), ok(&text));
        let said = place.says(&["map", "kit.wat", "--call", "cat", "-v", "-i", &input, "--files", path]);
        let notice = format!("wrun: {path} cannot be mapped, so {} bytes were copied\n", text.len());
        assert_eq!(said.stderr.matches(&notice).count(), 2, "{said:?}");
    }
    let pieces = place.map("echo", &["--split-into", "2", "--split-at", "bytes", "/proc/version"]);
    assert_eq!(pieces.stdout.lines().count(), 2, "{pieces:?}");
    place.file("empty", "");
    assert_eq!(place.map("cat", &["--tag", "--files", "empty"]), ok(""));
}

#[test]
fn what_can_be_neither_mapped_nor_copied_is_named_in_one_line() {
    let place = Place::new();
    let pipe = place.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    for (path, why) in [
        ("/proc/self/mem", "it cannot be mapped"),
        ("/dev/zero", "it is a device"),
        ("pipe", "it is a pipe"),
        (".", "it is a directory"),
    ] {
        let input = format!("x={path}");
        let out = format!("x={path}:8");
        for args in [
            &["map", "kit.wat", "--call", "cat", "--files", path][..],
            &["map", "kit.wat", "--call", "cat", "--split", "1K", path],
            &["map", "kit.wat", "--call", "cat", "-i", &input, "item"],
            &["run", "kit.wat", "--call", "cat", "--file", path],
            &["map", "kit.wat", "-o", path, "--slice", "1", "item"],
            &["map", "kit.wat", "--shared", &out, "item"],
        ] {
            let said = place.says(args);
            assert!(
                said.code == Some(1) && said.stderr.contains(path) && said.stderr.contains(why),
                "{args:?}: {said:?}"
            );
            assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        }
        let late = place.says_to(&["map", "kit.wat", "--call", "cat", "--files"], path);
        assert!(late.code == Some(100) && late.stderr.contains(why), "{late:?}");
    }
    for args in [["-o", "/proc/self/comm", "--slice", "1"], ["--shared", "x=/proc/self/comm:8", "--call", "cat"]] {
        let said = place.says(&[&["map", "kit.wat"], &args[..], &["item"]].concat());
        assert!(said.code == Some(1) && said.stderr.contains("it cannot be mapped; name a file on a disk"), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
    let stdin = place.says_to(&["map", "kit.wat", "--call", "cat", "--files", "/dev/stdin"], "x");
    assert!(stdin.code == Some(1) && stdin.stderr.contains("it is a pipe"), "{stdin:?}");
}

/// Runs `wrun` with words of any bytes.
fn says(place: &Place, words: &[&[u8]]) -> Said {
    let mut command = place.wrun(&[]);
    command.args(words.iter().map(|word| OsStr::from_bytes(word)));
    finish(command)
}

/// A place with two files whose names differ in a byte that is not UTF-8, and one whose name is like an escape.
fn place() -> Place {
    let place = Place::new();
    for (name, text) in [(&b"caf\xe9"[..], "one\n"), (b"caf\xe8", "two\n"), (br"caf\xe9", "three\n")] {
        fs::write(place.path().join(OsStr::from_bytes(name)), text).expect("a file");
    }
    place
}

const NAMES: [&[u8]; 3] = [b"caf\xe9", b"caf\xe8", br"caf\xe9"];

#[test]
fn names_that_are_not_utf_8_reach_the_task_as_they_are() {
    let place = place();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "--files"]);
    let output = command.args(NAMES.map(OsStr::from_bytes)).output().expect("wrun runs");
    assert_eq!(output.stdout, [NAMES.join(&b'\n'), b"\n".to_vec()].concat());
    let mut command = place.wrun(&["map", "kit.wat", "--call", "cat", "--tag", "--split", "100"]);
    let output = command.args(NAMES.map(OsStr::from_bytes)).output().expect("wrun runs");
    assert_eq!(output.stdout, b"caf\xe9\tone\ncaf\xe8\ttwo\ncaf\\\\xe9\tthree\n");
    // The same for names that are read.
    let list = [NAMES.join(&b'\n'), b"\n".to_vec()].concat();
    assert_eq!(place.map_lines("cat", &["--files"], list), ok("one\ntwo\nthree\n"));
}

#[test]
fn names_that_differ_are_shown_differently_everywhere() {
    let place = place();
    let map = |options: &[&str]| {
        let words = [&["map", "kit.wat", "--files", "--call"], options].concat();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).chain(NAMES).collect();
        says(&place, &words)
    };
    let json = objects(&map(&["echo", "--json"]).stdout);
    assert_eq!((&json[0]["item_base64"], &json[1]["item_base64"]), (&"Y2Fm6Q==".into(), &"Y2Fm6A==".into()));
    assert_eq!(json[2]["item"], r"caf\xe9");
    let events = map(&["fail", "--progress", "json", "-v"]);
    let ended: Vec<_> = objects(&events.stderr).into_iter().filter(|event| event["event"] == "ended").collect();
    assert!(ended.iter().any(|event| event["item_base64"] == "Y2Fm6Q=="), "{ended:?}");
    let failed = map(&["fail"]).stderr;
    for name in [r"task 0 (caf\xe9) failed: ", r"task 1 (caf\xe8) failed: ", r"task 2 (caf\\xe9) failed: "] {
        assert!(failed.contains(name), "{name}: {failed}");
    }
    assert_eq!(map(&["cat", "--results", "dir", "--joblog", "log", "--trace", "trace"]).code, Some(0));
    let mut names: Vec<OsString> =
        fs::read_dir(place.path().join("dir")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [r"0-caf\xe9.out", r"1-caf\xe8.out", r"2-caf\\xe9.out"]);
    let log = fs::read_to_string(place.path().join("log")).expect("a log");
    let keys: std::collections::HashSet<_> = objects(&log).iter().map(|line| line["key"].to_string()).collect();
    assert_eq!(keys.len(), 3);
    let trace = fs::read_to_string(place.path().join("trace")).expect("a trace");
    assert!(trace.contains("Y2Fm6Q==") && trace.contains("Y2Fm6A=="), "{trace}");
    // Messages name the file that they are about.
    let missing = says(&place, &[b"map", b"kit.wat", b"--call=cat", b"--files", b"no\xff"]);
    assert_eq!(missing, said(1, "", "wrun: cannot use input \"no\\xFF\": no such file; check the path\n"));
}

#[test]
fn command_lines_that_run_a_task_again_have_the_exact_bytes() {
    let place = place();
    let words: Vec<&[u8]> =
        [&b"map"[..], b"kit.wat", b"--call", b"fail", b"--files"].into_iter().chain(NAMES).collect();
    let said = says(&place, &words);
    let lines: Vec<&str> = said.stderr.lines().filter_map(|line| line.strip_prefix("rerun: ")).collect();
    // The shell's own reading of the words.
    let read = |line: &str| {
        let script = format!("wrun() {{ printf '%s\\0' \"$@\"; }}; {line}");
        let output = Command::new("bash").args(["-c", &script]).output().expect("a shell");
        let words: Vec<OsString> =
            output.stdout.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
        let at = words.iter().position(|word| word == "--file").expect("a file");
        words[at + 1].clone().into_vec()
    };
    let files: Vec<Vec<u8>> = lines.iter().map(|line| read(line)).collect();
    assert_eq!(files, NAMES);
    let item = says(&place, &[b"map", b"kit.wat", b"--call", b"fail", b"a\xff'\n"]);
    let line = item.stderr.lines().find_map(|line| line.strip_prefix("rerun: ")).expect("a line");
    assert_eq!(line, r"wrun run kit.wat --call fail --index 0 $'a\377\047\012'");
}

#[test]
fn a_wasi_program_gets_no_other_name_than_the_files() {
    let place = place();
    let said = says(&place, &[b"map", hello().as_bytes(), b"--files", b"caf\xe9"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    assert!(said.stderr.contains("its item is not UTF-8, and arguments of a WASI program must be"), "{said:?}");
    for words in [&[b"map", hello().as_bytes(), b"x", b"--", b"caf\xe9"][..], &[b"run", hello().as_bytes(), b"caf\xe9"]]
    {
        let said = says(&place, words);
        assert!(said.code == Some(2) && said.stderr.contains("UTF-8"), "{said:?}");
    }
    // A module may have any name; the program sees it with an escape.
    let path = place.path().join(OsStr::from_bytes(b"caf\xe9.wasm"));
    fs::copy(hello(), path).expect("a file");
    assert_eq!(says(&place, &[b"run", b"caf\xe9.wasm", b"bob"]).code, Some(0));
    let number = says(&place, &[b"map", b"sqrt.wat", b"4\xff"]);
    assert_eq!((number.code, number.stderr.contains(r#""4\xFF""#)), (Some(2), true), "{number:?}");
}
