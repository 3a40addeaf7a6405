//! Components: what they import, and how a command is run.

use wasmtime::component::{Component, HasData, InstancePre, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::sync::CommandPre;
use wasmtime_wasi::p2::{DynPollable, Pollable, add_to_linker_sync, subscribe};
use wasmtime_wasi::{HostMonotonicClock, WasiCtxView, WasiView};

use super::imports::wasi;
use super::linked_job::TaskFunction;
use super::outcome::Returned;
use super::state::State;
use super::wasi::{TaskClock, Wakening};

/// A component that is linked.
pub(super) type ComponentPre = InstancePre<Box<State>>;

/// A command that is linked.
pub(super) type Command = CommandPre<Box<State>>;

/// Links a component.
///
/// # Errors
///
/// Returns an error if it imports something that is not provided.
pub(super) fn link(engine: &Engine, component: &Component, has_own_clock: bool) -> Result<ComponentPre> {
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker)?;
    if has_own_clock {
        linker.allow_shadowing(true);
        monotonic_clock::add_to_linker::<_, OwnClock>(&mut linker, |state: &mut Box<State>| {
            let wasi = wasi(state);
            let clock = wasi.clock.clone().expect("a task without the real clock has its own");
            ClockView { clock, table: wasi.begin_component_call().table }
        })?;
        linker.allow_shadowing(false);
    }
    linker.instantiate_pre(component)
}

/// Runs a command, or calls a function, in a fresh instance.
pub(super) fn run(
    component: &ComponentPre,
    function: &TaskFunction,
    store: &mut Store<Box<State>>,
) -> Result<Returned> {
    match function {
        TaskFunction::ComponentFunction(function) => {
            let instance = component.instantiate(&mut *store)?;
            function.call(&instance, store)
        }
        TaskFunction::ComponentCommand(command) => {
            let instance = command.instantiate(&mut *store)?;
            let ended = instance.wasi_cli_run().call_run(&mut *store)?;
            // A program says no more than this, unless it exits with a code.
            Ok(if ended.is_ok() { Returned::Code(0) } else { Returned::Exit(1) })
        }
        TaskFunction::Task(_) | TaskFunction::Scalar(..) | TaskFunction::Command(_) => {
            unreachable!("functions of modules are found in modules")
        }
    }
}

impl WasiView for Box<State> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        wasi(self).begin_component_call()
    }
}

/// Marks the data of the task's own clock.
struct OwnClock;

impl HasData for OwnClock {
    type Data<'a> = ClockView<'a>;
}

/// The task's own clock as `wasi:clocks/monotonic-clock`.
struct ClockView<'a> {
    clock: TaskClock,
    table: &'a mut ResourceTable,
}

impl ClockView<'_> {
    fn wake_at(&mut self, ns: u64) -> Result<Resource<DynPollable>> {
        let wakening = self.table.push(self.clock.wakening(ns))?;
        subscribe(self.table, wakening)
    }
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(HostMonotonicClock::now(&self.clock))
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(HostMonotonicClock::resolution(&self.clock))
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.wake_at(when)
    }

    fn subscribe_duration(&mut self, ns: u64) -> Result<Resource<DynPollable>> {
        self.wake_at(self.clock.passed_ns().saturating_add(ns))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Wakening {
    async fn ready(&mut self) {
        self.wait().await;
    }
}
