//! Output slices and shared memory, which the host maps for the task.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use wasmtime::component::{Resource, ResourceType, WasmList, WasmStr};
use wasmtime::{Result, bail};

use super::{Guest, Imports, list_len};
use crate::guest::host_error::HostError;
use crate::guest::imports::not_mapped;
use crate::guest::input_faults;
use crate::guest::state::State;
use crate::guest::window::{FileRange, HostMemory, WASM_PAGE};
use crate::ipc::wire::Mapped;

/// Slices are mapped in pieces of this many bytes, one at a time.
const PIECE: u64 = 1 << 20;

const NUMBER_BYTES: u64 = size_of::<u64>() as u64;

/// What the host has mapped of the task's regions.
#[derive(Debug, Default)]
pub(in crate::guest) struct HostRegions {
    memory: Option<HostMemory>,
    mapped: MappedRegions,
}

#[derive(Debug, Default)]
struct MappedRegions {
    /// The piece of the output slice that was used last: its number and its address.
    piece: Option<(u64, usize)>,
    /// The addresses of shared memories, as far as they are used.
    shared: Vec<Option<usize>>,
}

impl HostRegions {
    /// Forgets what was mapped: the task's windows are gone.
    pub fn forget(&mut self) {
        self.mapped.piece = None;
        self.mapped.shared.clear();
    }
}

pub(super) fn add_output_slice(imports: &mut Imports<'_>) -> Result<()> {
    imports.func_wrap("len", |guest: Guest<'_>, (): ()| Ok((slice_len(guest.data()),)))?;
    imports.func_wrap("read", read_slice)?;
    imports.func_wrap("write", write_slice)
}

fn slice_len(state: &State) -> u64 {
    state.slice.as_ref().map_or(0, |slice| slice.len)
}

fn read_slice(mut guest: Guest<'_>, (offset, len): (u64, u64)) -> Result<(Vec<u8>,)> {
    let state = guest.data_mut();
    let end = offset.saturating_add(len).min(slice_len(state));
    let mut bytes = Vec::with_capacity(list_len(state, end.saturating_sub(offset))?);
    let mut at = offset;
    while at < end {
        let (address, count) = part_of_slice(state, at, end - at)?;
        state.windows.read_for_host(address, count, &mut bytes);
        check_faults(state)?;
        at += count as u64;
    }
    Ok((bytes,))
}

fn write_slice(mut guest: Guest<'_>, (offset, bytes): (u64, WasmList<u8>)) -> Result<()> {
    let (len, slice) = (bytes.len(), slice_len(guest.data()));
    if offset.checked_add(len as u64).is_none_or(|end| end > slice) {
        match guest.data().slice {
            Some(_) => bail!("output-slice.write({offset}, {len} bytes): the slice has {slice} bytes"),
            None => bail!("output-slice.write({offset}, {len} bytes): this task has no output slice"),
        }
    }
    let mut done = 0;
    while done < len {
        let (address, count) = part_of_slice(guest.data_mut(), offset + done as u64, (len - done) as u64)?;
        let part = &bytes.as_le_slice(&guest)[done..done + count];
        guest.data().windows.write_for_host(address, part);
        check_faults(guest.data())?;
        done += count;
    }
    Ok(())
}

/// Maps the piece of the slice in which `offset` lies. Returns the address, and how many of these bytes the piece has from there on.
fn part_of_slice(state: &mut State, offset: u64, len: u64) -> Result<(usize, usize)> {
    let of = Mapped::Region(wrun_abi::SLICE);
    let (number, in_piece) = (offset / PIECE, offset % PIECE);
    let start = number * PIECE;
    let piece_len = PIECE.min(slice_len(state) - start);
    let address = match state.host_regions.mapped.piece {
        Some((mapped, address)) if mapped == number => address,
        last => {
            if let Some((_, address)) = last {
                unmap(state, address)?;
                state.host_regions.mapped.piece = None;
            }
            let address = map(state, of, start, piece_len as usize)?;
            state.host_regions.mapped.piece = Some((number, address));
            address
        }
    };
    let count = len.min(piece_len - in_piece);
    state.window_bytes.copied = state.window_bytes.copied.saturating_add(count);
    Ok((address + in_piece as usize, count as usize))
}

fn unmap(state: &mut State, address: usize) -> Result<()> {
    let end = state.windows.end_of(address);
    if let Some(fault) = end.and_then(|end| input_faults::truncated(state, end)) {
        return Err(HostError::Input(fault).into());
    }
    state.windows.unmap(address);
    Ok(())
}

/// Marks handles of shared memories, which are their positions among the job's.
struct Numbers;

pub(super) fn add_shared(imports: &mut Imports<'_>) -> Result<()> {
    imports.resource("numbers", ResourceType::host::<Numbers>(), |_, _| Ok(()))?;
    imports.func_wrap("find", |guest: Guest<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&guest)?;
        let found = guest.data().job.spec.shared_memories.iter().position(|(known, _)| *known == name);
        Ok((found.map(|memory| Resource::<Numbers>::new_own(memory as u32)),))
    })?;
    imports.func_wrap("[method]numbers.len", |guest: Guest<'_>, (numbers,): (Resource<Numbers>,)| {
        Ok((count(guest.data(), &numbers),))
    })?;
    imports.func_wrap("[method]numbers.load", |guest: Guest<'_>, (numbers, index): (Resource<Numbers>, u64)| {
        change(guest, "load", &numbers, index, |number| number.load(SeqCst))
    })?;
    imports.func_wrap("[method]numbers.store", |guest: Guest<'_>, (numbers, index, value): (_, u64, u64)| {
        change(guest, "store", &numbers, index, |number| number.store(value, SeqCst)).map(|_| ())
    })?;
    imports.func_wrap("[method]numbers.add", |guest: Guest<'_>, (numbers, index, value): (_, u64, u64)| {
        change(guest, "add", &numbers, index, |number| number.fetch_add(value, SeqCst))
    })?;
    imports.func_wrap("[method]numbers.swap", |guest: Guest<'_>, (numbers, index, value): (_, u64, u64)| {
        change(guest, "swap", &numbers, index, |number| number.swap(value, SeqCst))
    })?;
    imports.func_wrap(
        "[method]numbers.compare-exchange",
        |guest: Guest<'_>, (numbers, index, expected, new): (_, u64, u64, u64)| {
            change(guest, "compare-exchange", &numbers, index, |number| {
                number.compare_exchange(expected, new, SeqCst, SeqCst).unwrap_or_else(|found| found)
            })
        },
    )
}

fn count(state: &State, numbers: &Resource<Numbers>) -> u64 {
    state.job.shared_memories[numbers.rep() as usize].len / NUMBER_BYTES
}

/// Calls `change` with the number at `index`.
fn change<R>(
    mut guest: Guest<'_>,
    call: &str,
    numbers: &Resource<Numbers>,
    index: u64,
    change: impl FnOnce(&AtomicU64) -> R,
) -> Result<(R,)> {
    let state = guest.data_mut();
    let count = count(state, numbers);
    if index >= count {
        bail!("numbers.{call}({index}): the shared memory has {count} numbers")
    }
    let address = shared_memory(state, numbers.rep() as usize)? + (index * NUMBER_BYTES) as usize;
    let changed = state.windows.number_for_host(address, change);
    check_faults(state)?;
    Ok((changed,))
}

/// The address of a shared memory, which is mapped unless it was before.
fn shared_memory(state: &mut State, memory: usize) -> Result<usize> {
    if let Some(Some(address)) = state.host_regions.mapped.shared.get(memory) {
        return Ok(*address);
    }
    let region = u32::from(state.slice.is_some()) + memory as u32;
    let len = usize::try_from(state.job.shared_memories[memory].len)?;
    let address = map(state, Mapped::Region(region), 0, len)?;
    state.window_bytes.mapped = state.window_bytes.mapped.saturating_add(len as u64);
    let shared = &mut state.host_regions.mapped.shared;
    shared.resize(shared.len().max(memory + 1), None);
    shared[memory] = Some(address);
    Ok(address)
}

/// Maps a range that lies in the region.
fn map(state: &mut State, of: Mapped, offset: u64, len: usize) -> Result<usize> {
    if state.host_regions.memory.is_none() {
        let shared = state.job.shared_memories.iter().map(|memory| memory.len.next_multiple_of(WASM_PAGE as u64));
        // A piece of a slice may begin within a page.
        let bytes = shared.fold(PIECE + WASM_PAGE as u64, u64::saturating_add);
        let refused = |error| HostError::fixed_limit(format!("{len} bytes of its regions cannot be mapped: {error}"));
        let memory = HostMemory::new(usize::try_from(bytes)?).map_err(refused)?;
        state.host_regions.memory = Some(memory);
    }
    let access = state.access(of);
    let whole = state.mapped(of).expect("ranges are of regions that the task has").clone();
    let range = FileRange { file: &whole.file, offset: whole.offset + offset, len, of, view_offset: offset, access };
    let State { windows, host_regions: HostRegions { memory, .. }, .. } = state;
    let memory = memory.as_ref().expect("made above");
    windows
        .map_for_host(memory, &range)
        .map_err(|error| not_mapped(error, of, &whole.file, format_args!("{len} bytes of its regions")))
}

/// Ends a task whose access faulted: the rest of a file is not there any more.
fn check_faults(state: &State) -> Result<()> {
    match state.windows.recorded() {
        None => Ok(()),
        Some(_) => bail!("a file that the task uses has become shorter"),
    }
}
