//! Inputs of tasks. A handle is the input's position; positions of shared inputs of a merge, which has them by name only, follow those of
//! its results.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use wasmtime::Result;
use wasmtime::component::{Resource, ResourceType, WasmStr};

use super::{Guest, Imports, list_len};
use crate::guest::imports::{truncated, unreadable};
use crate::guest::open_files::GuestInput;
use crate::guest::state::State;
use crate::ipc::wire::Mapped;

/// Marks handles of inputs.
struct Input;

pub(super) fn add(imports: &mut Imports<'_>) -> Result<()> {
    imports.resource("input", ResourceType::host::<Input>(), |_, _| Ok(()))?;
    imports.func_wrap("count", |guest: Guest<'_>, (): ()| Ok((guest.data().input_count() as u32,)))?;
    imports.func_wrap("get", |guest: Guest<'_>, (index,): (u32,)| {
        let found = (index as usize) < guest.data().input_count();
        Ok((found.then(|| Resource::<Input>::new_own(index)),))
    })?;
    imports.func_wrap("find", find)?;
    imports.func_wrap("[method]input.name", |guest: Guest<'_>, (input,): (Resource<Input>,)| {
        let State { job, own_inputs, .. } = &**guest.data();
        let shared = (input.rep() as usize).checked_sub(own_inputs.len());
        Ok((shared.and_then(|shared| job.spec.inputs.get(shared)).map(|(name, _)| name.clone()),))
    })?;
    imports.func_wrap("[method]input.len", |guest: Guest<'_>, (input,): (Resource<Input>,)| {
        Ok((opened(guest.data(), &input).len,))
    })?;
    imports.func_wrap("[method]input.read", read)
}

fn find(guest: Guest<'_>, (name,): (WasmStr,)) -> Result<(Option<Resource<Input>>,)> {
    let state = guest.data();
    let name = name.to_str(&guest)?;
    let found = state.job.spec.inputs.iter().position(|(known, _)| *known == name);
    Ok((found.map(|shared| Resource::new_own((state.own_inputs.len() + shared) as u32)),))
}

fn opened<'a>(state: &'a State, input: &Resource<Input>) -> &'a GuestInput {
    state.input(input.rep() as usize).expect("the instance is the task's own, and handles are made for inputs of it")
}

fn read(mut guest: Guest<'_>, (input, offset, len): (Resource<Input>, u64, u64)) -> Result<(Vec<u8>,)> {
    let of = Mapped::Input(input.rep());
    let state = guest.data_mut();
    let whole = opened(state, &input).clone();
    let len = len.min(whole.len.saturating_sub(offset));
    let mut bytes = vec![0; list_len(state, len)?];
    let mut done = 0;
    while done < bytes.len() {
        match whole.file.read_at(&mut bytes[done..], whole.offset + offset + done as u64) {
            Ok(0) => return Err(truncated(of, &whole.file)),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(unreadable(of, offset + done as u64)),
        }
    }
    state.window_bytes.copied = state.window_bytes.copied.saturating_add(len);
    Ok((bytes,))
}
