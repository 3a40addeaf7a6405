//! wasmtime alone, with a component: a loop of instantiate, call and drop on one thread, with the settings of a wrun worker.

use std::time::Instant;

use serde_json::json;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::Outcome;
use crate::bare::engine_with;

/// Milliseconds of a call of the component's `run: func(item: string) -> string` in a fresh instance, without the first one.
pub fn call(path: &str, tasks: usize) -> Outcome {
    let engine = engine()?;
    let component = Component::from_file(&engine, path)?;
    let mut linker = Linker::<Host>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    let run = component.get_export_index(None, "run").ok_or("it exports no run")?;
    let call = |item: usize| -> wasmtime::Result<()> {
        let host = Host { table: ResourceTable::new(), wasi: WasiCtx::builder().build() };
        let mut store = Store::new(&engine, host);
        let instance = pre.instantiate(&mut store)?;
        let function = instance.get_typed_func::<(String,), (String,)>(&mut store, run)?;
        function.call(&mut store, (format!("result = sum(range(1000)) + {item}"),))?;
        Ok(())
    };
    call(0)?;
    let start = Instant::now();
    (1..=tasks).try_for_each(call)?;
    Ok(json!({ "milliseconds": start.elapsed().as_secs_f64() * 1e3 / tasks as f64 }).to_string())
}

struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The settings of `src/module/engine.rs` for components that instances depend on.
fn engine() -> wasmtime::Result<Engine> {
    engine_with(
        PoolingAllocationConfig::new()
            .total_core_instances(256)
            .max_core_instances_per_component(256)
            .max_tables_per_component(64)
            .max_component_instance_size(8 << 20)
            .total_memories(16)
            .total_tables(64)
            .table_elements(1 << 18),
    )
}
