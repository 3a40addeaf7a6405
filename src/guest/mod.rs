//! Everything that touches wasmtime at run time: a worker's engine, its jobs, instances, windows and imports.

mod abi;
mod argument;
#[cfg(test)]
mod atomics_tests;
mod bounded_reader;
mod conclude;
pub(crate) mod describe;
pub(crate) mod engine;
mod fault;
mod file_range;
mod files;
mod instance;
mod job;
mod limits;
mod lines;
mod place;
mod refusals;
mod result;
mod scalar;
mod state;
mod symbols;
mod trace;
mod wasi;
mod window;

pub(crate) use file_range::HUGE_PAGE;
pub(crate) use files::FileTable;
pub(crate) use instance::Guest;
pub(crate) use place::{answer_questions, this_thread_runs_guests};
pub(crate) use result::TaskResult;
