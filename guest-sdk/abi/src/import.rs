//! The contract's imports: their names, what they do, and their types as data.

/// `() -> i64`: the position of the task's item in the job, from 0.
pub const TASK_INDEX: &str = "task_index";

/// `() -> address`: the length of the task's argument in bytes.
pub const ARG_LEN: &str = "arg_len";

/// `(dst) -> ()`: copies the whole argument ([`ARG_LEN`] bytes) to `dst`.
///
/// The argument is the item's text: for a file its path, for a piece of a file its path and range.
/// Traps if the bytes do not fit into memory at `dst`.
pub const ARG_READ: &str = "arg_read";

/// `() -> i32`: the number of inputs that the task has.
///
/// If the job's items are files or pieces of files, the task's own one is input 0. The job's shared inputs follow in the
/// order in which they were given. The inputs of a reduce task are the results that it merges, in order; shared inputs
/// are then not counted and can only be found with [`INPUT_FIND`]. A task on rows of a `.npy` file has the rows as
/// input 0 and the file's header as input 1.
pub const INPUT_COUNT: &str = "input_count";

/// `(name, len) -> i32`: the index of the input with that name, or [`NOT_FOUND`](crate::NOT_FOUND).
///
/// Traps if the name's bytes are outside memory.
pub const INPUT_FIND: &str = "input_find";

/// `(input) -> i64`: the length in bytes of the part of an input that this task can see.
///
/// For a piece of a file this is the piece's length, and offsets count from the start of the piece. Traps if there is no
/// such input.
pub const INPUT_LEN: &str = "input_len";

/// `() -> i32`: 1 if the job's inputs are mapped copy-on-write, otherwise 0.
pub const INPUT_WRITABLE: &str = "input_writable";

/// `(input, offset, len, dst) -> ()`: copies a range of an input to `dst`.
///
/// For programs that read an input piece by piece into their own buffer, and for languages whose allocator assumes that
/// all memory is its own, and so would overwrite a window of [`INPUT_MAP`]. Traps if there is no such input, if the
/// range is not within [`INPUT_LEN`], or if the bytes do not fit into memory at `dst`. A file that has become too short
/// ends the task as it does for a window.
pub const INPUT_READ: &str = "input_read";

/// `(input, offset, len) -> address`: maps a range of an input read-only and returns its address.
///
/// The window takes pages at the end of the memory, which grows for it: an allocator of the guest that takes all memory
/// for its own must use [`INPUT_READ`] or [`INPUT_MAP_AT`] instead.
///
/// The address is never 0. It is congruent to the range's offset in the file modulo
/// [`WINDOW_GRANULE`](crate::WINDOW_GRANULE). Mapping the same range again returns the same address and is counted: the
/// window stays until there have been as many calls to [`INPUT_UNMAP`]. An empty window has an address at which nothing
/// is mapped. All windows end with the task.
///
/// Traps if there is no such input, if the range is not within [`INPUT_LEN`], or if the memory's maximum or the task's
/// memory limit leaves no room. A store into a window ends the task, unless the job's inputs are mapped copy-on-write:
/// then the store changes this window alone, windows count against the memory limit, and mapping a range again gives
/// another copy of it.
pub const INPUT_MAP: &str = "input_map";

/// `(input, offset, len, dst) -> address`: maps a range of an input over memory of the guest's own and returns its address.
///
/// The window covers whole wasm pages ([`PAGE`](crate::PAGE)) from `dst` on, a multiple of that. The range begins at
/// `dst` plus its offset in the *file* modulo [`WINDOW_GRANULE`](crate::WINDOW_GRANULE), which is the address that is
/// returned; so `len` bytes and up to `WINDOW_GRANULE - 1` more need room. The other bytes of the covered pages read as
/// zeros. What they held before is lost. [`INPUT_UNMAP`] makes them zeroed ordinary memory again, as the end of the task
/// does in an instance that is reused. Each call makes a window of its own, and windows do not overlap. An empty window
/// covers nothing and has an address at which nothing is mapped.
///
/// Traps if there is no such input, if the range is not within [`INPUT_LEN`], or if the covered pages are not memory of
/// the guest's own: beyond the end of memory, in the first wasm page, where the module's data segments lie, or where the
/// host has mapped something already. A store into the covered pages ends the task, unless the job's inputs are mapped
/// copy-on-write: then a store into the window changes this window alone. As the guest had the memory before, the window
/// does not count against the memory limit.
pub const INPUT_MAP_AT: &str = "input_map_at";

/// `(address) -> ()`: undoes one [`INPUT_MAP`], [`INPUT_MAP_AT`], [`REGION_MAP`] or [`REGION_MAP_AT`]; after the last one
/// for a window it must not be accessed.
///
/// The host may reuse the addresses for a later window; memory that was the guest's before is the guest's again, zeroed.
/// Traps if no window begins at the address.
pub const INPUT_UNMAP: &str = "input_unmap";

/// `(address, len) -> ()`: appends a copy of these bytes to the task's result.
///
/// Traps if the bytes are outside memory or the result exceeds the output limit.
pub const OUTPUT_WRITE: &str = "output_write";

/// `(len) -> address`: returns a buffer of `len` zero bytes that becomes the task's result without a copy.
///
/// The buffer is writable until the task returns. Its address is never 0 and is a multiple of
/// [`WINDOW_GRANULE`](crate::WINDOW_GRANULE). A task calls this at most once, and not together with [`OUTPUT_WRITE`]:
/// a second call, a mixture of both, and a length over the output limit trap.
pub const OUTPUT_MAP: &str = "output_map";

/// `() -> i32`: the number of regions that the task has: its output slice, if the job has one, and shared memories.
pub const REGION_COUNT: &str = "region_count";

/// `(name, len) -> i32`: the index of the shared memory with that name, or [`NOT_FOUND`](crate::NOT_FOUND).
///
/// An empty name finds the task's output slice. Traps if the name's bytes are outside memory.
pub const REGION_FIND: &str = "region_find";

/// `(region) -> i64`: the length in bytes of the part of a region that this task can see.
///
/// Traps if there is no such region.
pub const REGION_LEN: &str = "region_len";

/// `(region, offset, len) -> address`: maps a range of a region for reading and writing and returns its address.
///
/// A region is one of two things. An output slice belongs to this task alone; it is always the first region, if the job
/// has one. A shared memory is written by other tasks at the same time and must be accessed with atomic instructions
/// only. What is written is in the region's file at the latest when the task has ended. The address, mapping a range
/// again, [`INPUT_UNMAP`] and traps are as for [`INPUT_MAP`]. Windows of overlapping ranges show the same bytes. Bytes
/// before and after a range, up to the page boundaries, may be readable and writable: those within the region are the
/// region's, all others belong to nobody, and what is written there is lost.
pub const REGION_MAP: &str = "region_map";

/// `(region, offset, len, dst) -> address`: maps a range of a region for reading and writing over memory of the guest's
/// own and returns its address.
///
/// The address, the covered pages and traps are as for [`INPUT_MAP_AT`], all else is as for [`REGION_MAP`]. After
/// [`INPUT_UNMAP`] the bytes that were written are in the region, and the covered pages are zeroed ordinary memory.
pub const REGION_MAP_AT: &str = "region_map_at";

/// `(address, len) -> ()`: sets the error message of a task that is about to return a non-zero number or to trap.
///
/// A later call replaces the message. Traps if the bytes are outside memory.
pub const FAIL: &str = "fail";

/// `(level, address, len) -> ()`: writes one log line, attributed to the task; the level is a [`Level`](crate::Level).
///
/// Traps if the level is unknown or the bytes are outside memory.
pub const LOG: &str = "log";

/// The wasm types that the contract uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// An address or a length in memory: `I64` if the module's memory is 64-bit, otherwise `I32`.
    Address,
}

/// One import: its name and wasm type. [`IMPORTS`] lists them all.
///
/// ```
/// use wrun_abi::ValueType::{Address, I32, I64};
///
/// let map = wrun_abi::IMPORTS.iter().find(|import| import.name == "input_map").unwrap();
/// assert_eq!((map.params, map.results), (&[I32, I64, Address][..], &[Address][..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// The name within [`MODULE`](crate::MODULE).
    pub name: &'static str,
    /// The types of the parameters, in order.
    pub params: &'static [ValueType],
    /// The type of the result, if there is one; never more than one.
    pub results: &'static [ValueType],
}

/// Every import of the contract, in the order of the specification.
pub const IMPORTS: &[Import] = {
    use ValueType::{Address, I32, I64};
    &[
        Import { name: TASK_INDEX, params: &[], results: &[I64] },
        Import { name: ARG_LEN, params: &[], results: &[Address] },
        Import { name: ARG_READ, params: &[Address], results: &[] },
        Import { name: INPUT_COUNT, params: &[], results: &[I32] },
        Import { name: INPUT_FIND, params: &[Address, Address], results: &[I32] },
        Import { name: INPUT_LEN, params: &[I32], results: &[I64] },
        Import { name: INPUT_WRITABLE, params: &[], results: &[I32] },
        Import { name: INPUT_READ, params: &[I32, I64, Address, Address], results: &[] },
        Import { name: INPUT_MAP, params: &[I32, I64, Address], results: &[Address] },
        Import { name: INPUT_MAP_AT, params: &[I32, I64, Address, Address], results: &[Address] },
        Import { name: INPUT_UNMAP, params: &[Address], results: &[] },
        Import { name: OUTPUT_WRITE, params: &[Address, Address], results: &[] },
        Import { name: OUTPUT_MAP, params: &[Address], results: &[Address] },
        Import { name: REGION_COUNT, params: &[], results: &[I32] },
        Import { name: REGION_FIND, params: &[Address, Address], results: &[I32] },
        Import { name: REGION_LEN, params: &[I32], results: &[I64] },
        Import { name: REGION_MAP, params: &[I32, I64, Address], results: &[Address] },
        Import { name: REGION_MAP_AT, params: &[I32, I64, Address, Address], results: &[Address] },
        Import { name: FAIL, params: &[Address, Address], results: &[] },
        Import { name: LOG, params: &[I32, Address, Address], results: &[] },
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, import) in IMPORTS.iter().enumerate() {
            assert!(IMPORTS[..index].iter().all(|other| other.name != import.name), "{} twice", import.name);
        }
    }
}
