//! `--coredump`: the memory of a trapped task, without the inputs that were mapped into it.

use crate::cli::kit::Place;

/// Maps its input, keeps a text and part of the input in its own memory, unmaps one window, and traps.
const TRAPS: &str = r#"(module
  (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
  (import "wrun_v1" "input_unmap" (func $unmap (param i32)))
  (memory (export "memory") 1)
  (global $number (mut i64) (i64.const 0))
  (data (i32.const 64) "written-by-the-module")
  (func $inner (param $at i32)
    (i32.store8 (i32.const 4096) (i32.load8_u (local.get $at)))
    (global.set $number (i64.const 0x1122334455667788))
    unreachable)
  (func (export "wrun:task/trap") (result i32)
    (call $unmap (call $map (i32.const 0) (i64.const 0) (i32.const 100)))
    (call $inner (call $map (i32.const 0) (i64.const 0) (i32.const 8192)))
    (i32.const 0))
  (func (export "wrun:task/write") (result i32)
    (i32.store (call $map (i32.const 0) (i64.const 0) (i32.const 8192)) (i32.const 1))
    (i32.const 0)))"#;

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_core_dump_has_the_guests_memory_and_not_what_is_mapped() {
    let place = Place::new();
    place.file("traps.wat", TRAPS);
    place.file("data", "secret-of-the-input ".repeat(1000));
    for call in ["trap", "write"] {
        let said = place.says(&[
            "map",
            "traps.wat",
            "--call",
            call,
            "--files",
            "data",
            "--coredump",
            "dumps/here",
            "--retries",
            "0",
        ]);
        assert_eq!(said.code, Some(100), "{said:?}");
        let dump = std::fs::read(place.path().join("dumps/here/traps.0.coredump")).expect("a core dump");
        assert!(said.stderr.contains("wrun: core dump of task 0: \"dumps/here/traps.0.coredump\"\n"), "{said:?}");
        // A module with the sections of the tool conventions' core dump format.
        assert!(dump.starts_with(b"\0asm\x01\0\0\0"));
        for section in ["core", "coreinstances", "coremodules", "corestack"] {
            assert!(contains(&dump, section), "{call}: no section {section}");
        }
        assert!(contains(&dump, "written-by-the-module"), "{call}");
        assert!(!contains(&dump, "secret-of-the-input"), "{call}: the input is in the core dump");
        std::fs::remove_dir_all(place.path().join("dumps")).expect("the dumps");
    }
}

#[test]
fn tasks_that_do_not_trap_have_no_core_dump() {
    let place = Place::new();
    let module = crate::support::guest("wasi-probe");
    assert_eq!(place.says(&["map", "kit.wat", "--call", "fail-f", "--coredump", "dumps", "f", "a"]).code, Some(100));
    assert_eq!(place.says(&["map", &module, "--coredump", "dumps", "random"]).code, Some(0));
    assert_eq!(place.says(&["map", &module, "--coredump", "dumps", "exits-with-1"]).code, Some(100));
    assert_eq!(std::fs::read_dir(place.path().join("dumps")).expect("the directory").count(), 0);
}

#[test]
fn a_core_dump_that_cannot_be_written_is_reported_and_changes_nothing_else() {
    let place = Place::new();
    place.file("file", "");
    let said = place.says(&["map", "kit.wat", "--call", "divide", "--coredump", "file/x", "a"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("wrun: cannot create directory \"file/x\" for core dumps: "), "{said:?}");
    let said = place.says(&["run", "kit.wat", "--call", "divide", "--coredump", "/proc/self/fdinfo"]);
    assert_eq!(said.code, Some(100));
    let warning = "wrun: warning: cannot write the core dump of task 0 to \"/proc/self/fdinfo/kit.0.coredump\": ";
    assert!(said.stderr.starts_with(warning), "{said:?}");
    assert!(said.stderr.contains("trapped: integer divide by zero"), "{said:?}");
}

#[test]
fn nothing_is_written_over_and_no_link_is_followed() {
    let place = Place::new();
    let victim = place.file("victim", "precious");
    std::fs::create_dir(place.path().join("dumps")).expect("a directory");
    std::os::unix::fs::symlink(&victim, place.path().join("dumps/kit.0.coredump")).expect("a link");
    for number in 1..3 {
        let said = place.says(&["map", "kit.wat", "--call", "divide", "--coredump", "dumps", "a"]);
        assert!(said.stderr.contains(&format!("core dump of task 0: \"dumps/kit.0.{number}.coredump\"\n")), "{said:?}");
    }
    assert_eq!(std::fs::read_to_string(&victim).expect("the file"), "precious");
    // In a directory that tasks can write to, they could create links, or even replace the directory itself with one.
    for dir in ["granted", "granted/inner"] {
        std::fs::create_dir_all(place.path().join(dir)).expect("a directory");
        let said =
            place.says(&["map", "kit.wat", "--call", "divide", "--dir", "granted::/d:rw", "--coredump", dir, "a"]);
        let error = format!("wrun: --coredump \"{dir}\" is in a directory that tasks may write; name another one\n");
        assert_eq!((said.code, said.stderr), (Some(2), error));
    }
}
