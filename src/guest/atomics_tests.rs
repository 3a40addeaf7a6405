//! Atomic instructions on an ordinary memory are real ones: two processes that add to one shared page lose no update.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Arc;

use wasmtime::{Caller, Engine, Linker, Module, Store};

use super::imports;
use super::job_context;
use super::state::State;
use super::window::WASM_PAGE;
use crate::module::engine;
use crate::sys::memory_file;

const ADDS: u32 = 5_000_000;
/// Set in the two processes that add: the file that they add into.
const CHILD: &str = "WRUN_TEST_ADD_INTO";
const NAME: &str = "guest::atomics_tests::two_processes_that_add_into_one_page_lose_no_update";

/// Adds 1 to the first word of the window, `ADDS` times, by an atomic instruction or by a load and a store.
const ADDER: &str = r#"(module
  (import "test" "map" (func $map (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param $n i32) (local $at i32)
    (local.set $at (call $map))
    (loop $again
      (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n))))
  (func (export "add_plainly") (param $n i32) (local $at i32)
    (local.set $at (call $map))
    (loop $again
      (i32.store offset=8 (local.get $at) (i32.add (i32.load offset=8 (local.get $at)) (i32.const 1)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))))"#;

fn add(file: File) {
    let engine = Engine::new(&engine::worker_config(&engine::for_tests::worker(engine::Fuel::NotCounted))).unwrap();
    let module = Module::new(&engine, ADDER).unwrap();
    let mut linker = Linker::<Box<State>>::new(&engine);
    let map = move |mut guest: Caller<'_, Box<State>>| -> wasmtime::Result<u32> {
        let memory = guest.get_export("memory").unwrap().into_memory().unwrap();
        let area = imports::grow(&mut guest, memory, WASM_PAGE).unwrap();
        Ok(guest.data_mut().windows.map_output(area, 0, &file, WASM_PAGE)? as u32)
    };
    linker.func_wrap("test", "map", map).unwrap();
    let mut store = Store::new(&engine, Box::new(State::new(Arc::new(job_context::for_tests::empty(&engine)))));
    let instance = linker.instantiate(&mut store, &module).unwrap();
    for name in ["add", "add_plainly"] {
        instance.get_typed_func::<u32, ()>(&mut store, name).unwrap().call(&mut store, ADDS).unwrap();
    }
}

#[test]
fn two_processes_that_add_into_one_page_lose_no_update() {
    if let Some(path) = std::env::var_os(CHILD) {
        return add(OpenOptions::new().read(true).write(true).open(path).unwrap());
    }
    let file = memory_file::output(WASM_PAGE as u64).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let child = || Command::new("/proc/self/exe").args(["--exact", NAME]).env(CHILD, &path).spawn().unwrap();
    for mut child in [child(), child()] {
        assert!(child.wait().unwrap().success());
    }
    let word = |at| {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, at).unwrap();
        u32::from_le_bytes(bytes)
    };
    assert_eq!(word(0), 2 * ADDS);
    // Plain additions reach the page as well; how many of them are lost varies.
    assert!((1..=2 * ADDS).contains(&word(8)), "{}", word(8));
}
