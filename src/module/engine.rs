//! wasmtime's settings. The compiler process and the workers use the same ones, because precompiled code requires an engine with the
//! settings that it was compiled with.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::explain::one_line;
use crate::sys::fault;
use crate::sys::rlimit;

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
    fault::around_wasmtime(|| Engine::new(config)).map_err(|error| match rlimit::address_space() {
        None => error,
        Some(limit) => error.context(format!(
            "a worker reserves {} MiB of address space, and the limit is {} MiB (ulimit -v)",
            (REST_BYTES + SLOT_BYTES) >> 20,
            limit >> 20
        )),
    })
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
    let (memories, per_module) = memories(rlimit::address_space());
    pool.total_core_instances(4)
        .total_memories(memories)
        .total_tables(2 * MAX_TABLES)
        // A garbage collector's heap is one of the memories, so there is one more of them per instance.
        .total_gc_heaps(2)
        // Stacks of asynchronous calls, which wrun does not make; the default of 1000 counts as 2 GiB of data (RLIMIT_DATA).
        .total_stacks(1)
        .max_memories_per_module(per_module)
        .max_tables_per_module(MAX_TABLES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_core_instance_size(4 << 20)
        // The whole 32-bit address space: windows count as memory here, and the store enforces limits.
        .max_memory_size(MAX_MEMORY_BYTES as usize)
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

/// The most bytes of a linear memory: what 32-bit addresses reach.
pub(crate) const MAX_MEMORY_BYTES: u64 = 4 << 30;

/// Bytes of a linear memory that stay resident between two instances.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// The address space that one linear memory reserves: what 32-bit addresses reach, and guard pages.
const SLOT_BYTES: u64 = (4 << 30) + (64 << 20);

/// The address space of a process for everything else.
const REST_BYTES: u64 = 1 << 30;

/// How many linear memories a worker makes room for, in all and per module. Address space costs nothing, so there is room for two
/// instances with as many memories as there may be, unless the process may only have this much address space.
fn memories(address_space: Option<u64>) -> (u32, u32) {
    let room = address_space.map_or(u64::MAX, |limit| limit.saturating_sub(REST_BYTES) / SLOT_BYTES);
    let all = u32::try_from(room).unwrap_or(u32::MAX).clamp(1, 2 * MAX_MEMORIES);
    (all, all.min(MAX_MEMORIES))
}

/// Whether the address space of this process is limited.
pub(crate) fn is_cramped() -> bool {
    rlimit::address_space().is_some()
}

/// If wasmtime refuses a module only because the address space has no room for its memories, says so.
pub(crate) fn lack_of_room(message: &str) -> Option<String> {
    let (_, room) = memories(rlimit::address_space());
    (room < MAX_MEMORIES && message.contains("memories count")).then(|| {
        format!("the limit of address space (ulimit -v) leaves room for {room} memories: {}", one_line(message))
    })
}

/// The most linear memories that a module may have, whatever its job allows.
pub(crate) const MAX_MEMORIES: u32 = 16;

/// The most tables that a module may have, whatever its job allows.
pub(crate) const MAX_TABLES: u32 = 16;
