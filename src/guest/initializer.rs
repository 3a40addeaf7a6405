//! Runs a module's initializer in a new instance.

use std::mem;

use wasmtime::{Instance, Result, Store};

use super::instance::{function, instantiate};
use super::linked_job::{Initializer, LinkedModule};
use super::phase::Phase;
use super::signals;
use super::state::State;

/// Makes an instance for a task and runs the initializer there, which sees nothing of the task: then it leaves behind what it leaves
/// in a snapshot.
pub(super) fn run_before_task(
    module: &LinkedModule,
    initializer: &Initializer,
    store: &mut Store<Box<State>>,
) -> Result<Instance> {
    let state = store.data_mut();
    let job = mem::replace(&mut state.job, initializer.job.clone());
    let own_inputs = mem::take(&mut state.own_inputs);
    let wasi = state.wasi.take();
    let ended = run(module, initializer, store);
    let state = store.data_mut();
    (state.job, state.own_inputs) = (job, own_inputs);
    // One that failed keeps what says why.
    let instance = ended?;
    state.wasi = wasi;
    (state.failure, state.refused) = (None, None);
    state.log.clear();
    Ok(instance)
}

/// Makes an instance and runs the initializer there.
pub(super) fn run(module: &LinkedModule, initializer: &Initializer, store: &mut Store<Box<State>>) -> Result<Instance> {
    store.data_mut().phase = Phase::Initializer;
    let ended = signals::while_instantiating(|| instantiate(module, store)).and_then(|instance| {
        let initializer = function(store, instance, &initializer.function)?.typed::<(), ()>(&*store)?;
        initializer.call(&mut *store, ())?;
        Ok(instance)
    });
    store.data_mut().phase = Phase::Task;
    ended
}
