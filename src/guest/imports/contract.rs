//! The imports of the guest contract (`wrun_abi`), version 1.
//!
//! A call with an impossible argument traps with a message that names the call and the values. Addresses and lengths in memory have the
//! width of the memory's addresses, so most imports are here for either width.

use std::fmt::Arguments;

use wasmtime::{Linker, Result, bail};
use wrun_abi::import;

use super::address::Address;
use super::grow::Guest;
use super::map::{EMPTY_WINDOW, Place, area, guard, map, memory, range};
use super::read::read;
use crate::guest::host_error::HostError;
use crate::guest::input_faults::truncated;
use crate::guest::job_context::JobContext;
use crate::guest::open_files::GuestInput;
use crate::guest::phase::OfTask;
use crate::guest::state::State;
use crate::guest::task_result::MappedOutput;
use crate::guest::window::WASM_PAGE;
use crate::ipc::wire::{InputRange, Mapped};
use crate::sys::memory_file;

/// Defines all imports of the contract, for a module whose memory has 64-bit addresses or 32-bit ones.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>, memory_is_64: bool) -> Result<()> {
    let m = wrun_abi::MODULE;
    linker.func_wrap(m, import::TASK_INDEX, |guest: Guest<'_>| {
        guest.data().only_in_task(import::TASK_INDEX, OfTask::Index).map(|()| guest.data().index)
    })?;
    linker.func_wrap(m, import::INPUT_COUNT, |guest: Guest<'_>| {
        guest.data().only_in_task(import::INPUT_COUNT, OfTask::Inputs).map(|()| guest.data().input_count() as u32)
    })?;
    linker.func_wrap(m, import::INPUT_LEN, input_len)?;
    linker.func_wrap(m, import::INPUT_WRITABLE, |guest: Guest<'_>| {
        let writable = u32::from(guest.data().job.spec.copy_on_write);
        guest.data().only_in_task(import::INPUT_WRITABLE, OfTask::Inputs).map(|()| writable)
    })?;
    linker.func_wrap(m, import::REGION_COUNT, |guest: Guest<'_>| {
        guest.data().only_in_task(import::REGION_COUNT, OfTask::Output).map(|()| guest.data().region_count() as u32)
    })?;
    linker.func_wrap(m, import::REGION_LEN, region_len)?;
    if memory_is_64 { add_with_addresses::<u64>(linker) } else { add_with_addresses::<u32>(linker) }
}

fn add_with_addresses<A: Address>(linker: &mut Linker<Box<State>>) -> Result<()> {
    let m = wrun_abi::MODULE;
    linker.func_wrap(m, import::ARG_LEN, |guest: Guest<'_>| {
        guest.data().only_in_task(import::ARG_LEN, OfTask::Argument).map(|()| A::new(guest.data().argument.len()))
    })?;
    linker.func_wrap(m, import::ARG_READ, arg_read::<A>)?;
    linker.func_wrap(m, import::INPUT_FIND, input_find::<A>)?;
    linker.func_wrap(m, import::INPUT_READ, input_read::<A>)?;
    linker.func_wrap(m, import::INPUT_MAP, input_map::<A>)?;
    linker.func_wrap(m, import::INPUT_MAP_AT, input_map_at::<A>)?;
    linker.func_wrap(m, import::INPUT_UNMAP, input_unmap::<A>)?;
    linker.func_wrap(m, import::OUTPUT_WRITE, output_write::<A>)?;
    linker.func_wrap(m, import::OUTPUT_MAP, output_map::<A>)?;
    linker.func_wrap(m, import::REGION_FIND, region_find::<A>)?;
    linker.func_wrap(m, import::REGION_MAP, region_map::<A>)?;
    linker.func_wrap(m, import::REGION_MAP_AT, region_map_at::<A>)?;
    linker.func_wrap(m, import::FAIL, fail::<A>)?;
    linker.func_wrap(m, import::LOG, log::<A>)?;
    Ok(())
}

fn arg_read<A: Address>(mut guest: Guest<'_>, dst: A) -> Result<()> {
    guest.data().only_in_task("arg_read", OfTask::Argument)?;
    let memory = memory(&mut guest, "arg_read")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let len = state.argument.len();
    let Some(range) = range(bytes.len(), dst, len) else {
        bail!("arg_read({dst:#x}): {len} bytes there do not lie in memory")
    };
    state.windows.host_writes(range.clone(), || bytes[range].copy_from_slice(&state.argument));
    Ok(())
}

fn input_find<A: Address>(mut guest: Guest<'_>, name: A, len: A) -> Result<i32> {
    let found = find(&mut guest, "input_find", (name, len), |job| &job.spec.inputs)?;
    Ok(found.map_or(wrun_abi::NOT_FOUND, |index| (guest.data().own_inputs.len() + index) as i32))
}

fn region_find<A: Address>(mut guest: Guest<'_>, name: A, len: A) -> Result<i32> {
    let found = find(&mut guest, "region_find", (name, len), |job| &job.spec.shared_memories)?;
    if len.get() == 0 && guest.data().slice.is_some() {
        return Ok(wrun_abi::SLICE as i32);
    }
    Ok(found.map_or(wrun_abi::NOT_FOUND, |index| (usize::from(guest.data().slice.is_some()) + index) as i32))
}

/// Looks up a name, given by its place in memory, in a list of the job's.
fn find<A: Address>(
    guest: &mut Guest<'_>,
    call: &str,
    (name, len): (A, A),
    list: impl Fn(&JobContext) -> &[(String, InputRange)],
) -> Result<Option<usize>> {
    guest.data().only_in_task(call, if call == "input_find" { OfTask::Inputs } else { OfTask::Output })?;
    // One byte more than the longest name is enough to differ from all names.
    let longest = list(&guest.data().job).iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let wanted = copy(guest, call, format_args!("{name:#x}, {len}"), (name, len), longest + 1)?;
    Ok(list(&guest.data().job).iter().position(|(name, _)| name.as_bytes() == wanted))
}

fn input_len(guest: Guest<'_>, index: u32) -> Result<u64> {
    guest.data().only_in_task("input_len", OfTask::Inputs)?;
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

/// The input or region, if the range lies in it. `values` are the arguments of the call, for messages.
fn whole(
    guest: &Guest<'_>,
    call: &str,
    values: Arguments<'_>,
    of: Mapped,
    (offset, len): (u64, usize),
) -> Result<GuestInput> {
    let what = if let Mapped::Input(_) = of { OfTask::Inputs } else { OfTask::Output };
    guest.data().only_in_task(call, what)?;
    let Some(whole) = guest.data().mapped(of) else {
        match of {
            Mapped::Input(_) => bail!("{call}({values}): {}", no_such_input(guest.data())),
            Mapped::Region(_) => bail!("{call}({values}): {}", no_such_region(guest.data())),
        }
    };
    if offset.checked_add(len as u64).is_none_or(|end| end > whole.len) {
        let what = if let Mapped::Input(_) = of { "input" } else { "region" };
        bail!("{call}({values}): the {what} has {} bytes", whole.len)
    }
    Ok(whole.clone())
}

/// Maps a range of an input or region into pages by which the memory grows.
fn map_new<A: Address>(guest: &mut Guest<'_>, call: &str, of: Mapped, offset: u64, len: A) -> Result<A> {
    let (Mapped::Input(index) | Mapped::Region(index)) = of;
    let part = (offset, len.get());
    let whole = whole(guest, call, format_args!("{index}, {offset}, {len}"), of, part)?;
    map(guest, call, of, &whole, part, Place::NewPages).map(A::new)
}

/// Maps a range of an input or region over memory of the guest's own, from `dst` on.
fn map_over<A: Address>(guest: &mut Guest<'_>, call: &str, of: Mapped, (offset, len): (u64, A), dst: A) -> Result<A> {
    let (Mapped::Input(index) | Mapped::Region(index)) = of;
    let part = (offset, len.get());
    let values = format_args!("{index}, {offset}, {len}, {dst:#x}");
    let whole = whole(guest, call, values, of, part)?;
    map(guest, call, of, &whole, part, Place::At { dst: dst.get(), values }).map(A::new)
}

fn input_read<A: Address>(mut guest: Guest<'_>, index: u32, offset: u64, len: A, dst: A) -> Result<()> {
    let part = (offset, len.get());
    let values = format_args!("{index}, {offset}, {len}, {dst:#x}");
    let input = whole(&guest, "input_read", values, Mapped::Input(index), part)?;
    let memory = memory(&mut guest, "input_read")?;
    let Some(range) = range(memory.data_size(&guest), dst, len.get()) else {
        bail!("input_read({values}): {len} bytes there do not lie in memory")
    };
    read(&mut guest, memory, Mapped::Input(index), &input, offset, range)
}

fn input_map<A: Address>(mut guest: Guest<'_>, index: u32, offset: u64, len: A) -> Result<A> {
    map_new(&mut guest, "input_map", Mapped::Input(index), offset, len)
}

fn input_map_at<A: Address>(mut guest: Guest<'_>, index: u32, offset: u64, len: A, dst: A) -> Result<A> {
    map_over(&mut guest, "input_map_at", Mapped::Input(index), (offset, len), dst)
}

fn region_len(guest: Guest<'_>, index: u32) -> Result<u64> {
    guest.data().only_in_task("region_len", OfTask::Output)?;
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

fn region_map<A: Address>(mut guest: Guest<'_>, index: u32, offset: u64, len: A) -> Result<A> {
    map_new(&mut guest, "region_map", Mapped::Region(index), offset, len)
}

fn region_map_at<A: Address>(mut guest: Guest<'_>, index: u32, offset: u64, len: A, dst: A) -> Result<A> {
    map_over(&mut guest, "region_map_at", Mapped::Region(index), (offset, len), dst)
}

fn input_unmap<A: Address>(mut guest: Guest<'_>, address: A) -> Result<()> {
    if address.get() == EMPTY_WINDOW {
        return Ok(());
    }
    let state = guest.data_mut();
    let Some(end) = state.windows.end_of(address.get()) else {
        bail!("input_unmap({address:#x}): no window begins there")
    };
    if let Some(fault) = truncated(state, end) {
        return Err(HostError::Input(fault).into());
    }
    state.usage.note_peak();
    let private_bytes = state.windows.unmap(address.get()).unwrap_or(0);
    state.usage.remove_window(private_bytes);
    Ok(())
}

fn output_write<A: Address>(mut guest: Guest<'_>, address: A, len: A) -> Result<()> {
    guest.data().only_in_task("output_write", OfTask::Output)?;
    let memory = memory(&mut guest, "output_write")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let Some(range) = range(bytes.len(), address, len.get()) else {
        bail!("output_write({address:#x}, {len}): these bytes do not lie in memory")
    };
    if state.output_file.is_some() {
        bail!("output_write({address:#x}, {len}): the result is what output_map gave; write it there")
    }
    if len.get() as u64 > state.output_room() {
        return Err(HostError::output_limit(state.job.spec.output_bytes).into());
    }
    let State { windows, output, .. } = &mut **state;
    windows.host_reads(range.clone(), || output.extend_from_slice(&bytes[range]));
    Ok(())
}

fn output_map<A: Address>(mut guest: Guest<'_>, len: A) -> Result<A> {
    let state = guest.data();
    state.only_in_task("output_map", OfTask::Output)?;
    if state.output_file.is_some() || !state.output.is_empty() {
        bail!("output_map({len}): the task has a result already")
    }
    if len.get() as u64 > state.output_room() {
        return Err(HostError::output_limit(state.job.spec.output_bytes).into());
    }
    let refused = |error| HostError::fixed_limit(format!("cannot make a result of {len} bytes: {error}"));
    let len = len.get();
    let file = memory_file::output(len as u64).map_err(refused)?;
    let address = if len == 0 {
        EMPTY_WINDOW
    } else {
        let guard = guard(&guest);
        let area_len = len.next_multiple_of(WASM_PAGE) + 2 * guard;
        let area = area(&mut guest, "output_map", area_len, area_len)?;
        guest.data_mut().windows.map_output(area, guard, &file, len).map_err(refused)?
    };
    guest.data_mut().output_file = Some(MappedOutput { file, len: len as u64 });
    Ok(A::new(address))
}

fn fail<A: Address>(mut guest: Guest<'_>, address: A, len: A) -> Result<()> {
    let limit = guest.data().job.spec.log_bytes;
    let text = copy(&mut guest, "fail", format_args!("{address:#x}, {len}"), (address, len), limit as usize)?;
    guest.data_mut().failure = Some(String::from_utf8_lossy(&text).into_owned());
    Ok(())
}

fn log<A: Address>(mut guest: Guest<'_>, level: u32, address: A, len: A) -> Result<()> {
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
fn copy<A: Address>(
    guest: &mut Guest<'_>,
    call: &str,
    values: Arguments<'_>,
    (address, len): (A, A),
    most: usize,
) -> Result<Vec<u8>> {
    let memory = memory(guest, call)?;
    let bytes = memory.data(&*guest);
    match range(bytes.len(), address, len.get()) {
        Some(range) => {
            let range = range.start..range.end.min(range.start.saturating_add(most));
            Ok(guest.data().windows.host_reads(range.clone(), || bytes[range].to_vec()))
        }
        None => bail!("{call}({values}): these bytes do not lie in memory"),
    }
}
