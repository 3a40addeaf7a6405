//! Makes a module of what an initializer has left behind.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{Extern, Global, Memory, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::instance::Guest;
use super::task_result::TaskResult;
use crate::module::explain::one_line;

impl Guest {
    /// Runs the initializer of the job's module. If it passes, returns `module`, whose instrumented form is loaded, as it has left it.
    /// Its outcome replaces what is in `result`.
    pub fn snapshot(
        &mut self,
        module: &[u8],
        initializer: &str,
        result: &mut TaskResult,
    ) -> Option<Result<Vec<u8>, String>> {
        let mut wizer = Wizer::new();
        wizer.init_func(initializer);
        // Before the initializer runs, so that it does not run in vain.
        let parsed = match wizer.instrument(module) {
            Ok((parsed, _)) => parsed,
            Err(error) => return Some(Err(one_line(&format!("{error:#}")))),
        };
        let (mut store, instance) = self.initialize(result)?;
        let exports: Vec<(String, Extern)> =
            instance.exports(&mut store).map(|export| (export.name().to_owned(), export.into_extern())).collect();
        let globals: Vec<(String, Global)> =
            exports.iter().filter_map(|(name, it)| Some((name.clone(), it.clone().into_global()?))).collect();
        let globals = globals.into_iter().map(|(name, global)| (name, global.get(&mut store))).collect();
        let memories: Vec<(String, Memory)> =
            exports.into_iter().filter_map(|(name, it)| Some((name, it.into_memory()?))).collect();
        let memories = memories.iter().map(|(name, memory)| (name.clone(), memory.data(&store))).collect();
        let snapshot = finish_now(wizer.snapshot(&parsed, &mut Left { globals, memories }));
        Some(match snapshot {
            Some(Ok(snapshot)) => Ok(snapshot),
            Some(Err(error)) => Err(one_line(&format!("{error:#}"))),
            None => Err("its state cannot be read".to_owned()),
        })
    }
}

/// What the initializer left in the exports that the instrumentation adds.
struct Left<'a> {
    globals: HashMap<String, Val>,
    memories: HashMap<String, &'a [u8]>,
}

impl InstanceState for Left<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        match self.globals.get(name) {
            Some(Val::I32(value)) => SnapshotVal::I32(*value),
            Some(Val::I64(value)) => SnapshotVal::I64(*value),
            Some(Val::F32(bits)) => SnapshotVal::F32(*bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(*bits),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            other => unreachable!("the instrumentation exports numbers, and not {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        contents(self.memories.get(name).expect("the instrumentation exports all memories"));
    }
}

/// The result of a future that waits for nothing.
fn finish_now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
