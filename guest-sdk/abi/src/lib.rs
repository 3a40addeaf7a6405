//! The contract between `wrun` and a WebAssembly task: names, types, codes and rules.
//!
//! Host and guests both use this crate, so they cannot disagree. It contains little more than constants and needs
//! neither an allocator nor `std`. Guests in Rust use the `wrun-guest` crate, which wraps all of this; guests in C
//! include `guest-sdk/c/wrun.h`; for any other language this page is the specification.
//!
//! ```
//! use wrun_abi::{IMPORTS, Level, MODULE, task_name};
//!
//! assert_eq!(task_name("wrun:task/count"), Some("count"));
//! assert!(MODULE == "wrun_v1" && IMPORTS.iter().any(|import| import.name == "input_map"));
//! assert_eq!(Level::Warn as i32, 2);
//! ```
//!
//! # What a task module looks like
//!
//! It exports a memory named [`MEMORY_EXPORT`] and, for each of its tasks, a function of type `() -> i32` whose name
//! is [`TASK_EXPORT_PREFIX`] followed by the task's name. The function returns [`TASK_OK`] for success and any other
//! number for failure. If the module exports [`INITIALIZE_EXPORT`], the host calls it once per instance, before
//! anything else.
//!
//! The smallest one, in WebAssembly's text format:
//!
//! ```text
//! (module
//!   (import "wrun_v1" "output_write" (func $write (param i32 i32)))
//!   (memory (export "memory") 1)
//!   (data (i32.const 0) "hello")
//!   (func (export "wrun:task/greet") (result i32)
//!     (call $write (i32.const 0) (i32.const 5))
//!     (i32.const 0)))
//! ```
//!
//! # Conventions
//!
//! All imports come from the module [`MODULE`] and use plain numbers. Addresses and lengths in memory are unsigned. They
//! are as wide as the memory's addresses: an `i32`, or an `i64` if the module exports a 64-bit memory. The table calls
//! that type `address`. Offsets and lengths of inputs and regions are unsigned 64-bit numbers in an `i64`.
//! Text is UTF-8. No import has an error code: a call with an address or length outside memory, an unknown index or an
//! impossible range traps with a message that names the call and the values.
//!
//! # The imports
//!
//! | import | wasm type |
//! |---|---|
//! | [`TASK_INDEX`](import::TASK_INDEX) | `() -> i64` |
//! | [`ARG_LEN`](import::ARG_LEN) | `() -> address` |
//! | [`ARG_READ`](import::ARG_READ) | `(dst address) -> ()` |
//! | [`INPUT_COUNT`](import::INPUT_COUNT) | `() -> i32` |
//! | [`INPUT_FIND`](import::INPUT_FIND) | `(name address, len address) -> i32` |
//! | [`INPUT_LEN`](import::INPUT_LEN) | `(input i32) -> i64` |
//! | [`INPUT_WRITABLE`](import::INPUT_WRITABLE) | `() -> i32` |
//! | [`INPUT_READ`](import::INPUT_READ) | `(input i32, offset i64, len address, dst address) -> ()` |
//! | [`INPUT_MAP`](import::INPUT_MAP) | `(input i32, offset i64, len address) -> address` |
//! | [`INPUT_MAP_AT`](import::INPUT_MAP_AT) | `(input i32, offset i64, len address, dst address) -> address` |
//! | [`INPUT_UNMAP`](import::INPUT_UNMAP) | `(address) -> ()` |
//! | [`OUTPUT_WRITE`](import::OUTPUT_WRITE) | `(address, len address) -> ()` |
//! | [`OUTPUT_MAP`](import::OUTPUT_MAP) | `(len address) -> address` |
//! | [`REGION_COUNT`](import::REGION_COUNT) | `() -> i32` |
//! | [`REGION_FIND`](import::REGION_FIND) | `(name address, len address) -> i32` |
//! | [`REGION_LEN`](import::REGION_LEN) | `(region i32) -> i64` |
//! | [`REGION_MAP`](import::REGION_MAP) | `(region i32, offset i64, len address) -> address` |
//! | [`REGION_MAP_AT`](import::REGION_MAP_AT) | `(region i32, offset i64, len address, dst address) -> address` |
//! | [`FAIL`](import::FAIL) | `(address, len address) -> ()` |
//! | [`LOG`](import::LOG) | `(level i32, address, len address) -> ()` |
//!
//! There is no call that copies to or from a region, as [`INPUT_READ`](import::INPUT_READ) does for inputs: a program whose
//! buffers lie anywhere maps a region a few pages at a time over one buffer and copies there.

#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod import;
mod level;

pub use import::{IMPORTS, Import, ValueType};
pub use level::{Level, UnknownLevel};

/// The import module's name; it carries the contract's version.
pub const MODULE: &str = "wrun_v1";

/// The contract's version, which is the number in [`MODULE`].
pub const VERSION: u32 = 1;

/// The prefix of a task export's name; the rest is the task's name.
pub const TASK_EXPORT_PREFIX: &str = "wrun:task/";

/// The prefixes that a task export may have. The second is for languages whose names of exports are plain identifiers. If a module
/// exports a task under both, the first is called.
pub const TASK_EXPORT_PREFIXES: [&str; 2] = [TASK_EXPORT_PREFIX, "wrun_task_"];

/// The name of the export that is the module's linear memory.
pub const MEMORY_EXPORT: &str = "memory";

/// The export that the host calls once per instance before anything else, if it exists.
///
/// It is the entry point of a WASI reactor, which runs the module's constructors.
pub const INITIALIZE_EXPORT: &str = "_initialize";

/// The export that the host calls once, before it takes the snapshot with which all instances begin, if it exists: the module's
/// initializer, a function without parameters and results.
///
/// It runs after [`INITIALIZE_EXPORT`], and what it leaves in memory and in globals is there for every task. It may call
/// [`import::FAIL`] and [`import::LOG`]; any other import of the contract is about a task, and traps.
///
/// The name is that of the pre-initializer Wizer.
pub const INITIALIZER_EXPORT: &str = "wizer-initialize";

/// What a task function returns when its result is complete.
pub const TASK_OK: i32 = 0;

/// What the SDKs return from a task function after calling [`import::FAIL`]; any non-zero number means the same.
pub const TASK_FAILED: i32 = 1;

/// What [`import::INPUT_FIND`] and [`import::REGION_FIND`] return when nothing has that name.
pub const NOT_FOUND: i32 = -1;

/// The index of the region that is the task's output slice, if the job has one; shared memories follow.
pub const SLICE: u32 = 0;

/// The unit of mapping, in bytes: a window's address and its offset in the *file* are congruent modulo this number.
///
/// A record that is aligned in the file is therefore aligned in memory. For a piece of a file, the offset in the file
/// is the start of the piece plus the offset that the task asked for.
pub const WINDOW_GRANULE: u64 = 4096;

/// The size of a wasm page, in bytes: [`import::INPUT_MAP_AT`] and [`import::REGION_MAP_AT`] map over whole ones.
pub const PAGE: u64 = 64 << 10;

/// The task's name if `export` is the name of a task export.
///
/// ```
/// assert_eq!(wrun_abi::task_name("wrun:task/count"), Some("count"));
/// assert_eq!(wrun_abi::task_name("wrun_task_count"), Some("count"));
/// assert_eq!(wrun_abi::task_name("memory"), None);
/// ```
pub fn task_name(export: &str) -> Option<&str> {
    let name = TASK_EXPORT_PREFIXES.iter().find_map(|prefix| export.strip_prefix(prefix));
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn module_name_carries_the_version() {
        assert_eq!(MODULE, std::format!("wrun_v{VERSION}"));
    }

    #[test]
    fn prefix_alone_is_no_task() {
        for prefix in TASK_EXPORT_PREFIXES {
            assert_eq!(task_name(prefix), None);
        }
    }
}
