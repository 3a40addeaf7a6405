//! What a [`wrun`](https://docs.rs/wrun) pool and its workers say to each other: rings of tasks and completions in shared memory,
//! messages with file descriptors on a socket, and the byte layouts of both. README.md beside this crate explains the protocol.
//!
//! This crate is a part of `wrun`, and changes with it: use `wrun`.

pub mod channel;
pub mod confinement;
pub mod entry;
mod fault;
#[cfg(any(test, feature = "test-support"))]
pub mod fuzz;
pub mod ring;
pub mod stack_trace;
mod status;
pub mod sys;
pub mod wire;

pub use status::{ParseStatusError, Status};

/// The hidden argument that makes a program a worker; the number of the pool's process follows it.
pub const WORKER_ROLE: &str = "worker";
