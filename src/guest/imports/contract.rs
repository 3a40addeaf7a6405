//! The imports of the guest contract (`wrun_abi`), version 1.
//!
//! A call with an impossible argument traps with a message that names the call and the values.

use std::fmt::Arguments;

use wasmtime::{Linker, Result, bail};
use wrun_abi::import;

use super::grow::Guest;
use super::map::{EMPTY_WINDOW, area, map, memory, range};
use crate::guest::host_error::HostError;
use crate::guest::input_faults::truncated;
use crate::guest::job_context::JobContext;
use crate::guest::state::State;
use crate::guest::task_result::MappedOutput;
use crate::guest::window::WASM_PAGE;
use crate::ipc::wire::{InputRange, Mapped};
use crate::sys::memory_file;

/// Defines all imports of the contract.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    let m = wrun_abi::MODULE;
    linker.func_wrap(m, import::TASK_INDEX, |guest: Guest<'_>| guest.data().index)?;
    linker.func_wrap(m, import::ARG_LEN, |guest: Guest<'_>| guest.data().argument.len() as u32)?;
    linker.func_wrap(m, import::ARG_READ, arg_read)?;
    linker.func_wrap(m, import::INPUT_COUNT, |guest: Guest<'_>| guest.data().input_count() as u32)?;
    linker.func_wrap(m, import::INPUT_FIND, input_find)?;
    linker.func_wrap(m, import::INPUT_LEN, input_len)?;
    linker.func_wrap(m, import::INPUT_WRITABLE, |guest: Guest<'_>| u32::from(guest.data().job.spec.copy_on_write))?;
    linker.func_wrap(m, import::INPUT_MAP, input_map)?;
    linker.func_wrap(m, import::INPUT_UNMAP, input_unmap)?;
    linker.func_wrap(m, import::OUTPUT_WRITE, output_write)?;
    linker.func_wrap(m, import::OUTPUT_MAP, output_map)?;
    linker.func_wrap(m, import::REGION_COUNT, |guest: Guest<'_>| guest.data().region_count() as u32)?;
    linker.func_wrap(m, import::REGION_FIND, region_find)?;
    linker.func_wrap(m, import::REGION_LEN, region_len)?;
    linker.func_wrap(m, import::REGION_MAP, region_map)?;
    linker.func_wrap(m, import::FAIL, fail)?;
    linker.func_wrap(m, import::LOG, log)?;
    Ok(())
}

fn arg_read(mut guest: Guest<'_>, dst: u32) -> Result<()> {
    let memory = memory(&mut guest, "arg_read")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let len = state.argument.len();
    let Some(range) = range(bytes.len(), dst, len) else {
        bail!("arg_read({dst:#x}): {len} bytes there do not lie in memory")
    };
    state.windows.host_writes(range.clone(), || bytes[range].copy_from_slice(&state.argument));
    Ok(())
}

fn input_find(mut guest: Guest<'_>, name: u32, len: u32) -> Result<i32> {
    let found = find(&mut guest, "input_find", (name, len), |job| &job.spec.inputs)?;
    Ok(found.map_or(wrun_abi::NOT_FOUND, |index| (guest.data().own_inputs.len() + index) as i32))
}

fn region_find(mut guest: Guest<'_>, name: u32, len: u32) -> Result<i32> {
    let found = find(&mut guest, "region_find", (name, len), |job| &job.spec.shared_memories)?;
    if len == 0 && guest.data().slice.is_some() {
        return Ok(wrun_abi::SLICE as i32);
    }
    Ok(found.map_or(wrun_abi::NOT_FOUND, |index| (usize::from(guest.data().slice.is_some()) + index) as i32))
}

/// Looks up a name, given by its place in memory, in a list of the job's.
fn find(
    guest: &mut Guest<'_>,
    call: &str,
    (name, len): (u32, u32),
    list: impl Fn(&JobContext) -> &[(String, InputRange)],
) -> Result<Option<usize>> {
    // One byte more than the longest name is enough to differ from all names.
    let longest = list(&guest.data().job).iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let wanted = copy(guest, call, format_args!("{name:#x}, {len}"), (name, len), longest + 1)?;
    Ok(list(&guest.data().job).iter().position(|(name, _)| name.as_bytes() == wanted))
}

fn input_len(guest: Guest<'_>, index: u32) -> Result<u64> {
    match guest.data().input(index as usize) {
        Some(input) => Ok(input.len),
        None => bail!("input_len({index}): {}", no_such_input(guest.data())),
    }
}

fn no_such_input(state: &State) -> String {
    match state.input_count() {
        0 => "this task has no inputs".into(),
        count => format!("this task has {count} inputs, counted from 0"),
    }
}

fn input_map(mut guest: Guest<'_>, index: u32, offset: u64, len: u32) -> Result<u32> {
    let Some(input) = guest.data().input(index as usize) else {
        bail!("input_map({index}, {offset}, {len}): {}", no_such_input(guest.data()))
    };
    if offset.checked_add(u64::from(len)).is_none_or(|end| end > input.len) {
        bail!("input_map({index}, {offset}, {len}): the input has {} bytes", input.len)
    }
    let input = input.clone();
    map(&mut guest, "input_map", Mapped::Input(index), &input, (offset, len))
}

fn region_len(guest: Guest<'_>, index: u32) -> Result<u64> {
    match guest.data().region(index as usize) {
        Some(region) => Ok(region.len),
        None => bail!("region_len({index}): {}", no_such_region(guest.data())),
    }
}

fn no_such_region(state: &State) -> String {
    match state.region_count() {
        0 => "this task has neither an output slice nor shared memory".into(),
        count => format!("this task has {count} regions, counted from 0"),
    }
}

fn region_map(mut guest: Guest<'_>, index: u32, offset: u64, len: u32) -> Result<u32> {
    let Some(region) = guest.data().region(index as usize) else {
        bail!("region_map({index}, {offset}, {len}): {}", no_such_region(guest.data()))
    };
    if offset.checked_add(u64::from(len)).is_none_or(|end| end > region.len) {
        bail!("region_map({index}, {offset}, {len}): the region has {} bytes", region.len)
    }
    let region = region.clone();
    map(&mut guest, "region_map", Mapped::Region(index), &region, (offset, len))
}

fn input_unmap(mut guest: Guest<'_>, address: u32) -> Result<()> {
    if address == EMPTY_WINDOW {
        return Ok(());
    }
    let state = guest.data_mut();
    let Some(end) = state.windows.end_of(address as usize) else {
        bail!("input_unmap({address:#x}): no window begins there")
    };
    if let Some(fault) = truncated(state, end) {
        return Err(HostError::Input(fault).into());
    }
    state.usage.note_peak();
    let private_bytes = state.windows.unmap(address as usize).unwrap_or(0);
    state.usage.remove_window(private_bytes);
    Ok(())
}

fn output_write(mut guest: Guest<'_>, address: u32, len: u32) -> Result<()> {
    let memory = memory(&mut guest, "output_write")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let Some(range) = range(bytes.len(), address, len as usize) else {
        bail!("output_write({address:#x}, {len}): these bytes do not lie in memory")
    };
    if state.output_file.is_some() {
        bail!("output_write({address:#x}, {len}): the result is what output_map gave; write it there")
    }
    if u64::from(len) > state.output_room() {
        return Err(HostError::output_limit(state.job.spec.output_bytes).into());
    }
    let State { windows, output, .. } = &mut **state;
    windows.host_reads(range.clone(), || output.extend_from_slice(&bytes[range]));
    Ok(())
}

fn output_map(mut guest: Guest<'_>, len: u32) -> Result<u32> {
    let state = guest.data();
    if state.output_file.is_some() || !state.output.is_empty() {
        bail!("output_map({len}): the task has a result already")
    }
    if u64::from(len) > state.output_room() {
        return Err(HostError::output_limit(state.job.spec.output_bytes).into());
    }
    let refused = |error| HostError::fixed_limit(format!("cannot make a result of {len} bytes: {error}"));
    let file = memory_file::output(u64::from(len)).map_err(refused)?;
    let address = if len == 0 {
        EMPTY_WINDOW as usize
    } else {
        let area_len = (len as usize).next_multiple_of(WASM_PAGE);
        let area = area(&mut guest, "output_map", area_len, area_len)?;
        guest.data_mut().windows.map_output(area, &file, len as usize).map_err(refused)?
    };
    guest.data_mut().output_file = Some(MappedOutput { file, len: u64::from(len) });
    Ok(address as u32)
}

fn fail(mut guest: Guest<'_>, address: u32, len: u32) -> Result<()> {
    let limit = guest.data().job.spec.log_bytes;
    let text = copy(&mut guest, "fail", format_args!("{address:#x}, {len}"), (address, len), limit as usize)?;
    guest.data_mut().failure = Some(String::from_utf8_lossy(&text).into_owned());
    Ok(())
}

fn log(mut guest: Guest<'_>, level: u32, address: u32, len: u32) -> Result<()> {
    if !(1..=5).contains(&level) {
        bail!("log({level}, {address:#x}, {len}): levels are 1 (error) to 5 (trace)")
    }
    let limit = guest.data().job.spec.log_bytes;
    let values = format_args!("{level}, {address:#x}, {len}");
    let text = copy(&mut guest, "log", values, (address, len), limit as usize + 1)?;
    guest.data_mut().log.push(level as u8, &String::from_utf8_lossy(&text), limit);
    Ok(())
}

/// Copies at most `most` of the `len` bytes at `address`, all of which must lie in memory. `values` are the arguments of the call, for
/// messages. The bytes may lie in a window of a file that changes meanwhile, so they are only examined once they are copied.
fn copy(
    guest: &mut Guest<'_>,
    call: &str,
    values: Arguments<'_>,
    (address, len): (u32, u32),
    most: usize,
) -> Result<Vec<u8>> {
    let memory = memory(guest, call)?;
    let bytes = memory.data(&*guest);
    match range(bytes.len(), address, len as usize) {
        Some(range) => {
            let range = range.start..range.end.min(range.start.saturating_add(most));
            Ok(guest.data().windows.host_reads(range.clone(), || bytes[range].to_vec()))
        }
        None => bail!("{call}({values}): these bytes do not lie in memory"),
    }
}
