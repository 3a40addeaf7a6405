//! What modules are said to offer and need, whether they are compiled, only described, or precompiled code.

use std::fs;
use std::path::PathBuf;

use wrun::module::Description;
use wrun::{Compiler, Module};

use crate::support::{WRUN, built_guests};

fn compiler() -> Compiler {
    Compiler { exe: Some(WRUN.into()), cache_dir: None, allow_precompiled: true, ..Compiler::default() }
}

/// All example modules, in both formats.
fn examples() -> Vec<PathBuf> {
    let files = |dir: &str| fs::read_dir(built_guests().join(dir)).expect("a directory").flatten();
    let mut paths: Vec<PathBuf> = files("wat").chain(files("target/wasm")).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wat" || extension == "wasm"));
    assert!(paths.len() > 10, "{paths:?}");
    paths
}

/// What wasmtime says of a module's code, without what is kept beside it.
fn of_code(module: &Module) -> Description {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.cwasm");
    module.save(&path).expect("code");
    let mut bytes = fs::read(&path).expect("code");
    // The footer of 96 bytes begins with the code's length.
    let footer = bytes.len() - 96;
    let code_len = u64::from_le_bytes(bytes[footer..footer + 8].try_into().expect("8 bytes"));
    bytes.truncate(code_len as usize);
    compiler().load_bytes("m.cwasm", &bytes).expect("code of this wasmtime").description().clone()
}

#[test]
fn example_modules_are_described_alike_with_and_without_compiling_them() {
    for path in examples() {
        let described = compiler().describe(&path).expect("a valid module");
        assert_eq!(described.name, path.file_name().expect("a name").to_str().expect("a name in UTF-8"));
        // That of a snapshot is another module's.
        let compiled = Compiler { snapshot: false, ..compiler() }.load(&path).expect("a valid module");
        assert_eq!(&described.description, compiled.description(), "{}", path.display());
        // What custom sections and data segments say is not kept in code, nor the WIT of a component.
        let mut known = described.description;
        (known.owns_memory, known.grows_safely, known.data_segments) = (None, false, None);
        known.wit = None;
        assert_eq!(known, of_code(&compiled), "{}", path.display());
    }
}

#[test]
fn describing_uses_the_cache_and_does_not_change_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cache, path) = (dir.path().join("cache"), dir.path().join("m.wat"));
    fs::write(&path, "(module (func (export \"f\") (param i32)))").expect("a module");
    let compiler = Compiler { cache_dir: Some(cache.clone()), ..compiler() };
    let described = compiler.describe(&path).expect("a valid module");
    assert!(!cache.exists(), "describing a module wrote to the cache");
    assert_eq!(compiler.load(&path).expect("a valid module").description(), &described.description);
    let state = || {
        let files = fs::read_dir(&cache).expect("a cache").flatten().map(|entry| {
            let metadata = entry.metadata().expect("a file");
            (entry.path(), metadata.len(), metadata.modified().expect("a time"))
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    let before = state();
    // There is no program that could read the module now.
    let without_program = Compiler { exe: Some("/none".into()), ..compiler };
    assert_eq!(without_program.describe(&path).expect("an entry of the cache"), described);
    assert_eq!(state(), before);
}

#[test]
fn modules_that_take_too_much_to_compile_can_be_described() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("large.wat");
    let body = "(i32.store (local.get 0) (i32.add (local.get 0) (i32.const 7)))".repeat(400_000);
    fs::write(&path, format!("(module (memory 1) (func (export \"f\") (param i32) {body}))")).expect("a module");
    let module = wat::parse_file(&path).expect("a module");
    let path = path.with_extension("wasm");
    fs::write(&path, module).expect("a module");
    let compiler = Compiler { memory_bytes: 96 << 20, ..compiler() };
    let error = compiler.load(&path).expect_err("a limit");
    assert!(error.to_string().ends_with("took more memory to compile than 96 MiB"), "{error}");
    assert_eq!(compiler.describe(&path).expect("a valid module").description.scalars.len(), 1);
}
