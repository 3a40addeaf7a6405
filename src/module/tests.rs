//! Tests that load modules with a real compiler process, and with ones that misbehave.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::engine::{self, CodeSettings, Fuel};
use super::fingerprint::Target;
use super::source::ModuleSource;
use super::*;
use crate::test_program::compiler;
use crate::{Compiler, Module, Result};

const SQRT: &str = r#"(module (func (export "sqrt") (param f64) (result f64) (f64.sqrt (local.get 0))))"#;

fn problem(result: Result<Module>) -> String {
    let error = result.unwrap_err();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = format!("{error}{cause}");
    assert!(!text.contains('\n') && !text.ends_with('.'), "not one line without a full stop: {text}");
    text
}

/// A compiler process that is a shell script.
fn script(dir: &tempfile::TempDir, text: &str) -> Compiler {
    let exe = dir.path().join("compiler.sh");
    std::fs::write(&exe, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o700)).unwrap();
    Compiler { exe: Some(exe), ..compiler() }
}

/// Loads a module's code as a worker does.
fn deserialize(module: &Module) -> wasmtime::Result<wasmtime::Module> {
    let engine = wasmtime::Engine::new(&engine::worker_config(&engine::for_tests::worker(Fuel::NotCounted))).unwrap();
    let code = module.code().try_clone().unwrap();
    // SAFETY: the code comes from this crate's compiler and does not change.
    #[expect(unsafe_code, reason = "precompiled code")]
    unsafe {
        wasmtime::Module::deserialize_open_file(&engine, code)
    }
}

#[test]
fn module_is_compiled_once_and_then_found_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = Compiler { cache_dir: Some(dir.path().join("cache")), ..compiler() };
    for origin in [Origin::Compiled, Origin::Cache, Origin::Cache] {
        let module = compiler.load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap();
        assert_eq!((module.origin(), module.cache_problem()), (origin, None));
        assert_eq!(module.name(), "sqrt.wat");
        assert_eq!(module.description().scalars[0].to_string(), "sqrt(f64) -> f64");
        assert_eq!(deserialize(&module).unwrap().exports().len(), 1);
    }
    let other = compiler.load_bytes("other.wat", format!(";; other\n{SQRT}").as_bytes()).unwrap();
    assert_eq!(other.origin(), Origin::Compiled);
    let list = Cache::open(dir.path().join("cache")).unwrap().unwrap().list().unwrap();
    assert_eq!(list.iter().filter(|entry| entry.current).count(), 2);
}

/// A module of 1 MiB in the binary format that exports a function of this name.
fn large_binary(name: char) -> Vec<u8> {
    let function = format!(r#"(func (export "{name}") (result i32) (i32.const 7))"#);
    let data = format!(r#"(memory 17) (data (i32.const 0) "{}")"#, "x".repeat(1 << 20));
    wat::parse_str(format!("(module {function} {data})")).unwrap()
}

#[test]
fn large_file_that_has_not_changed_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = Compiler { cache_dir: Some(dir.path().join("cache")), allow_precompiled: true, ..compiler() };
    let [first, second, code] = ["first.wasm", "second.wasm", "first.cwasm"].map(|name| dir.path().join(name));
    std::fs::write(&first, large_binary('a')).unwrap();
    std::fs::write(&second, large_binary('b')).unwrap();
    let load = |path: &Path| {
        let module = compiler.load(path).unwrap();
        (module.description().scalars[0].to_string(), module.origin(), *module.content())
    };
    let (_, _, content) = load(&second);
    assert_eq!(load(&first).0, "a() -> i32");
    compiler.load(&first).unwrap().save(&code).unwrap();
    let cache = Cache::open(dir.path().join("cache")).unwrap().unwrap();
    let known = |path: &Path| {
        let mut file = ModuleSource::read(path).unwrap().file.unwrap();
        // As if it had not changed just now.
        file.opened += Duration::from_secs(10);
        file
    };
    // If the file were read, it would be found to be another one.
    cache.remember(&known(&first), &content);
    assert_eq!(load(&first), ("b() -> i32".into(), Origin::Cache, content));
    // Without code, it is read.
    assert_eq!(cache.clear().unwrap().entries, 2);
    cache.remember(&known(&first), &content);
    let (function, origin, own) = load(&first);
    assert_eq!((&*function, origin, own == content), ("a() -> i32", Origin::Compiled, false));
    // A file that has changed is read.
    cache.remember(&known(&second), &content);
    std::fs::write(&second, large_binary('c')).unwrap();
    assert_eq!(load(&second).0, "c() -> i32");

    // Precompiled code is checked once for each state of its file.
    assert_eq!(load(&code).0, "a() -> i32");
    let bytes = std::fs::read(&code).unwrap();
    let at = bytes.windows(4).position(|bytes| bytes == b"xxxx").unwrap();
    std::fs::write(&code, [&bytes[..at], b"y", &bytes[at + 1..]].concat()).unwrap();
    assert!(problem(compiler.load(&code)).contains("is damaged: its checksum does not match"));
    cache.remember(&known(&code), &content);
    assert_eq!(load(&code), ("a() -> i32".into(), Origin::Precompiled, content));
}

#[test]
fn code_in_memory_cannot_be_changed() {
    let module = compiler().load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap();
    let code = module.code();
    assert!(std::os::unix::fs::FileExt::write_at(code, b"x", 0).is_err() && code.set_len(0).is_err());
}

#[test]
fn cache_that_cannot_be_used_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let compiler = Compiler { cache_dir: Some(dir.path().into()), ..compiler() };
    let module = compiler.load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap();
    assert_eq!(module.origin(), Origin::Compiled);
    assert!(module.cache_problem().unwrap().contains("can be written by other users"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let compiler = Compiler { cache_dir: Some("/proc/none/modules".into()), ..compiler };
    let module = compiler.load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap();
    assert!(module.cache_problem().unwrap().contains("cannot be used"), "{:?}", module.cache_problem());
}

#[test]
fn invalid_modules_are_explained_in_one_line() {
    let said = |bytes: &[u8]| problem(compiler().load_bytes("m", bytes));
    assert_eq!(
        said(b"(module\n (func (export \"f\") (result i32) i32.cosnt 1))"),
        "m is not valid WebAssembly text: unknown operator or unexpected token (line 2, column 34)"
    );
    let truncated = said(b"\0asm\x01\0\0\0\x01\x7f");
    assert!(truncated.starts_with("m is not a valid module: ") && truncated.contains("(at offset "), "{truncated}");
    assert!(said(b"\0asm\x0d\0\x01\0x").starts_with("m is not a valid component: "));
}

#[test]
fn compilation_that_takes_too_long_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = Compiler { timeout: Duration::from_millis(100), ..script(&dir, "exec /bin/sleep 60") };
    let start = Instant::now();
    assert_eq!(problem(compiler.load_bytes("slow.wat", SQRT.as_bytes())), "slow.wat took longer to compile than 100ms");
    assert!(start.elapsed() < Duration::from_secs(20), "the process was waited for");
}

/// A module whose compilation takes about 100 ms and 100 MiB for each 100,000 operations.
fn large_module(operations: usize) -> String {
    let body = "(i32.store (local.get 0) (i32.add (local.get 0) (i32.const 7)))".repeat(operations);
    format!("(module (memory 1) (func (param i32) {body}))")
}

#[test]
fn module_that_takes_too_long_to_compile_is_given_up() {
    let compiler = Compiler { timeout: Duration::from_millis(20), ..compiler() };
    let error = problem(compiler.load_bytes("large.wat", large_module(100_000).as_bytes()));
    assert!(error.starts_with("large.wat took longer to compile than 20ms"), "{error}");
}

#[test]
fn compiler_process_without_its_parent_does_nothing() {
    let fuel = Fuel::NotCounted;
    let fingerprint = fingerprint::fingerprint(fuel).unwrap().to_owned();
    let work = helper::Work::Compile;
    // Process 1 is not the parent of a process that a test starts.
    let order = helper::CompilerRequest {
        fingerprint,
        fuel,
        sandbox: crate::Sandbox::Default,
        parent: 1,
        memory_bytes: 1 << 30,
        output_bytes: 1 << 30,
        work,
    };
    let mut command = std::process::Command::new("/proc/self/exe");
    let output = command.args(order.to_args()).env_clear().stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.stdout.is_empty());
    let answer = String::from_utf8(output.stderr).unwrap();
    assert_eq!(answer, r#"{"unable":"its parent process is gone"}"#);
}

#[test]
fn compilation_that_takes_too_much_memory_is_stopped() {
    let module = large_module(400_000);
    // The first limit is too low for the module, the second for the compiler itself.
    for mib in [192, 16] {
        let compiler = Compiler { memory_bytes: mib << 20, ..compiler() };
        assert_eq!(
            problem(compiler.load_bytes("large.wat", module.as_bytes())),
            format!("large.wat took more memory to compile than {mib} MiB")
        );
    }
    let compiler = Compiler { memory_bytes: 192 << 20, ..compiler() };
    assert_eq!(compiler.load_bytes("small.wat", SQRT.as_bytes()).unwrap().origin(), Origin::Compiled);
}

#[test]
fn compiler_process_that_misbehaves_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let said = |text: &str| problem(script(&dir, text).load_bytes("m.wat", SQRT.as_bytes()));
    let crashed = said("echo oh no >&2; kill -s SEGV $$");
    assert!(crashed.starts_with("m.wat was not compiled: the compiler process crashed (signal: 11"), "{crashed}");
    assert!(crashed.ends_with(": oh no"), "{crashed}");
    let killed = said("kill -s KILL $$");
    assert!(killed.ends_with("the compiler process was killed (is the machine out of memory?)"), "{killed}");
    let silent = said("exit 0");
    assert!(silent.contains("crashed (exit status: 0)"), "{silent}");
    let invented = said(r#"echo '{"done":{"tasks":7}}' >&2"#);
    assert!(invented.contains("crashed (exit status: 0)"), "{invented}");
    let refused = said(r#"printf '{"refused":"has \\u001b[2J in it\\nand more"}' >&2"#);
    assert_eq!(refused, "m.wat has \\u{1b}[2J in it and more");
    let endless = said("/usr/bin/head -c 20000000 /dev/zero >&2");
    assert!(endless.contains("more than 16 MiB"), "{endless}");
    let none = Compiler { exe: Some(dir.path().join("none")), ..compiler() };
    assert!(problem(none.load_bytes("m.wat", SQRT.as_bytes())).starts_with("cannot start the compiler process"));
}

#[test]
fn compiler_process_of_another_version_is_refused() {
    let source = ModuleSource::from_bytes("m.wat", SQRT.as_bytes().to_vec(), None).unwrap();
    let error = compile::compile(
        &compiler(),
        &source,
        Target { fuel: Fuel::NotCounted, fingerprint: "other" },
        helper::Work::Compile,
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("it is another version of wrun than this one"), "{error}");
}

#[test]
fn without_a_program_to_compile_with_the_message_says_how_to_get_one() {
    // Unit tests never call `init`.
    let error = problem(Compiler { exe: None, ..compiler() }.load_bytes("m.wat", SQRT.as_bytes()));
    assert!(error.contains("call wrun::init() first in main, or set Compiler::exe"), "{error}");
}

#[test]
fn precompiled_code_is_accepted_only_where_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sqrt.cwasm");
    compiler().load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap().save(&path).unwrap();
    let error = problem(compiler().load(&path));
    assert!(error.contains("is precompiled code, which is trusted code"), "{error}");

    let trusting = Compiler { allow_precompiled: true, ..compiler() };
    // Our own is not even looked at by another process.
    let own = Compiler { exe: Some("/none".into()), ..trusting.clone() }.load(&path).unwrap();
    assert_eq!((own.origin(), own.name()), (Origin::Precompiled, "sqrt.cwasm"));
    assert_eq!(own.description().scalars.len(), 1);
    assert_eq!(deserialize(&own).unwrap().exports().len(), 1);
    let in_memory = trusting.load_bytes("sqrt", &std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(in_memory.description(), own.description());
}

#[test]
fn precompiled_code_of_wasmtime_itself_is_described_and_checked() {
    let trusting = Compiler { allow_precompiled: true, ..compiler() };
    let precompile =
        |config: &wasmtime::Config| wasmtime::Engine::new(config).unwrap().precompile_module(SQRT.as_bytes());
    let fitting = trusting
        .load_bytes("fits", &precompile(&engine::config(CodeSettings::usual(Fuel::NotCounted))).unwrap())
        .unwrap();
    assert_eq!(fitting.description().scalars.len(), 1);
    let mut config = engine::config(CodeSettings::usual(Fuel::NotCounted));
    config.epoch_interruption(true);
    let error = problem(trusting.load_bytes("other", &precompile(&config).unwrap()));
    assert!(error.starts_with("other was precompiled for another wrun, wasmtime or CPU; compile it again"), "{error}");
}

#[test]
fn saved_file_gets_the_usual_mode_and_replaces_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, usual) = (dir.path().join("m.cwasm"), dir.path().join("usual"));
    std::fs::write(&usual, "").unwrap();
    let module = compiler().load_bytes("sqrt.wat", SQRT.as_bytes()).unwrap();
    module.save(&path).unwrap();
    module.save(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&usual));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    assert!(module.save(dir.path().join("none/m.cwasm")).unwrap_err().to_string().starts_with("cannot write"));
}
