//! The stand-in for the host on native targets, one per thread, filled and emptied by `TestTask`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;

use wrun_abi::{Level, WINDOW_GRANULE};

/// What a test gives a task, and what the task has done so far.
#[derive(Default)]
pub(crate) struct Host {
    pub index: u64,
    pub arg: Vec<u8>,
    /// Name, bytes, and the offset in the file at which the input starts.
    pub inputs: Vec<(String, Vec<u8>, u64)>,
    /// Name and bytes; the output slice, which has no name, comes first.
    pub regions: Vec<(String, Memory)>,
    /// Whether inputs can be written.
    pub inputs_are_writable: bool,
    /// The writable windows of inputs.
    private: Vec<Memory>,
    pub output: Vec<u8>,
    pub mapped_output: Option<Memory>,
    pub error: Option<String>,
    pub log: Vec<(Level, String)>,
    windows: BTreeMap<(u32, u64, usize), (Memory, usize)>,
}

/// Zeroed memory whose first byte has a given address modulo the granule.
///
/// All access goes through the pointer that was taken from the vector once, because later references to the vector would
/// invalidate the pointers that tasks hold.
pub(crate) struct Memory {
    _memory: Vec<u8>,
    first: NonNull<u8>,
    len: usize,
}

impl Memory {
    pub fn new(residue: u64, len: usize) -> Memory {
        let granule = WINDOW_GRANULE as usize;
        let mut memory = vec![0; len + 2 * granule];
        let base = NonNull::new(memory.as_mut_ptr()).expect("a vector is never at address 0");
        let skip = (granule - base.addr().get() % granule) % granule + residue as usize % granule;
        // SAFETY: the vector is two granules longer than `len`, and `skip` is less than that.
        let first = unsafe { base.add(skip) };
        Memory { _memory: memory, first, len }
    }

    fn fill(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len, "more bytes than the memory has");
        // SAFETY: the memory has at least that many bytes, nobody else has its address yet, and `bytes` is elsewhere.
        unsafe { self.first.copy_from(NonNull::from(bytes).cast(), bytes.len()) };
    }

    /// The bytes, once the task that wrote them has ended.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: the vector is as long as `new` made it, and the task's references ended with the task.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }.to_vec()
    }
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Makes `host` this thread's host and returns the previous one.
pub(crate) fn install(host: Option<Host>) -> Option<Host> {
    HOST.replace(host)
}

fn with<R>(call: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with_borrow_mut(|host| {
        call(host.as_mut().expect("outside WebAssembly, tasks run only within `TestTask::run`"))
    })
}

/// The number of maps that the running task has not undone.
#[cfg(test)]
pub(crate) fn open_maps() -> usize {
    with(|host| host.windows.values().map(|(_, maps)| maps).sum())
}

pub(crate) fn task_index() -> u64 {
    with(|host| host.index)
}

pub(crate) fn arg() -> Vec<u8> {
    with(|host| host.arg.clone())
}

pub(crate) fn input_count() -> u32 {
    with(|host| host.inputs.len() as u32)
}

pub(crate) fn input_find(name: &str) -> Option<u32> {
    with(|host| host.inputs.iter().position(|input| input.0 == name)).map(|index| index as u32)
}

pub(crate) fn input_len(input: u32) -> u64 {
    with(|host| host.inputs[input as usize].1.len() as u64)
}

pub(crate) fn input_read(input: u32, offset: u64, to: &mut [u8]) {
    with(|host| to.copy_from_slice(&host.inputs[input as usize].1[offset as usize..][..to.len()]));
}

pub(crate) fn input_map(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    with(|host| {
        let (_, bytes, file_offset) = &host.inputs[input as usize];
        let bytes = &bytes[offset as usize..][..len];
        let (memory, maps) = host.windows.entry((input, offset, len)).or_insert_with(|| {
            let mut memory = Memory::new(file_offset + offset, len);
            memory.fill(bytes);
            (memory, 0)
        });
        *maps += 1;
        memory.first
    })
}

pub(crate) fn input_writable() -> bool {
    with(|host| host.inputs_are_writable)
}

pub(crate) fn input_map_private(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    with(|host| {
        let (_, bytes, file_offset) = &host.inputs[input as usize];
        let mut memory = Memory::new(file_offset + offset, len);
        memory.fill(&bytes[offset as usize..][..len]);
        host.private.push(memory);
        host.private[host.private.len() - 1].first
    })
}

/// # Safety
///
/// No reference into the window is used afterwards.
pub(crate) unsafe fn input_unmap(address: NonNull<u8>) {
    with(|host| {
        if let Some(index) = host.private.iter().position(|memory| memory.first == address) {
            host.private.remove(index);
            return;
        }
        let is_in =
            |memory: &Memory| (0..memory.len).contains(&address.addr().get().wrapping_sub(memory.first.addr().get()));
        if host.regions.iter().any(|(_, memory)| is_in(memory)) {
            return;
        }
        let range = host.windows.iter().find(|(_, (memory, _))| memory.first == address).map(|(range, _)| *range);
        let range = range.expect("only mapped windows are unmapped");
        let maps = &mut host.windows.get_mut(&range).expect("it was just found").1;
        *maps -= 1;
        if *maps == 0 {
            host.windows.remove(&range);
        }
    });
}

pub(crate) fn region_find(name: &str) -> Option<u32> {
    with(|host| host.regions.iter().position(|region| region.0 == name)).map(|index| index as u32)
}

pub(crate) fn region_len(region: u32) -> u64 {
    with(|host| host.regions[region as usize].1.len as u64)
}

pub(crate) fn region_map(region: u32, offset: u64, len: usize) -> NonNull<u8> {
    with(|host| {
        let memory = &host.regions[region as usize].1;
        assert!(offset as usize + len <= memory.len, "the range is not within the region");
        // SAFETY: within the region, as was just checked.
        unsafe { memory.first.add(offset as usize) }
    })
}

pub(crate) fn output_write(bytes: &[u8]) {
    with(|host| {
        assert!(host.mapped_output.is_none(), "output_write after output_map");
        host.output.extend_from_slice(bytes);
    });
}

pub(crate) fn output_map(len: usize) -> NonNull<u8> {
    with(|host| {
        assert!(host.mapped_output.is_none() && host.output.is_empty(), "output_map after another result");
        host.mapped_output.insert(Memory::new(0, len)).first
    })
}

pub(crate) fn fail(message: &str) {
    with(|host| host.error = Some(message.to_owned()));
}

pub(crate) fn log(level: i32, line: &str) {
    let level = Level::try_from(level).expect("the SDK only sends levels that exist");
    with(|host| host.log.push((level, line.to_owned())));
}

/// Nothing to do: constructors have run, and the test harness handles panics.
pub(crate) fn prepare_instance() {}
