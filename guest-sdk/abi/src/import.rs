//! The imports of the contract: their names, what they do, and their types as data.

/// `() -> i64`: the position of the task's item in the job, from 0.
pub const TASK_INDEX: &str = "task_index";

/// `() -> i32`: the length of the task's argument in bytes.
pub const ARG_LEN: &str = "arg_len";

/// `(dst) -> ()`: copies the argument, all [`ARG_LEN`] bytes of it, to `dst`.
///
/// The argument is the item's text; for an item that is a file its path, for a piece of a file path and range.
/// Traps when the bytes do not fit into memory at `dst`.
pub const ARG_READ: &str = "arg_read";

/// `() -> i32`: how many inputs the task has.
///
/// A task's own file or piece is input 0, where the job's items are such; the job's shared inputs follow in the
/// order in which they were given. The inputs of a reduce task are the results that it merges, in order; shared inputs
/// are not counted then, and found by [`INPUT_FIND`] alone. A task on rows of a `.npy` file has the rows as input 0 and
/// the file's header as input 1.
pub const INPUT_COUNT: &str = "input_count";

/// `(name, len) -> i32`: the index of the input with that name, or [`NOT_FOUND`](crate::NOT_FOUND).
///
/// Traps when the name's bytes are not in memory.
pub const INPUT_FIND: &str = "input_find";

/// `(input) -> i64`: the length in bytes of the range that this task may see of an input.
///
/// For a piece of a file this is the piece's length, and offsets count from the piece's start. Traps when there is no
/// such input.
pub const INPUT_LEN: &str = "input_len";

/// `() -> i32`: whether the job's inputs are mapped copy on write: 1, or 0.
pub const INPUT_WRITABLE: &str = "input_writable";

/// `(input, offset, len) -> i32`: maps a range of an input read-only and returns its address.
///
/// The address is never 0. It agrees with the range's offset in the file modulo
/// [`WINDOW_GRANULE`](crate::WINDOW_GRANULE). Mapping the same range again gives the same address, and counts: the
/// window goes away when each of its maps was undone by an [`INPUT_UNMAP`]. A window of no bytes has an address behind
/// which there is nothing. All windows end with the task.
///
/// Traps when there is no such input, when the range does not lie within [`INPUT_LEN`], and when the memory's
/// maximum or the task's memory limit leaves no room. A store into a window ends the task, unless the job's inputs are
/// mapped copy on write: then it changes this window alone, windows count against the memory limit, and mapping a range again gives
/// another copy of it.
pub const INPUT_MAP: &str = "input_map";

/// `(address) -> ()`: undoes one [`INPUT_MAP`] or [`REGION_MAP`]; after the last one the window may not be touched any more.
///
/// The host may give the same addresses to a later window. Traps when no window begins at the address.
pub const INPUT_UNMAP: &str = "input_unmap";

/// `(address, len) -> ()`: appends a copy of these bytes to the task's result.
///
/// Traps when the bytes are not in memory or when the result grows over the output limit.
pub const OUTPUT_WRITE: &str = "output_write";

/// `(len) -> i32`: an area of `len` zero bytes, writable until the task returns, that becomes its result uncopied.
///
/// The address is never 0 and a multiple of [`WINDOW_GRANULE`](crate::WINDOW_GRANULE). A task calls it at most once and
/// then does not call [`OUTPUT_WRITE`]; either traps, as does a length over the output limit.
pub const OUTPUT_MAP: &str = "output_map";

/// `() -> i32`: how many regions of shared memory the task has.
pub const REGION_COUNT: &str = "region_count";

/// `(name, len) -> i32`: the index of the area with that name, of no name that of the task's slice, or [`NOT_FOUND`](crate::NOT_FOUND).
///
/// Traps when the name's bytes are not in memory.
pub const REGION_FIND: &str = "region_find";

/// `(region) -> i64`: the length in bytes of what this task may see of a region.
///
/// Traps when there is no such region.
pub const REGION_LEN: &str = "region_len";

/// `(region, offset, len) -> i32`: maps a range of a region for reading and writing and returns its address.
///
/// A region is either a slice that belongs to this task alone, always the first region where the job has slices, or an
/// area that other tasks write at the same time, to be touched with atomic instructions only. What is written stands in
/// the region's file, at the latest when the task has ended. The address, mapping a range again, [`INPUT_UNMAP`] and traps are as with
/// [`INPUT_MAP`]. Windows on overlapping ranges show the same bytes. Bytes before and behind a range, up to the page's
/// ends, may be readable and writable: those of the region are its own, others are nobody's and lost.
pub const REGION_MAP: &str = "region_map";

/// `(address, len) -> ()`: sets the message of a task that is about to return non-zero, or to trap.
///
/// A later call replaces the message. Traps when the bytes are not in memory.
pub const FAIL: &str = "fail";

/// `(level, address, len) -> ()`: one log line, attributed to the task; the level is a [`Level`](crate::Level).
///
/// Traps when the level is unknown or the bytes are not in memory.
pub const LOG: &str = "log";

/// The wasm types that the contract uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

/// One import: its name and wasm type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name within [`MODULE`](crate::MODULE).
    pub name: &'static str,
    /// The parameters' types, in order.
    pub params: &'static [ValueType],
    /// The result's type; at most one.
    pub results: &'static [ValueType],
}

/// Every import of the contract, in the order of the specification.
pub const IMPORTS: &[Import] = {
    use ValueType::{I32, I64};
    &[
        Import { name: TASK_INDEX, params: &[], results: &[I64] },
        Import { name: ARG_LEN, params: &[], results: &[I32] },
        Import { name: ARG_READ, params: &[I32], results: &[] },
        Import { name: INPUT_COUNT, params: &[], results: &[I32] },
        Import { name: INPUT_FIND, params: &[I32, I32], results: &[I32] },
        Import { name: INPUT_LEN, params: &[I32], results: &[I64] },
        Import { name: INPUT_WRITABLE, params: &[], results: &[I32] },
        Import { name: INPUT_MAP, params: &[I32, I64, I32], results: &[I32] },
        Import { name: INPUT_UNMAP, params: &[I32], results: &[] },
        Import { name: OUTPUT_WRITE, params: &[I32, I32], results: &[] },
        Import { name: OUTPUT_MAP, params: &[I32], results: &[I32] },
        Import { name: REGION_COUNT, params: &[], results: &[I32] },
        Import { name: REGION_FIND, params: &[I32, I32], results: &[I32] },
        Import { name: REGION_LEN, params: &[I32], results: &[I64] },
        Import { name: REGION_MAP, params: &[I32, I64, I32], results: &[I32] },
        Import { name: FAIL, params: &[I32, I32], results: &[] },
        Import { name: LOG, params: &[I32, I32, I32], results: &[] },
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
