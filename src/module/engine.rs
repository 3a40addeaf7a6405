//! wasmtime's settings. The compiler process and the workers use the same ones, because precompiled code requires an engine with the
//! settings that it was compiled with.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::Limits;
use crate::sys::fault;

/// Whether code counts the instructions that it executes, which slows it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fuel {
    Counted,
    NotCounted,
}

impl Fuel {
    /// `Counted` if `count` is true.
    pub fn new(count: bool) -> Fuel {
        if count { Fuel::Counted } else { Fuel::NotCounted }
    }
}

/// Makes an engine with these settings. All engines are made here, because the first one of a process installs wasmtime's fault
/// handlers, which must lie between ours.
pub(crate) fn engine(config: &Config) -> wasmtime::Result<Engine> {
    fault::around_wasmtime(|| Engine::new(config))
}

/// Settings without a pool of instances. Those that affect code are the same as a worker's.
pub(crate) fn config(fuel: Fuel) -> Config {
    let mut config = Config::new();
    config.consume_fuel(fuel == Fuel::Counted);
    // A window is mapped at a fixed address, so a memory must never move.
    config.memory_may_move(false);
    // The module's DWARF is kept beside its code (see `debug`), where workers read it, for traps and timeouts alike.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    // One more than is reported shows that there are more.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(MAX_FRAMES + 1));
    config
}

/// Settings of a worker, which runs one instance at a time (and keeps a second one if instances are reused).
pub(crate) fn worker_config(stack_bytes: usize, fuel: Fuel) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(4)
        .total_memories(2 * Limits::MAX_MEMORIES)
        .total_tables(2 * Limits::MAX_TABLES)
        // Stacks of asynchronous calls, which wrun does not make; the default of 1000 counts as 2 GiB of data (RLIMIT_DATA).
        .total_stacks(1)
        .max_memories_per_module(Limits::MAX_MEMORIES)
        .max_tables_per_module(Limits::MAX_TABLES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_core_instance_size(4 << 20)
        // The whole 32-bit address space: windows count as memory here, and the store enforces limits.
        .max_memory_size(1 << 32)
        // If the kernel cannot report which pages were written, memset clears this much faster than a system call does.
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = config(fuel);
    // The second setting is for fibers, which this crate does not use. wasmtime requires it to be the larger one.
    config
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + (1 << 20))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The most functions that a stack trace reports, the innermost ones.
pub(crate) const MAX_FRAMES: usize = 64;

/// The most elements of one table. A worker reserves private memory for all tables when it starts: 2 MiB each.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 1 << 18;

/// Bytes of a linear memory that stay resident between two instances.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;
