//! Tests of which imports are accepted, and of the messages about others.

use super::*;
use crate::module::describe::Declarations;

fn module(text: &str) -> Description {
    Declarations::of_module(&wasmtime::Module::new(&wasmtime::Engine::default(), text).unwrap(), false).describe()
}

fn problem(text: &str) -> String {
    module(text).find_import_problem().unwrap()
}

const MAP: &str = r#"(import "wrun_v1" "input_map" (func (param i32 i64 i32) (result i32)))"#;

/// A module with this memory that imports all of the contract, with addresses of this type.
fn whole_contract(address: &str, memory: &str) -> Description {
    let text = |types: &[wrun_abi::ValueType]| {
        let types = types.iter().map(|ty| match ty {
            wrun_abi::ValueType::I32 => "i32",
            wrun_abi::ValueType::I64 => "i64",
            wrun_abi::ValueType::Address => address,
        });
        types.collect::<Vec<_>>().join(" ")
    };
    let imports = wrun_abi::IMPORTS.iter().map(|import| {
        let (params, results) = (text(import.params), text(import.results));
        format!(r#"(import "wrun_v1" "{}" (func (param {params}) (result {results})))"#, import.name)
    });
    let wasi = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
    module(&format!("(module {} {wasi} {memory})", imports.collect::<String>()))
}

#[test]
fn the_whole_contract_and_wasi_are_given() {
    for (address, memory) in
        [("i32", r#"(memory (export "memory") 1)"#), ("i64", r#"(memory (export "memory") i64 1)"#)]
    {
        let module = whole_contract(address, memory);
        assert_eq!(module.find_import_problem(), None);
        assert_eq!((module.wrun_imports.len(), module.wasi), (wrun_abi::IMPORTS.len(), true));
        assert!(module.reads_inputs() && module.writes_slices() && module.uses_shared_memory());
    }
    let problem = whole_contract("i64", r#"(memory (export "memory") 1)"#).find_import_problem().unwrap();
    assert!(
        problem.starts_with("imports wrun_v1::arg_len as func () -> (i64), but it is func () -> (i32): "),
        "{problem}"
    );
    let problem = whole_contract("i32", r#"(memory (export "memory") i64 1)"#).find_import_problem().unwrap();
    assert!(
        problem.starts_with("imports wrun_v1::arg_len as func () -> (i32), but it is func () -> (i64): "),
        "{problem}"
    );
}

#[test]
fn pages_are_not_mapped_where_an_allocator_would_take_them() {
    let with = |name: &str, ty: &str| {
        let text = format!(r#"(module (import "wrun_v1" "{name}" (func {ty})) (memory (export "memory") 1))"#);
        Description { owns_memory: Some("Go".into()), ..module(&text) }.find_import_problem().unwrap_or_default()
    };
    let said = |import: &str, instead: &str| {
        format!(
            "imports wrun_v1::{import}, and Go's allocator would take the mapped pages for its own: call {instead} instead"
        )
    };
    assert_eq!(with("input_map", "(param i32 i64 i32) (result i32)"), said("input_map", "input_read or input_map_at"));
    assert_eq!(with("output_map", "(param i32) (result i32)"), said("output_map", "output_write"));
    assert_eq!(with("region_map", "(param i32 i64 i32) (result i32)"), said("region_map", "region_map_at"));
    for name in ["input_map_at", "region_map_at"] {
        assert_eq!(with(name, "(param i32 i64 i32 i32) (result i32)"), "");
    }
    assert_eq!(with("input_read", "(param i32 i64 i32 i32)"), "");
}

#[test]
fn unknown_imports_are_named_with_advice() {
    for (import, says) in [
        (
            r#""wrun_v1" "input_steal" (func)"#,
            "imports wrun_v1::input_steal, which wrun does not provide: there is no such",
        ),
        (
            r#""wasi_snapshot_preview1" "fork" (func)"#,
            "imports wasi_snapshot_preview1::fork, which wrun does not provide",
        ),
        (r#""env" "puts" (func)"#, "imports env::puts, which wrun does not provide: link the library"),
        (
            r#""env" "memory" (memory 1)"#,
            "imports env::memory, which wrun does not provide: a module brings its own memory",
        ),
        (r#""x\1b[2J" "y" (func)"#, "imports x\\u{1b}[2J::y, which"),
    ] {
        let problem = problem(&format!("(module (import {import}))"));
        assert!(problem.starts_with(says), "{problem}");
    }
}

#[test]
fn only_functions_that_are_not_known_can_be_let_trap() {
    let checked = |imports: &str| {
        let module = module(&format!("(module {imports} (func (export \"f\")))"));
        (module.check_imports().err().map(|error| error.setting()), module.check_known_imports().is_ok())
    };
    let trap = Some(Some(Setting::UnknownImports));
    assert_eq!(checked(""), (None, true));
    assert_eq!(checked(r#"(import "env" "puts" (func (param i32)))"#), (trap, true));
    assert_eq!(checked(r#"(import "wrun_v1" "input_steal" (func (param externref)))"#), (trap, true));
    assert_eq!(
        checked(r#"(import "wasi_snapshot_preview1" "fork" (func)) (memory (export "memory") 1)"#),
        (trap, true)
    );
    let puts = r#"(import "env" "puts" (func))"#;
    for other in [
        r#"(import "env" "memory" (memory 1))"#,
        r#"(import "env" "table" (table 1 funcref))"#,
        r#"(import "env" "global" (global i32))"#,
        r#"(import "env" "tag" (tag))"#,
        r#"(import "wrun_v1" "arg_len" (func))"#,
        r#"(import "wrun_v1" "arg_read" (func (param i32)))"#,
    ] {
        assert_eq!(checked(&format!("{puts} {other}")), (Some(None), false), "{other}");
    }
}

#[test]
fn wrong_types_are_named_with_the_right_ones() {
    assert_eq!(
        problem(r#"(module (import "wrun_v1" "arg_len" (func (result i64))))"#),
        "imports wrun_v1::arg_len as func () -> (i64), but it is func () -> (i32): correct the declaration, or build it \
         with the current SDK"
    );
    assert!(problem(r#"(module (import "wrun_v1" "arg_len" (global i32)))"#).contains("as global, but it is func"));
    assert!(
        problem(r#"(module (import "wasi_snapshot_preview1" "fd_close" (func)))"#)
            .contains("but it is func (i32) -> (i32)")
    );
}

#[test]
fn windows_need_an_exported_memory_with_room() {
    let with = |memory: &str| module(&format!("(module {MAP} {memory})")).find_import_problem().unwrap_or_default();
    assert_eq!(with(r#"(memory (export "memory") 1)"#), "");
    assert_eq!(with(r#"(memory (export "memory") 1 2)"#), "");
    assert!(with(r#"(memory (export "memory") 2 2)"#).contains("raise the maximum (wasm-ld --max-memory=BYTES)"));
    assert!(with(r#"(memory (export "memory") 65536)"#).contains("its maximum is 65536"));
    assert!(with("(memory 1)").contains("exports no memory named \"memory\""));
    assert!(with(r#"(memory (export "memory") 1 65536 shared)"#).contains("build it without threads"));
}

#[test]
fn copies_need_a_memory_but_no_room() {
    let import = r#"(import "wrun_v1" "output_write" (func (param i32 i32)))"#;
    assert_eq!(module(&format!(r#"(module {import} (memory (export "memory") 1 1))"#)).find_import_problem(), None);
    assert!(problem(&format!("(module {import})")).contains("exports no memory"));
    let import = r#"(import "wrun_v1" "task_index" (func (result i64)))"#;
    assert_eq!(module(&format!("(module {import})")).find_import_problem(), None);
}

#[test]
fn grants_are_what_wasi_imports_could_use() {
    let wasi = |name: &str| format!(r#"(import "wasi_snapshot_preview1" "{name}" (func))"#);
    let module = module(&format!("(module {} {} {})", wasi("random_get"), wasi("path_open"), wasi("fd_write")));
    assert_eq!(module.grants(), [Grant::Files, Grant::Random]);
}
