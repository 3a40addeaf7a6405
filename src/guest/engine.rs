//! The one place for wasmtime's settings. The compiler's process and the workers use the same ones, because
//! precompiled code fits only an engine with the same settings.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Settings of the process that compiles; those that code depends on are the same as a worker's.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    // A window is mapped at a fixed address, so a memory must never move.
    config.memory_may_move(false);
    // Source lines in backtraces need the module's DWARF to be kept with its code.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// Settings of a worker, which runs one instance at a time (and keeps one beside it where instances are reused).
pub(crate) fn worker_config(stack_bytes: usize) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(4)
        .total_memories(8)
        .total_tables(16)
        // Stacks of asynchronous calls, which wrun does not make; the default of 1000 counts as 2 GiB of data (RLIMIT_DATA).
        .total_stacks(1)
        .max_memories_per_module(4)
        .max_tables_per_module(8)
        .table_elements(200_000)
        .max_core_instance_size(4 << 20)
        // All that 32-bit addresses reach: windows count as memory here, and limits are enforced by the store.
        .max_memory_size(1 << 32)
        // Small enough to be cleared by memset faster than by a system call where the kernel cannot say which pages were written.
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = config();
    // The second is for stacks of fibers, which this crate does not use; wasmtime wants it to be the larger one.
    config
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + (1 << 20))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Bytes of a memory that stay resident between two instances.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;
