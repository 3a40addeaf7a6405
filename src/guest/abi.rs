//! The imports of the guest contract (`wrun_abi`), version 1.
//!
//! A call with an impossible argument traps with a message that names the call and the values.

use std::fmt::Arguments;
use std::fs::File;

use wasmtime::{Caller, Extern, Linker, Memory, Result, bail, format_err};
use wrun_abi::import;

use super::engine::MAX_TABLE_ELEMENTS;
use super::file_range::{Access, FileRange};
use super::files::GuestInput;
use super::job::LoadedJob;
use super::limits::Usage;
use super::state::State;
use super::window::{self, MapError, Recorded, WASM_PAGE};
use crate::ipc::wire::{InputFault, InputFaultKind, InputRange, Mapped, WindowBytes};
use crate::sys::memory_file;

type Guest<'a> = Caller<'a, Box<State>>;

/// An end of the task that is not the guest's own trap; the error type by which imports say so.
#[derive(Debug)]
pub(super) enum Stop {
    /// More than allowed.
    Limit(String),
    /// The file behind an input changed or cannot be read.
    Input(InputFault),
}

impl Stop {
    /// The end of a task that wrote more result than allowed.
    pub fn output_limit(limit_bytes: u64) -> Stop {
        Stop::Limit(format!("its result is longer than the limit of {limit_bytes} bytes; raise it with --max-output"))
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Limit(message) => f.write_str(message),
            Stop::Input(fault) => write!(f, "{fault:?}"),
        }
    }
}

impl std::error::Error for Stop {}

/// Windows that a task may have at a time.
const MAX_WINDOWS: usize = 4096;

/// What `input_map` gives for an empty range: an address that is no null pointer, with nothing behind it. No window
/// begins there: none begins in the first wasm page.
const EMPTY_WINDOW: u32 = 4096;

/// Defines all imports of the contract.
pub(super) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
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
    let found = find(&mut guest, "region_find", (name, len), |job| &job.spec.areas)?;
    if len == 0 && guest.data().slice.is_some() {
        return Ok(wrun_abi::SLICE as i32);
    }
    Ok(found.map_or(wrun_abi::NOT_FOUND, |index| (usize::from(guest.data().slice.is_some()) + index) as i32))
}

/// Looks a name in memory up in a list of the job's.
fn find(
    guest: &mut Guest<'_>,
    call: &str,
    (name, len): (u32, u32),
    list: impl Fn(&LoadedJob) -> &[(String, InputRange)],
) -> Result<Option<usize>> {
    // One byte more than the longest name is enough to differ from all.
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
        0 => "this task has no regions: use --out or --shared".into(),
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

/// Maps a range that lies within `whole`, and gives its address.
fn map(guest: &mut Guest<'_>, call: &str, of: Mapped, whole: &GuestInput, (offset, len): (u64, u32)) -> Result<u32> {
    if len == 0 {
        return Ok(EMPTY_WINDOW);
    }
    let state = guest.data_mut();
    let access = state.access(of);
    // Each copy that may be written is by itself.
    if access != Access::CopyOnWrite
        && let Some((address, private_bytes)) = state.windows.find(of, offset, len as usize)
    {
        return count_window(state, private_bytes).map(|()| address as u32);
    }
    let GuestInput { file, offset: start, .. } = whole;
    let range = FileRange { file, offset: start + offset, len: len as usize, of, view_offset: offset, access };
    if state.windows.count() >= MAX_WINDOWS && !state.windows.free_unused() {
        let message = format!("it has {MAX_WINDOWS} windows at a time, which is the limit; give some back");
        return Err(Stop::Limit(message).into());
    }
    count_window(state, range.private_bytes())?;
    let memory = memory(guest, call)?;
    let wanted = range.area_len_at(window::next_start(guest, memory));
    let area = area(guest, call, wanted, range.area_len())?;
    let state = guest.data_mut();
    match state.windows.map(area, &range) {
        Ok(address) => {
            let WindowBytes { mapped, copied } = range.bytes();
            state.window_bytes.mapped = state.window_bytes.mapped.saturating_add(mapped);
            state.window_bytes.copied = state.window_bytes.copied.saturating_add(copied);
            Ok(address as u32)
        }
        Err(MapError::Truncated) => Err(file_changed(of, file)),
        Err(MapError::Unreadable { offset }) => {
            Err(Stop::Input(InputFault { of, kind: InputFaultKind::Unreadable { offset } }).into())
        }
        Err(MapError::System(error)) => {
            Err(Stop::Limit(format!("{call}: {len} bytes cannot be mapped: {error}")).into())
        }
    }
}

/// Counts a window's own memory against the task's limit.
fn count_window(state: &mut State, private_bytes: u64) -> Result<()> {
    match state.usage.add_window(private_bytes) {
        true => Ok(()),
        false => Err(Stop::Limit(memory_limit(&state.usage).unwrap_or_default()).into()),
    }
}

/// The fault of a file that is too short now for a range that the task has seen up to `end` of its view. Behind the end of a file,
/// but in its last page, a mapping reads as zeros without any fault.
pub(super) fn truncated(state: &State, (of, end): (Mapped, u64)) -> Option<InputFault> {
    let range = state.mapped(of)?;
    if range.immutable {
        return None;
    }
    let file_len = memory_file::len(&range.file).unwrap_or(0);
    (file_len < range.offset + end).then_some(InputFault { of, kind: InputFaultKind::Truncated { file_len } })
}

fn file_changed(of: Mapped, file: &File) -> wasmtime::Error {
    let file_len = memory_file::len(file).unwrap_or(0);
    Stop::Input(InputFault { of, kind: InputFaultKind::Truncated { file_len } }).into()
}

/// Takes `wanted` bytes of linear memory out of the guest's use, or `len` where there are not so many: from those that were in
/// use before, or by growing it.
fn area(guest: &mut Guest<'_>, call: &str, wanted: usize, len: usize) -> Result<usize> {
    let memory = memory(guest, call)?;
    loop {
        let mut take = |len| guest.data_mut().windows.take_free(len).or_else(|| window::grow(guest, memory, len));
        if let Some(index) = take(wanted).or_else(|| take(len)) {
            return Ok(index);
        }
        if !guest.data_mut().windows.free_unused() {
            return Err(no_room(guest, memory, call, len).into());
        }
    }
}

fn no_room(guest: &Guest<'_>, memory: Memory, call: &str, len: usize) -> Stop {
    let size = memory.data_size(guest);
    let declared = memory.ty(guest).maximum().map(|pages| pages * WASM_PAGE as u64);
    Stop::Limit(match declared {
        Some(maximum) if maximum < 1 << 32 => format!(
            "{call}: no room for a window of {len} bytes: the module declares at most {maximum} bytes of memory and uses {size}; \
             build it with a larger maximum, or map smaller ranges"
        ),
        _ => format!(
            "{call}: no room for a window of {len} bytes: {size} bytes of the 4 GiB that 32-bit addresses reach are in use; \
             map smaller ranges one after another"
        ),
    })
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
        return Err(Stop::Input(fault).into());
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
        return Err(Stop::output_limit(state.job.spec.output_bytes).into());
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
        return Err(Stop::output_limit(state.job.spec.output_bytes).into());
    }
    let refused = |error| Stop::Limit(format!("cannot make a result of {len} bytes: {error}"));
    let file = memory_file::output(u64::from(len)).map_err(refused)?;
    let address = if len == 0 {
        EMPTY_WINDOW as usize
    } else {
        let area_len = (len as usize).next_multiple_of(WASM_PAGE);
        let area = area(&mut guest, "output_map", area_len, area_len)?;
        guest.data_mut().windows.map_output(area, &file, len as usize).map_err(refused)?
    };
    guest.data_mut().output_file = Some((file, u64::from(len)));
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

fn memory(guest: &mut Guest<'_>, call: &str) -> Result<Memory> {
    if let Some(memory) = guest.data().memory {
        return Ok(memory);
    }
    // A start function may call imports before the instance is known.
    match guest.get_export(wrun_abi::MEMORY_EXPORT) {
        Some(Extern::Memory(memory)) => {
            guest.data_mut().memory = Some(memory);
            Ok(memory)
        }
        _ => Err(format_err!("{call}: the module exports no memory named `memory`")),
    }
}

/// Copies at most `most` of the `len` bytes at `address`, all of which must lie in memory; `values` are those of the call. They may
/// lie in a window of a file that changes meanwhile, so nothing is concluded from them before they are copied.
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

fn range(memory_len: usize, address: u32, len: usize) -> Option<std::ops::Range<usize>> {
    let start = address as usize;
    let end = start.checked_add(len)?;
    (end <= memory_len).then_some(start..end)
}

/// The end that a recorded fault means for its task; `None` where it is the guest's own mistake, a trap.
pub(super) fn fault_stop(state: &State, recorded: Recorded) -> Option<InputFault> {
    let (of, kind) = match recorded {
        Recorded::Unmapped | Recorded::NoMemory | Recorded::MemoryLimit => return None,
        Recorded::Write { of, offset } => (of, InputFaultKind::Write { offset }),
        Recorded::NoPage { of, offset } => {
            let truncated = state.mapped(of).and_then(|range| {
                let file_len = memory_file::len(&range.file).ok()?;
                (file_len < range.offset + range.len).then_some(InputFaultKind::Truncated { file_len })
            });
            (of, truncated.unwrap_or(InputFaultKind::Unreadable { offset }))
        }
    };
    Some(InputFault { of, kind })
}

/// The text for a task that was refused memory; `None` where it was not.
pub(super) fn memory_limit(usage: &Usage) -> Option<String> {
    if let Some(elements) = usage.refused_elements() {
        return Some(format!("it needs a table of {elements} elements, and a table has {MAX_TABLE_ELEMENTS} at most"));
    }
    let (wanted, limit) = usage.refused()?;
    Some(format!("it needs {wanted} bytes of memory, and the limit is {limit} bytes; raise it with --memory"))
}
