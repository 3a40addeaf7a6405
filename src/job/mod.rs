//! What a pool runs: a [`Job`](crate::Job), its [`Task`]s, and their [`Limits`], as plain data.
//!
//! The crate's root exports what most jobs need; the rest is here.

pub(crate) mod admission;
pub(crate) mod argument;
pub(crate) mod failure;
pub(crate) mod grants;
pub(crate) mod limits;
mod modes;
pub(crate) mod output_file;
pub(crate) mod request;
pub(crate) mod row_tasks;
pub(crate) mod shared_memory;
pub(crate) mod source;
pub(crate) mod task;
pub(crate) mod worker_count;
mod writable_file;

pub use admission::{Admission, Measure, Shortage};
pub(crate) use argument::{Argument, KnownArguments};
pub use failure::Halted;
pub(crate) use failure::{Halt, Retries};
pub(crate) use grants::Grants;
pub(crate) use limits::Limits;
pub use limits::TaskTime;
pub use modes::{InputMode, Instances, UnknownImports};
pub use output_file::FailedSlice;
pub(crate) use output_file::{OutputFile, Reservation};
pub use row_tasks::NpyPieces;
pub(crate) use shared_memory::SharedMemory;
pub(crate) use task::Task;
pub(crate) use worker_count::Jobs;

pub use crate::sys::machine::Machine;
