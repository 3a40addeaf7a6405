//! Components: what they import, and how their functions are called.

use wasmtime::component::{Component, HasData, InstancePre, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Result, Store, format_err};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::sync::{Command, CommandIndices};
use wasmtime_wasi::p2::{DynPollable, Pollable, add_to_linker_sync, subscribe};
use wasmtime_wasi::{HostMonotonicClock, WasiCtxView, WasiView};

use super::component_function::ComponentFunction;
use super::imports::wasi;
use super::job_context::JobContext;
use super::linked_job::TaskFunction;
use super::outcome::Returned;
use super::state::State;
use super::task_world;
use super::wasi::{TaskClock, Wakening};
use crate::module::Entry;

/// A component that is linked.
pub(super) type Linked = InstancePre<Box<State>>;

/// Links a component.
///
/// # Errors
///
/// Returns an error if it imports something that is not provided.
pub(super) fn link(engine: &Engine, component: &Component, job: &JobContext) -> Result<Linked> {
    let mut linker = Linker::new(engine);
    task_world::add_to_linker(&mut linker)?;
    if job.uses_wasi {
        add_wasi(&mut linker, !job.spec.real_clock)?;
    }
    linker.instantiate_pre(component)
}

/// Whether a component imports an interface of WASI.
pub(super) fn uses_wasi(component: &Component) -> bool {
    component.component_type().imports(component.engine()).any(|(name, _)| name.starts_with("wasi:"))
}

fn add_wasi(linker: &mut Linker<Box<State>>, has_own_clock: bool) -> Result<()> {
    add_to_linker_sync(linker)?;
    if has_own_clock {
        linker.allow_shadowing(true);
        monotonic_clock::add_to_linker::<_, OwnClock>(linker, |state: &mut Box<State>| {
            let wasi = wasi(state);
            let clock = wasi.clock.clone().expect("a task without the real clock has its own");
            ClockView { clock, table: wasi.begin_component_call().table }
        })?;
        linker.allow_shadowing(false);
    }
    Ok(())
}

/// Finds the function of a component that this entry names.
///
/// # Errors
///
/// Returns an error if it exports no such function.
pub(super) fn function(linked: &Linked, entry: &Entry) -> Result<TaskFunction> {
    match entry {
        Entry::Command => CommandIndices::new(linked).map(TaskFunction::ComponentCommand),
        Entry::Task(name) => task_world::find(linked.component(), name).map(TaskFunction::ComponentTask),
        Entry::Function(function) => {
            ComponentFunction::find(linked.component(), function).map(TaskFunction::ComponentFunction)
        }
        other => Err(format_err!("this version of wrun cannot call {:?} of a component", other.name())),
    }
}

/// Runs a function in a fresh instance.
pub(super) fn run(linked: &Linked, function: &TaskFunction, store: &mut Store<Box<State>>) -> Result<Returned> {
    let instance = linked.instantiate(&mut *store)?;
    match function {
        TaskFunction::ComponentCommand(command) => run_command(&command.load(&mut *store, &instance)?, store),
        TaskFunction::ComponentTask(task) => task_world::call(*task, instance, store),
        TaskFunction::ComponentFunction(function) => function.call(&instance, store),
        _ => unreachable!("the functions of a component are found by `function`"),
    }
}

fn run_command(command: &Command, store: &mut Store<Box<State>>) -> Result<Returned> {
    let ended = command.wasi_cli_run().call_run(&mut *store)?;
    // A program says no more than this, unless it exits with a code.
    Ok(if ended.is_ok() { Returned::Code(0) } else { Returned::Exit(1) })
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
