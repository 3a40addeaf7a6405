//! Modules that are valid, and that wrun does not run: each is refused in a line that names the reason.

use super::engine::{self, Fuel};
use crate::Module;
use crate::test_program::compiler;

/// Why the module is refused, whether it would be compiled or only described.
fn refusal(module: impl AsRef<[u8]>) -> String {
    let said = |result: crate::Result<()>| {
        let error = result.expect_err("a refusal").to_string();
        assert!(!error.contains('\n') && !error.ends_with('.'), "not one line without a full stop: {error}");
        for words in ["pool", "exceed", "minimum size", "not enabled", "disallowed", "is not a valid"] {
            assert!(!error.contains(words), "{words:?} is no word for users: {error}");
        }
        error
    };
    let loaded = said(compiler().load_bytes("m.wasm", module.as_ref()).map(drop));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.wasm");
    std::fs::write(&path, module).unwrap();
    let described = said(compiler().describe(&path).map(drop));
    assert_eq!(described, loaded.replacen("m.wasm", path.to_str().unwrap(), 1));
    loaded
}

/// A module for each proposal that wrun does not run.
const OTHERS: [(&str, &str); 8] = [
    ("legacy exceptions", "(module (tag $t) (func (export \"f\") try (throw $t) catch $t end))"),
    ("shared-everything threads", "(module (func (drop (ref.null (shared any)))))"),
    ("custom page sizes", "(module (memory 1 (pagesize 1)))"),
    (
        "wide arithmetic",
        "(module (func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))",
    ),
    ("stack switching", "(module (type $f (func)) (type $c (cont $f)))"),
    ("memory control", "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))"),
    ("custom descriptors", "(module (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct))))"),
    ("a shared memory", "(module (memory 1 2 shared))"),
];

#[test]
fn proposals_that_wrun_does_not_run_are_named() {
    for (name, module) in OTHERS {
        let refusal = refusal(module);
        assert!(refusal.starts_with(&format!("m.wasm uses {name}, which wrun does not run: ")), "{refusal}");
    }
}

/// What binaryen writes for three imports from `env` with all features.
const COMPACT_IMPORTS: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x10\x01\x03env\0\x7e\0\0\x03\x01a\x01b\x01c\
                                 \x03\x02\x01\0\x07\x05\x01\x01f\0\x03\x0a\x04\x01\x02\0\x0b";

#[test]
fn compact_imports_are_named() {
    let refusal = refusal(COMPACT_IMPORTS);
    assert!(refusal.starts_with("m.wasm uses compact imports, which wrun does not run: "), "{refusal}");
}

#[test]
fn legacy_exceptions_are_named_with_the_tool_that_translates_them() {
    let refusal = refusal(OTHERS[0].1);
    for sign in ["--translate-to-exnref", "-wasm-use-legacy-eh=false", "-sWASM_LEGACY_EXCEPTIONS=0"] {
        assert!(refusal.contains(sign), "{refusal}");
    }
}

#[test]
fn all_proposals_that_a_module_needs_are_named_and_no_others() {
    let refusal = refusal(
        "(module (memory 1 (pagesize 1)) (tag $t) (func try catch $t end)
            (func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 2))))",
    );
    let names = "legacy exceptions and custom page sizes and wide arithmetic";
    assert!(refusal.starts_with(&format!("m.wasm uses {names}, which wrun does not run: ")), "{refusal}");
}

#[test]
fn wasmtime_runs_none_of_them_either() {
    let wasmtime = wasmtime::Engine::new(&engine::worker_config(&engine::for_tests::worker(Fuel::NotCounted))).unwrap();
    for (name, module) in OTHERS {
        assert!(wasmtime::Module::new(&wasmtime, module).is_err(), "{name}");
    }
    assert!(wasmtime::Module::new(&wasmtime, COMPACT_IMPORTS).is_err());
}

#[test]
fn what_is_wrong_with_an_invalid_module_is_not_blamed_on_a_proposal() {
    let problem = |text: &str| compiler().load_bytes("m.wat", text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        problem("(module (func (result i32) (i64.const 1)))"),
        "m.wat is not a valid module: type mismatch: expected i32, found i64 (at offset 0x1a)"
    );
    let both = problem("(module (memory 1 (pagesize 1)) (func (result i32) (i64.const 1)))");
    assert!(both.starts_with("m.wat is not a valid module: type mismatch: expected i32, found i64"), "{both}");
}

#[test]
fn modules_that_no_worker_has_room_for_are_refused_in_words_of_wrun() {
    let globals = format!("(module {})", "(global (mut i64) (i64.const 0))".repeat(300_000));
    for (module, says) in [
        (format!("(module {})", "(memory 0)".repeat(20)), "has 20 memories, and wrun runs modules with at most 16"),
        (
            format!("(module {})", "(table 0 funcref)".repeat(20)),
            "has 20 tables, and wrun runs modules with at most 16",
        ),
        ("(module (memory i64 4194305))".into(), "has a memory that starts with 274877972480 bytes, and wrun gives"),
        (
            format!("(module {})", "(memory i64 0)".repeat(5)),
            "has 5 memories, and wrun runs modules with 64-bit memories with at most 4",
        ),
        (globals, "is too large: an instance needs "),
    ] {
        let error = compiler().load_bytes("m.wat", module.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("m.wat {says}")), "{error}");
        assert!(!error.contains("exceed") && !error.contains("pool"), "{error}");
    }
    let many = format!("(module {})", "(memory 0)".repeat(200));
    let error = compiler().load_bytes("m.wat", many.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "m.wat is too large: wrun runs modules with at most 100 memories");
}

#[test]
fn precompiled_modules_that_no_worker_has_room_for_are_refused_in_words_of_wrun() {
    let trusting = crate::Compiler { allow_precompiled: true, ..compiler() };
    let wasmtime = wasmtime::Engine::new(&engine::config(engine::CodeSettings::usual(Fuel::NotCounted))).unwrap();
    let code = wasmtime.precompile_module(format!("(module {})", "(memory 0)".repeat(17)).as_bytes()).unwrap();
    let error = trusting.load_bytes("m.cwasm", &code).unwrap_err().to_string();
    assert!(error.starts_with("m.cwasm has 17 memories"), "{error}");
}

#[test]
fn what_the_tools_make_of_legacy_exceptions_is_accepted() {
    // Written by `wasm-opt -all --disable-compact-imports --translate-to-exnref` for a function with `try` and `catch`.
    const TRANSLATED: &[u8] = b"\0asm\x01\0\0\0\x01\x08\x02\x60\0\0\x60\0\x01\x7f\x03\x02\x01\x01\x0d\x03\x01\0\0\
                                \x07\x05\x01\x01f\0\0\x0a\x17\x01\x15\0\x02\x7f\x02\x40\x1f\x7f\x01\0\0\0\x08\0\x0b\
                                \x0c\x01\x0b\x41\x01\x0b\x0b";
    let module: Module = compiler().load_bytes("m.wasm", TRANSLATED).unwrap();
    assert_eq!(module.description().scalars.len(), 1);
}
