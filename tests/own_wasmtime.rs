//! A program that uses wasmtime itself before it runs wrun's guests in its own process. This is a separate test program, because
//! the order in which signal handlers are installed matters.

use wrun::backend::BuiltIn;
use wrun::{Compiler, Input, Job, Pool, Status, Task};

const WRUN: &str = env!("CARGO_BIN_EXE_wrun");

/// Traps through a signal: reads past the end of its memory.
const OUTSIDE: &str = r#"(module
    (memory 1)
    (func (export "outside") (param i32) (result i32) (i32.load offset=70000 (local.get 0))))"#;

/// Tasks that write to an input, each with a different kind of code that faults: wasm code, an instruction that wasmtime assumes
/// cannot fault, and host code.
const WRITES: &str = r#"(module
    (import "wrun_v1" "input_map" (func $map (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func $input (result i32) (call $map (i32.const 0) (i64.const 0) (i32.const 8192)))
    (func (export "wrun:task/store") (result i32) (i32.store (call $input) (i32.const 1)) (i32.const 0))
    (func (export "wrun:task/copy") (result i32) (memory.copy (call $input) (i32.const 0) (i32.const 8)) (i32.const 0))
    (func (export "wrun:task/fill") (result i32) (memory.fill (call $input) (i32.const 1) (i32.const 8000)) (i32.const 0)))"#;

/// Whether this program's own guest traps as it should.
fn own_guest_traps() -> bool {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, OUTSIDE).expect("a module");
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
    let outside = instance.get_typed_func::<i32, i32>(&mut store, "outside").expect("a function");
    outside.call(&mut store, 5).is_err()
}

#[test]
fn guests_of_both_trap_and_nothing_else_happens() {
    assert!(own_guest_traps(), "wasmtime's handlers are installed before wrun's");
    let cache = tempfile::tempdir().expect("a directory");
    let compiler = Compiler { exe: Some(WRUN.into()), cache_dir: Some(cache.path().into()), ..Compiler::default() };
    let module = |text: &str| compiler.load_bytes("test.wat", text.as_bytes()).expect("a module");
    let (outside, writes) = (module(OUTSIDE), module(WRITES));
    let input = Input::from_bytes("data", &[0; 8192]).expect("memory");
    for backend in BuiltIn::ALL {
        let mut pool = Pool::builder().worker_exe(WRUN).backend(backend).build().expect("a pool");
        assert_eq!(pool.run(&Job::new(&outside), 5).expect("an outcome").status(), Status::Trap, "{backend:?}");
        for call in ["store", "copy", "fill", "copy"] {
            let task = Task::new("").input(input.clone());
            let outcome = pool.run(&Job::new(&writes).call(call), task).expect("an outcome");
            assert_eq!(outcome.status(), Status::InputFault, "{backend:?} {call}: {outcome:?}");
        }
        assert!(own_guest_traps(), "{backend:?}");
    }
}
