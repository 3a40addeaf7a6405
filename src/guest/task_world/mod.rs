//! What components import of the package `wrun:task` (`guest-sdk/wit`), and how their tasks are called.
//!
//! Handles of guests are positions in lists of the task's, so there is nothing to free when a guest drops one. wasmtime limits how many a
//! task has at a time.

mod inputs;
mod regions;
mod task;

use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Result, StoreContextMut};

use super::host_error::HostError;
use super::state::State;
use crate::module::task_world::Interface;

pub(super) use regions::HostRegions;
pub(super) use task::{call, find};

/// A guest that calls an import.
type Guest<'a> = StoreContextMut<'a, Box<State>>;

type Imports<'a> = LinkerInstance<'a, Box<State>>;

/// Defines the imports of the package.
pub(super) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    let mut define = |interface: Interface, add: fn(&mut Imports<'_>) -> Result<()>| {
        add(&mut linker.instance(&interface.versioned_name())?)
    };
    define(Interface::Context, task::add_context)?;
    define(Interface::Log, task::add_log)?;
    define(Interface::Output, task::add_output)?;
    define(Interface::Inputs, inputs::add)?;
    define(Interface::OutputSlice, regions::add_output_slice)?;
    define(Interface::Shared, regions::add_shared)
}

/// Checks that the task may have `len` bytes more memory, for a list that it gets. Returns them as a length in memory.
///
/// # Errors
///
/// Returns an error if it may not.
fn list_len(state: &mut State, len: u64) -> Result<usize> {
    if !state.usage.allows(len) {
        return Err(HostError::Limit(state.usage.limit_reached().unwrap_or_default()).into());
    }
    Ok(usize::try_from(len)?)
}
