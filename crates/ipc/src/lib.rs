//! The protocol between a [`wrun`](https://docs.rs/wrun) pool and its workers: rings of tasks and completions in shared memory, messages
//! with file descriptors on a socket, and the byte layouts of both. This crate's README.md explains it.
//!
//! This crate is a part of `wrun` and changes with it: use `wrun` instead.

pub mod channel;
pub mod confinement;
pub mod entry;
mod failure;
mod fault;
mod function;
#[cfg(any(test, feature = "test-support"))]
pub mod fuzz;
mod job_spec;
mod layout;
mod range;
pub mod ring;
mod setting;
pub mod stack_trace;
mod status;
pub mod sys;
pub mod wire;

pub use setting::Setting;
pub use status::{ParseStatusError, Status};

/// The hidden argument that makes a program a worker; the process id of the pool follows it.
pub const WORKER_ROLE: &str = "worker";
