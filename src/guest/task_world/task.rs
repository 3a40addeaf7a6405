//! How a component's task is called, what it is given besides files, and what it says.

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, Instance, Lift, TypedFunc, WasmList, WasmStr,
};
use wasmtime::{Result, Store, format_err};

use super::{Guest, Imports, list_len};
use crate::guest::host_error::HostError;
use crate::guest::outcome::Returned;
use crate::guest::state::State;

/// Finds the task of this name.
///
/// # Errors
///
/// Returns an error if the component exports no function of this name.
pub(in crate::guest) fn find(component: &Component, name: &str) -> Result<ComponentExportIndex> {
    component.get_export_index(None, name).ok_or_else(|| format_err!("the component has no export `{name}` (any more)"))
}

/// Calls a task of an instance.
pub(in crate::guest) fn call(
    task: ComponentExportIndex,
    instance: Instance,
    store: &mut Store<Box<State>>,
) -> Result<Returned> {
    let task: TypedFunc<(), (Result<(), String>,)> = instance.get_typed_func(&mut *store, task)?;
    let (ended,) = task.call(&mut *store, ())?;
    Ok(match ended {
        Ok(()) => Returned::Code(0),
        Err(mut message) => {
            let state = store.data_mut();
            message.truncate(message.floor_char_boundary(state.job.spec.log_bytes as usize));
            state.failure = Some(message);
            Returned::Code(1)
        }
    })
}

pub(super) fn add_context(imports: &mut Imports<'_>) -> Result<()> {
    imports.func_wrap("argument", |mut guest: Guest<'_>, (): ()| {
        let state = guest.data_mut();
        list_len(state, state.argument.len() as u64)?;
        Ok((state.argument.to_vec(),))
    })?;
    imports.func_wrap("index", |guest: Guest<'_>, (): ()| Ok((guest.data().index,)))
}

/// How important a log line is.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "values come from guests alone")]
enum Level {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
    #[component(name = "trace")]
    Trace,
}

pub(super) fn add_log(imports: &mut Imports<'_>) -> Result<()> {
    imports.func_wrap("log", |mut guest: Guest<'_>, (level, text): (Level, WasmStr)| {
        let limit = guest.data().job.spec.log_bytes;
        let mut log = std::mem::take(&mut guest.data_mut().log);
        let text = text.to_str(&guest);
        if let Ok(text) = &text {
            log.push(level as u8 + 1, text, limit);
        }
        let said = text.map(drop);
        guest.data_mut().log = log;
        said
    })
}

pub(super) fn add_output(imports: &mut Imports<'_>) -> Result<()> {
    imports.func_wrap("write", |mut guest: Guest<'_>, (bytes,): (WasmList<u8>,)| {
        let state = guest.data_mut();
        if bytes.len() as u64 > state.output_room() {
            return Err(HostError::output_limit(state.job.spec.output_bytes).into());
        }
        let mut output = std::mem::take(&mut state.output);
        output.extend_from_slice(bytes.as_le_slice(&guest));
        guest.data_mut().output = output;
        Ok(())
    })
}
