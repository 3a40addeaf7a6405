//! wasmtime alone: a loop of instantiate, call and drop on each thread, with the settings of a wrun worker.

use std::time::Instant;

use serde_json::json;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module, PoolingAllocationConfig, Store,
};

use crate::Outcome;
use crate::noop::MODULE;

/// Tasks per second of all threads together.
pub fn rate(tasks: usize, threads: usize) -> Outcome {
    // One engine per thread, because each wrun worker process has its own: no pool or lock is shared.
    let engines = (0..threads).map(|_| engine()).collect::<Result<Vec<_>, _>>()?;
    let each = tasks / threads;
    for pre in &engines {
        calls(pre, each / 50)?;
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = engines.iter().map(|pre| scope.spawn(move || calls(pre, each))).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("the loop does not panic"))
    })?;
    Ok(json!({ "per_second": (each * threads) as f64 / start.elapsed().as_secs_f64() }).to_string())
}

/// The settings of `src/module/engine.rs` that instances depend on.
fn engine() -> wasmtime::Result<InstancePre<()>> {
    let engine = engine_with(PoolingAllocationConfig::new().total_core_instances(4))?;
    let module = Module::new(&engine, MODULE)?;
    Linker::new(&engine).instantiate_pre(&module)
}

/// An engine with this pool of instances, and all else as in a worker.
pub fn engine_with(pool: &mut PoolingAllocationConfig) -> wasmtime::Result<Engine> {
    pool.total_stacks(1)
        .max_core_instance_size(4 << 20)
        .max_memory_size(1 << 32)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config.memory_may_move(false);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool.clone()));
    Engine::new(&config)
}

fn calls(pre: &InstancePre<()>, count: usize) -> wasmtime::Result<()> {
    for _ in 0..count {
        let mut store = Store::new(pre.module().engine(), ());
        let instance = pre.instantiate(&mut store)?;
        let function = instance.get_typed_func::<(), i32>(&mut store, "wrun:task/noop")?;
        function.call(&mut store, ())?;
    }
    Ok(())
}
