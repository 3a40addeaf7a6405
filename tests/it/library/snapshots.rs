//! Snapshots in the library: as modules of their own, and made by itself when a module is loaded.

use wrun::result::{Level, LogLine, Setting};
use wrun::{Access, Compiler, Directory, ErrorKind, Job, Module, SnapshotOptions};

use crate::support::{self, WRUN, each, text};

/// The initializer logs, and sets a global that the function gives.
const MODULE: &str = r#"(module
  (import "wrun_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "ready")
  (global $left (mut i32) (i32.const 1))
  (func (export "wizer-initialize")
    (call $log (i32.const 2) (i32.const 0) (i32.const 5))
    (global.set $left (i32.mul (global.get $left) (i32.const 42))))
  (func (export "other") (global.set $left (i32.const 7)))
  (func (export "left") (result i32) (global.get $left)))"#;

fn compiler() -> Compiler {
    Compiler { exe: Some(WRUN.into()), cache_dir: Some(support::cache_dir()), ..Compiler::default() }
}

/// What its function `left` gives in two instances.
fn left(module: &Module) -> Vec<String> {
    each(&Job::new(module).call("left"), ["", ""]).iter().map(text).collect()
}

#[test]
fn a_snapshot_is_a_module_whose_instances_begin_after_the_initializer() {
    let snapshot =
        compiler().snapshot_bytes("m.wat", MODULE.as_bytes(), &SnapshotOptions::default()).expect("it passes");
    assert_eq!(snapshot.log(), [LogLine::new(Level::Warn, "ready")]);
    let bytes = snapshot.to_bytes().expect("memory");
    let module = compiler().load_bytes("snapshot.wasm", &bytes).expect("a module");
    assert_eq!(left(&module), ["42", "42"]);
    assert!(!module.description().initializer, "it has run");
    let dir = tempfile::tempdir().expect("a directory");
    snapshot.save(dir.path().join("s.wasm")).expect("a file");
    assert_eq!(std::fs::read(dir.path().join("s.wasm")).expect("the file"), bytes);
    let options = SnapshotOptions { initializer: "other".into(), ..SnapshotOptions::default() };
    let other = compiler().snapshot_bytes("m.wat", MODULE.as_bytes(), &options).expect("it passes");
    let other = Compiler { snapshot: false, ..compiler() }.load_bytes("o.wasm", &other.to_bytes().expect("memory"));
    // Its other initializer is left, and called in each instance.
    assert_eq!(left(&other.expect("a module")), ["294", "294"]);
}

#[test]
fn loading_a_module_runs_its_initializer_unless_it_is_told_not_to() {
    for snapshot in [true, false, true] {
        let module = Compiler { snapshot, ..compiler() }.load_bytes("m.wat", MODULE.as_bytes()).expect("a module");
        assert_eq!((module.description().initializer, module.description().snapshot), (true, snapshot));
        assert_eq!(left(&module), ["42", "42"]);
    }
    let fuel = Compiler { count_fuel: true, ..compiler() }.load_bytes("m.wat", MODULE.as_bytes()).expect("a module");
    assert!(fuel.counts_fuel() && fuel.description().snapshot);
    assert_eq!(left(&fuel), ["42", "42"]);
}

#[test]
fn an_initializer_that_fails_is_an_error_with_a_backtrace_and_a_setting() {
    let traps =
        MODULE.replace("(global.set $left (i32.const 7))", "(call $log (i32.const 9) (i32.const 0) (i32.const 0))");
    let options = SnapshotOptions { initializer: "other".into(), ..SnapshotOptions::default() };
    let error = compiler().snapshot_bytes("m.wat", traps.as_bytes(), &options).expect_err("it traps");
    assert_eq!(error.kind(), ErrorKind::Module);
    let says = "m.wat: its initializer `other` failed: trap: log(9, 0x0, 0): levels are 1 (error) to 5 (trace)";
    assert_eq!((error.to_string().as_str(), error.setting()), (says, None));
    assert!(error.backtrace().is_some_and(|lines| lines.contains("- other")), "{:?}", error.backtrace());

    let none = SnapshotOptions { initializer: "none".into(), ..SnapshotOptions::default() };
    let error = compiler().snapshot_bytes("m.wat", MODULE.as_bytes(), &none).expect_err("no such export");
    assert_eq!(error.setting(), Some(Setting::Initializer));
    let table = MODULE
        .replace("(global $left", "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func))) (global $left");
    let error = compiler().load_bytes("m.wat", table.as_bytes()).expect_err("a table that changes");
    assert_eq!(error.setting(), Some(Setting::Snapshot));
    let code = compiler().load_bytes("m.wat", MODULE.as_bytes()).expect("a module");
    let dir = tempfile::tempdir().expect("a directory");
    code.save(dir.path().join("m.cwasm")).expect("a file");
    let error = compiler().snapshot(dir.path().join("m.cwasm"), &none).expect_err("no module");
    assert!(error.to_string().ends_with("is precompiled code: name the .wasm or .wat file"), "{error}");
}

#[test]
fn many_directories_reach_an_initializer() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |number: u32| Directory::open(dir.path(), format!("/{number}"), Access::ReadOnly).expect("a directory");
    let count_them = r#"(module
      (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (global $count (mut i32) (i32.const 3))
      (func (export "wizer-initialize")
        (loop
          (if (i32.eqz (call $prestat (global.get $count) (i32.const 0)))
            (then (global.set $count (i32.add (global.get $count) (i32.const 1))) (br 1)))))
      (func (export "left") (result i32) (i32.sub (global.get $count) (i32.const 3))))"#;
    let options = SnapshotOptions { directories: (0..100).map(open).collect(), ..SnapshotOptions::default() };
    let snapshot = compiler().snapshot_bytes("m.wat", count_them.as_bytes(), &options).expect("it passes");
    let module = compiler().load_bytes("s.wasm", &snapshot.to_bytes().expect("memory")).expect("a module");
    // And the root, which has the initializer's own files.
    assert_eq!(left(&module), ["101", "101"]);
    let options = SnapshotOptions { directories: vec![open(0); 2000], ..SnapshotOptions::default() };
    let error = compiler().snapshot_bytes("m.wat", count_them.as_bytes(), &options).expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Request, "{error:?}");
}
