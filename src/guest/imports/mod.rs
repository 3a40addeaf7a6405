//! The functions that guests import.

mod address;
mod args;
mod contract;
mod grow;
mod map;
mod poll;
mod preview0;
mod read;
mod refusals;
mod wasi;

pub(super) use contract::add_to_linker as add_contract;
#[cfg(test)]
pub(super) use grow::grow;
pub(super) use map::{not_mapped, truncated, unreadable};
pub(super) use preview0::add_to_linker as add_preview0;
pub(super) use refusals::add_to_linker as refuse_wasi;
pub(super) use wasi::{add_to_linker as add_wasi, enter_runtime, start_file_thread, wasi};
