//! Tests that a pool's process allocates nothing per task. This is a separate test program, because it counts the allocations of
//! the whole process.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use wrun::{Compiler, Job, Pool};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is forwarded unchanged to the system's allocator; counting does not affect it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the requirements.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the requirements.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the requirements.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Results of 20 bytes and of 200.
const MODULE: &str = r#"(module
    (import "wrun_v1" "output_write" (func $write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "wrun:task/short") (result i32) (call $write (i32.const 0) (i32.const 20)) (i32.const 0))
    (func (export "wrun:task/long") (result i32) (call $write (i32.const 0) (i32.const 200)) (i32.const 0)))"#;

#[test]
fn tasks_with_small_results_cost_their_pool_no_allocation() {
    let compiler = Compiler { exe: Some(env!("CARGO_BIN_EXE_wrun").into()), ..Compiler::default() };
    let module = compiler.load_bytes("tasks.wat", MODULE.as_bytes()).expect("a module");
    let two = NonZeroUsize::new(2).expect("two");
    let mut pool = Pool::builder().worker_exe(env!("CARGO_BIN_EXE_wrun")).workers(two).build().expect("a pool");
    let mut allocations = |call: &str, tasks: u64| {
        let job = Job::new(&module).call(call).reuse();
        let mut run = pool.map(&job, (0..2 * tasks).map(|_| "")).expect("a run");
        // Memory that is reused is allocated in the first half.
        assert_eq!(run.by_ref().take(tasks as usize).filter(|outcome| outcome.result.is_ok()).count() as u64, tasks);
        let before = COUNT.load(Ordering::Relaxed);
        assert_eq!(run.filter(|outcome| outcome.result.is_ok()).count() as u64, tasks);
        COUNT.load(Ordering::Relaxed) - before
    };
    let tasks = 100_000;
    let short = allocations("short", tasks);
    // The pool allocates a little each time that it reads from its workers, which is once for many tasks.
    assert!(short < tasks / 2, "{short} allocations for {tasks} tasks");
    let long = allocations("long", tasks);
    assert!(long > short + tasks / 2, "the control: {long} allocations for {tasks} results that have their own memory");
}
