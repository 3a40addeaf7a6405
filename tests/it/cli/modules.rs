//! `wrun compile`, `inspect`, `cache` and `completions`, and which files are accepted as modules.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::cli::kit::{Place, Said, finish, hello, objects, ok, said};
use crate::support::guest;

/// A one-line refusal.
fn refused(line: &str) -> Said {
    said(1, "", &format!("wrun: {line}\n"))
}

#[test]
fn precompiled_module_runs_only_where_it_is_allowed() {
    let place = Place::new();
    assert_eq!(place.says(&["compile", "sqrt.wat", "-o", "s.cwasm"]), ok(""));
    assert_eq!(place.says(&["map", "--allow-precompiled", "s.cwasm", "4"]), ok("2\n"));
    assert_eq!(place.says(&["run", "--allow-precompiled", "s.cwasm", "4"]), ok("2\n"));
    let trusted =
        "s.cwasm is precompiled code, which is trusted code; allow it with --allow-precompiled, or name the .wasm file";
    assert_eq!(place.says(&["map", "s.cwasm", "4"]), refused(trusted));
    assert_eq!(place.says(&["run", "s.cwasm", "4"]), refused(trusted));
    assert_eq!(place.says(&["inspect", "s.cwasm"]), refused(trusted));
    std::fs::rename(place.path().join("s.cwasm"), place.path().join("s.wasm")).expect("a new name");
    let renamed = trusted.replace("s.cwasm", "s.wasm");
    assert_eq!(place.says(&["map", "s.wasm", "4"]), refused(&renamed), "its contents decide, not its name");
}

#[test]
fn compiled_file_stands_beside_the_module_unless_told_otherwise() {
    let place = Place::new();
    assert_eq!(place.says(&["compile", "sqrt.wat"]), ok(""));
    assert!(place.path().join("sqrt.cwasm").exists());
    assert_eq!(place.says(&["compile", &hello(), "--output", "h.cwasm"]), ok(""));
    assert_eq!(place.says(&["map", "--allow-precompiled", "h.cwasm", "you"]), ok("hello, you\n"));
    assert_eq!(
        place.says(&["compile", "sqrt.wat", "-o", "./sqrt.wat"]),
        said(2, "", "wrun: the output ./sqrt.wat is the module itself; name another with -o\n")
    );
    let nowhere = place.says(&["compile", "sqrt.wat", "-o", "nowhere/s.cwasm"]);
    assert_eq!(nowhere, refused("cannot write \"nowhere/s.cwasm\": No such file or directory (os error 2)"));
    let names: Vec<_> =
        std::fs::read_dir(place.path()).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 4, "kit.wat, sqrt.wat, sqrt.cwasm, h.cwasm and nothing else: {names:?}");
}

#[test]
fn broken_precompiled_files_are_refused() {
    let place = Place::new();
    assert_eq!(place.says(&["compile", "sqrt.wat", "-o", "whole.cwasm"]), ok(""));
    let whole = std::fs::read(place.path().join("whole.cwasm")).expect("code");
    place.file("cut.cwasm", &whole[..3000]);
    place.file("text.cwasm", "hello");
    for name in ["cut.cwasm", "text.cwasm"] {
        assert_eq!(
            place.says(&["map", "--allow-precompiled", name, "4"]),
            refused(&format!("{name} is not a precompiled module; make one with `wrun compile`"))
        );
    }
    assert_eq!(place.says(&["map", "--allow-precompiled", "whole.cwasm", "4"]), ok("2\n"));
}

/// Flips one bit of a file.
fn damage(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("a damaged file");
}

#[test]
fn damaged_code_in_the_cache_is_compiled_again() {
    let place = Place::new();
    let cache = place.path().join("cache");
    let map = |says: &str| {
        let mut command = place.wrun(&["map", "sqrt.wat", "4"]);
        command.env("WRUN_CACHE_DIR", &cache);
        assert_eq!(finish(command), said(0, "2\n", says));
    };
    map("");
    let entries = || std::fs::read_dir(&cache).expect("a cache").flatten().map(|entry| entry.path());
    let entry = entries().find(|path| path.extension().is_some_and(|end| end == "cwasm")).expect("an entry");
    let len = std::fs::read(&entry).expect("code").len();
    // Bits of code and debug part, of the metadata and of the footer.
    for at in (0..8).map(|part| part * len / 8).chain([len - 200, len - 90, len - 1]) {
        damage(&entry, at);
        map("wrun: warning: the cached code of sqrt.wat was damaged: it was removed, and the module compiled again\n");
        map("");
    }
}

#[test]
fn damaged_precompiled_code_is_refused() {
    let place = Place::new();
    assert_eq!(place.says(&["compile", "sqrt.wat", "-o", "s.cwasm"]), ok(""));
    let path = place.path().join("s.cwasm");
    let len = std::fs::read(&path).expect("code").len();
    for at in [100, len / 3, len / 2] {
        damage(&path, at);
        let reason = "s.cwasm is damaged: its checksum does not match; compile it again";
        for command in
            [&["map", "s.cwasm", "--allow-precompiled", "4"][..], &["inspect", "--allow-precompiled", "s.cwasm"]]
        {
            assert_eq!(place.says(command), refused(reason));
        }
        damage(&path, at);
        assert_eq!(place.says(&["map", "--allow-precompiled", "s.cwasm", "4"]), ok("2\n"));
    }
}

#[test]
fn what_is_no_module_is_refused_with_the_reason() {
    let place = Place::new();
    for (name, bytes, reason) in [
        ("empty.wasm", &b""[..], "is empty: name a .wasm or .wat file"),
        ("elf.wasm", b"\x7fELF\x02\x01\x01", "is not a WebAssembly module: name a .wasm (binary) or .wat (text) file"),
        ("cut.wasm", b"\0asm\x01", "ends within the header of a WebAssembly module: copy or build it again"),
        ("bad.wasm", b"\0asm\x01\0\0\0xx", "is not a valid module: unexpected end-of-file (at offset 0xa)"),
        (
            "v2.wasm",
            b"\0asm\x02\0\0\0",
            "has version 2 of the WebAssembly format, which is unknown: compile it to version 1",
        ),
        ("component.wasm", b"\0asm\x0d\0\x01\0x", "is not a valid component: unexpected end-of-file (at offset 0x9)"),
        (
            "bad.wat",
            b"(module\n  (fun))",
            "is not valid WebAssembly text: expected valid module field (line 2, column 4)",
        ),
        (
            "type.wat",
            b"(module (func (result i32) (i64.const 1)))",
            "is not a valid module: type mismatch: expected i32, found i64 (at offset 0x1a)",
        ),
    ] {
        place.file(name, bytes);
        let refused = refused(&format!("{name} {reason}"));
        for command in ["map", "run", "inspect", "compile"] {
            let words: &[&str] = if matches!(command, "map" | "run") { &["1"] } else { &[] };
            assert_eq!(place.says(&[&[command, name], words].concat()), refused, "{command}");
        }
    }
    place.file("good.wat", "(module (func (export \"f\") (result i32) (i32.const 5)))");
    assert_eq!(place.says(&["map", "good.wat", ""]), ok("5\n"));
}

#[test]
fn inspect_shows_what_a_module_offers_and_needs() {
    let place = Place::new();
    assert_eq!(
        place.says(&["inspect", "sqrt.wat"]),
        ok("sqrt.wat

Can be called as:
  function  sqrt(f64) -> f64

Imports nothing.

Exports no memory.

Exports:
  sqrt: func (f64) -> (f64)

Run it with:
  wrun map sqrt.wat F64...
")
    );
    for (name, parts) in [
        (
            "wordcount",
            &["  task      count\n", "  task      merge\n", "  wrun map {} --call count --files FILE...\n"][..],
        ),
        ("wordcount-c", &["  task      count\n", "  task      merge\n", "  wrun_v1: "]),
        ("stats", &["  task      stats\n", "  task      merge\n", "  wrun_v1: "]),
        ("grep", &["  task      grep\n", "  wrun map {} "]),
        ("hello-wasi", &["  command   _start (WASI preview 1)\n", "  wrun run {} [ARG]...\n"]),
    ] {
        let path = guest(name);
        let said = place.says(&["inspect", &path]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(said.stdout.starts_with(&format!("{name}.wasm\n\nCan be called as:\n")), "{}", said.stdout);
        for part in parts {
            assert!(said.stdout.contains(&part.replace("{}", &path)), "{name} lacks {part:?}: {}", said.stdout);
        }
    }
}

#[test]
fn inspect_prints_json() {
    let place = Place::new();
    let said = place.says(&["inspect", "--json", "sqrt.wat"]);
    assert_eq!((said.code, said.stderr.as_str(), said.stdout.lines().count()), (Some(0), "", 1));
    let expected = json!({
        "name": "sqrt.wat", "tasks": [], "component": false, "command": false, "initialize": false, "wasi": false, "wrun_imports": [],
        "initializer": false, "snapshot": false,
        "scalars": [{"name": "sqrt", "params": ["f64"], "results": ["f64"]}],
        "imports": [], "exports": [{"name": "sqrt", "ty": "func (f64) -> (f64)"}], "memory": null, "memories": 0, "tables": 0,
        "table_elements": 0, "large_memories": false, "owns_memory": null, "grows_safely": false, "data_segments": {"start": 0, "end": 0},
    });
    assert_eq!(objects(&said.stdout), [expected]);
    for (name, tasks, command) in [
        ("wordcount", json!(["count", "merge"]), false),
        ("wordcount-c", json!(["count", "merge"]), false),
        ("stats", json!(["merge", "stats"]), false),
        ("grep", json!(["grep"]), false),
        ("hello-wasi", json!([]), true),
    ] {
        let module = &objects(&place.says(&["inspect", "--json", &guest(name)]).stdout)[0];
        assert_eq!((&module["tasks"], &module["command"]), (&tasks, &json!(command)), "{name}");
        assert!(module["memory"]["minimum"].is_u64(), "{name}");
    }
}

#[test]
fn inspect_marks_what_cannot_be_run() {
    let place = Place::new();
    place.file("i.wat", "(module (import \"env\" \"puts\" (func (param i32))) (func (export \"f\") (param i32)))");
    let said = place.says(&["inspect", "i.wat"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert!(said.stdout.contains("  env: puts (func (i32) -> ()) is NOT provided by wrun\n"), "{}", said.stdout);
    assert!(said.stdout.contains("\nCannot be run: the module imports env::puts"), "{}", said.stdout);
}

#[test]
fn cache_is_shown_and_cleared() {
    let place = Place::new();
    let dir = place.path().join("cache");
    let cached = |args: &[&str]| {
        let mut command = place.wrun(args);
        command.env("WRUN_CACHE_DIR", &dir);
        finish(command)
    };
    let (modules, results) = (dir.display(), dir.join("results"));
    assert_eq!(cached(&["cache", "path"]), ok(&format!("{modules}\n{}\n", results.display())));
    assert_eq!(cached(&["cache", "path", "--only", "modules"]), ok(&format!("{modules}\n")));
    let empty = "total           0 B  in 0 compiled modules\ntotal           0 B  in 0 results\n";
    assert_eq!(cached(&["cache", "list"]), ok(empty));
    assert!(!dir.exists(), "listing creates nothing");

    assert_eq!(cached(&["map", "sqrt.wat", "4"]), ok("2\n"));
    assert_eq!(std::fs::metadata(&dir).expect("the cache").permissions().mode() & 0o7777, 0o700);
    let list = cached(&["cache", "list"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("module ") && lines[0].ends_with(" KiB  just now        sqrt.wat"), "{list}");
    assert!(lines[1].ends_with(" KiB  in 1 compiled module"), "{list}");
    assert_eq!(cached(&["cache"]).stdout, list, "listing is the default");
    assert_eq!(cached(&["map", "sqrt.wat", "4"]), ok("2\n"));
    assert_eq!(cached(&["cache", "list"]).stdout.lines().count(), 3, "compiled once");

    let cleared = cached(&["cache", "clear"]).stdout;
    assert!(
        cleared.starts_with("removed 1 compiled module, ") && cleared.ends_with(" KiB\nremoved 0 results, 0 B\n"),
        "{cleared}"
    );
    assert_eq!(cached(&["cache", "list"]), ok(empty));
    assert_eq!(cached(&["map", "sqrt.wat", "4"]), ok("2\n"));
}

#[test]
fn cache_that_others_can_write_to_is_not_used() {
    let place = Place::new();
    let dir = place.path().join("cache");
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).expect("permissions");
    let mut command = place.wrun(&["map", "sqrt.wat", "4"]);
    command.env("WRUN_CACHE_DIR", &dir);
    let said = finish(command);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "2\n"));
    assert!(said.stderr.starts_with("wrun: warning: compiled code is not cached: cache directory "), "{}", said.stderr);
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    assert_eq!(std::fs::read_dir(&dir).expect("the directory").count(), 0);
}

#[test]
fn completions_are_printed_for_each_shell() {
    let place = Place::new();
    for (shell, sign) in [("bash", "_wrun()"), ("zsh", "#compdef wrun"), ("fish", "complete -c wrun")] {
        let said = place.says(&["completions", shell]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(said.stdout.contains(sign) && said.stdout.contains("split-into"), "{shell}: {}", said.stdout);
        assert!(!said.stdout.contains("__wrun "), "hidden words are not offered");
    }
    let said = place.says(&["completions", "tcsh"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.lines().count()), (Some(2), "", 1));
    assert!(said.stderr.starts_with("wrun: invalid value 'tcsh' for '<SHELL>'"), "{}", said.stderr);
}

#[test]
fn inspect_shows_the_layers_of_confinement_of_a_real_worker() {
    let place = Place::new();
    let said = place.says(&["inspect", "--sandbox"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    for layer in ["no new privileges", "resource limits", "landlock", "seccomp", "no new code"] {
        let line = said.stdout.lines().find(|line| line.trim_start().starts_with(layer)).expect(layer);
        assert!(line.contains("in force") || line.contains("missing: "), "{line}");
    }
    // A machine that has all of them runs tasks in the strict sandbox; one that lacks any does not.
    let strict = place.says(&["map", "sqrt.wat", "4", "--sandbox", "strict"]);
    assert_eq!(strict.code == Some(0), !said.stdout.contains("missing: "), "{}", strict.stderr);
}

#[test]
fn tasks_may_be_exported_under_plain_identifiers() {
    let place = Place::new();
    let write = r#"(import "wrun_v1" "output_write" (func $write (param i32 i32))) (memory (export "memory") 1) (data (i32.const 0) "ab")"#;
    place.file("plain.wat", format!(r#"(module {write} (func (export "wrun_task_a") (result i32) (call $write (i32.const 0) (i32.const 1)) (i32.const 0)))"#));
    assert_eq!(place.says(&["map", "plain.wat", "x"]), ok("a\n"));
    assert_eq!(place.says(&["map", "plain.wat", "x", "--call", "a"]), ok("a\n"));
    // Of two exports for one task, the one with the contract's first name is called, unless it is none.
    let task = |byte| format!("(result i32) (call $write (i32.const {byte}) (i32.const 1)) (i32.const 0))");
    for (first, result) in [(task(0), "a\n"), ("(param i32))".to_owned(), "b\n")] {
        let second = task(1);
        place.file(
            "both.wat",
            format!(r#"(module {write} (func (export "wrun_task_a") {second} (func (export "wrun:task/a") {first})"#),
        );
        assert_eq!(place.says(&["map", "both.wat", "x"]), ok(result));
    }
    place.file("wrong.wat", r#"(module (func (export "wrun_task_a") (result i64) (i64.const 0)))"#);
    let said = place.says(&["map", "wrong.wat", "x", "--call", "a"]);
    assert!(said.stderr.contains("has a task \"a\" of the wrong type"), "{}", said.stderr);
}
