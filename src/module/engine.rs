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

/// What code depends on, besides this program and the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeSettings {
    pub fuel: Fuel,
    /// Whether memories have room for what 64-bit addresses are for. Code of modules without a 64-bit memory does not need that, and
    /// without it a worker reserves much less address space.
    pub large_memories: bool,
}

impl CodeSettings {
    /// Code of a module without a 64-bit memory.
    pub fn usual(fuel: Fuel) -> CodeSettings {
        CodeSettings { fuel, large_memories: false }
    }

    /// The address space of a linear memory, in bytes.
    fn memory_bytes(self) -> u64 {
        if self.large_memories { LARGE_MEMORY_BYTES } else { MAX_MEMORY_BYTES }
    }
}

/// The settings of a worker's engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerSettings {
    pub code: CodeSettings,
    pub stack_bytes: u64,
    /// The most elements of one table.
    pub table_elements: u32,
    /// Whether a trap comes with a core dump.
    pub core_dumps: bool,
    /// Whether there is room for components, which are made of many instances.
    pub components: bool,
}

/// Makes an engine with these settings. All engines are made here, because the first one of a process installs wasmtime's fault
/// handlers, which must lie between ours.
pub(crate) fn engine(config: &Config) -> wasmtime::Result<Engine> {
    fault::around_wasmtime(|| Engine::new(config)).map_err(|error| match rlimit::address_space() {
        None => error,
        Some(limit) => error.context(format!(
            "a worker reserves {} MiB of address space, and the limit is {} MiB (ulimit -v)",
            (REST_BYTES + slot_bytes(CodeSettings::usual(Fuel::NotCounted))) >> 20,
            limit >> 20
        )),
    })
}

/// Settings without a pool of instances. Those that affect code are the same as a worker's.
pub(crate) fn config(settings: CodeSettings) -> Config {
    let mut config = Config::new();
    config.consume_fuel(settings.fuel == Fuel::Counted);
    config.memory_reservation(settings.memory_bytes());
    // A window is mapped at a fixed address, so a memory must never move.
    config.memory_may_move(false);
    // The module's DWARF is kept beside its code (see `debug`), where workers read it, for traps and timeouts alike.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    // One more than is reported shows that there are more.
    config.wasm_backtrace_max_frames(NonZeroUsize::new(MAX_FRAMES + 1));
    config
}

/// Settings of a worker, which runs one instance at a time (and keeps a second one if instances are reused).
pub(crate) fn worker_config(settings: &WorkerSettings) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let stack_bytes = settings.stack_bytes as usize;
    let room = MemoryRoom::new(settings.code, rlimit::address_space());
    let tables = if settings.components { MAX_COMPONENT_TABLES } else { 2 * MAX_TABLES };
    pool.total_core_instances(if settings.components { MAX_CORE_INSTANCES } else { 4 })
        .total_component_instances(2)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(room.per_module)
        .max_tables_per_component(tables)
        .max_component_instance_size(8 << 20)
        .total_memories(room.all)
        .total_tables(tables)
        // Each of them is in one of the memories.
        .total_gc_heaps(2)
        // Stacks of asynchronous calls, which wrun does not make; the default of 1000 counts as 2 GiB of data (RLIMIT_DATA).
        .total_stacks(1)
        .max_memories_per_module(room.per_module)
        .max_tables_per_module(MAX_TABLES)
        .table_elements(settings.table_elements as usize)
        .max_core_instance_size(4 << 20)
        // The whole address space: windows count as memory here, and the store enforces limits.
        .max_memory_size(settings.code.memory_bytes() as usize)
        // If the kernel cannot report which pages were written, memset clears this much faster than a system call does.
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = config(settings.code);
    config.coredump_on_trap(settings.core_dumps);
    // The second setting is for fibers, which this crate does not use. wasmtime requires it to be the larger one.
    config
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + (1 << 20))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The most functions that a stack trace reports, the innermost ones.
pub(crate) const MAX_FRAMES: usize = 64;

/// The most tables and core instances of a component.
const MAX_COMPONENT_TABLES: u32 = 64;
const MAX_CORE_INSTANCES: u32 = 256;

/// The most elements of one table unless a job raises it. A worker reserves private memory for all tables when it starts: 2 MiB each.
pub(crate) const USUAL_TABLE_ELEMENTS: u32 = 1 << 18;

/// The most elements that a table may have, whatever its job allows. WebAssembly's implementations agree on it.
///
/// Source: <https://webassembly.github.io/spec/js-api/#limits>.
pub(crate) const MAX_TABLE_ELEMENTS: u32 = 10_000_000;

/// How many elements each table of a worker's pool has, for a module whose largest table has so many at start.
pub(crate) fn table_elements(at_start: u64) -> u32 {
    at_start.clamp(USUAL_TABLE_ELEMENTS.into(), MAX_TABLE_ELEMENTS.into()) as u32
}

/// The address space of a linear memory of a module with 64-bit memories.
pub(crate) const LARGE_MEMORY_BYTES: u64 = 256 << 30;

/// The most bytes of a linear memory: what 32-bit addresses reach.
pub(crate) const MAX_MEMORY_BYTES: u64 = 4 << 30;

/// Bytes of a linear memory that stay resident between two instances.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// The address space that one linear memory reserves: what addresses reach, and guard pages.
fn slot_bytes(settings: CodeSettings) -> u64 {
    settings.memory_bytes() + (64 << 20)
}

/// The address space of a process for everything else.
const REST_BYTES: u64 = 1 << 30;

/// How many linear memories a worker makes room for.
struct MemoryRoom {
    /// In two instances together, heaps of the garbage collector included.
    all: u32,
    per_module: u32,
}

impl MemoryRoom {
    /// Address space costs nothing, so there is room for two instances with as many memories as there may be, unless the process may
    /// only have this much address space.
    fn new(settings: CodeSettings, address_space: Option<u64>) -> MemoryRoom {
        let per_module = if settings.large_memories { MAX_LARGE_MEMORIES } else { MAX_MEMORIES };
        let room = address_space.map_or(u64::MAX, |limit| limit.saturating_sub(REST_BYTES) / slot_bytes(settings));
        let all = u32::try_from(room).unwrap_or(u32::MAX).clamp(1, 2 * (per_module + 1));
        MemoryRoom { all, per_module: all.min(per_module) }
    }
}

/// Whether the address space of this process is limited.
pub(crate) fn is_cramped() -> bool {
    rlimit::address_space().is_some()
}

/// If wasmtime refuses a module only because the address space has no room for its memories, says so.
pub(crate) fn lack_of_room(settings: CodeSettings, message: &str) -> Option<String> {
    if !message.contains("memories count") {
        return None;
    }
    let MemoryRoom { per_module: room, .. } = MemoryRoom::new(settings, rlimit::address_space());
    (room < MemoryRoom::new(settings, None).per_module).then(|| {
        format!("the limit of address space (ulimit -v) leaves room for {room} memories: {}", one_line(message))
    })
}

/// The most linear memories that a module may have, whatever its job allows.
pub(crate) const MAX_MEMORIES: u32 = 16;

/// The same for a module with a 64-bit memory, because each of them takes so much address space.
pub(crate) const MAX_LARGE_MEMORIES: u32 = 4;

/// The most tables that a module may have, whatever its job allows.
pub(crate) const MAX_TABLES: u32 = 16;

#[cfg(test)]
pub(crate) mod for_tests {
    use super::*;

    /// The settings of a worker for usual code.
    pub fn worker(fuel: Fuel) -> WorkerSettings {
        let code = CodeSettings::usual(fuel);
        WorkerSettings {
            code,
            stack_bytes: 1 << 20,
            table_elements: USUAL_TABLE_ELEMENTS,
            core_dumps: false,
            components: false,
        }
    }
}
