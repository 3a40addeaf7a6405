//! The state behind a task's WASI calls: clock, random numbers, standard streams, files of its own and in granted directories.
//!
//! ```text
//! preview1   each call ──▶ own_files, listing_calls, poll_call   about descriptors
//!                      ──▶ open_call, path_calls ──▶ own_paths   about paths
//!                      ──▶ wasmtime-wasi's context               about everything else
//! ```

mod clock;
mod context;
mod descriptors;
mod listing_calls;
mod listings;
mod lookups;
mod open_call;
mod own_files;
#[cfg(test)]
mod own_files_fuzz;
mod own_paths;
mod path_calls;
mod poll_call;
mod preview1;
mod refused;
mod streams;
mod target;

pub(super) use clock::{TaskClock, Wakening};
pub(super) use context::{Wasi, WasiSettings, context};
pub(super) use lookups::Lookups;
pub(super) use refused::{Refused, Said, Sees, Words};
