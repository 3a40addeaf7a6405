//! How a pool and its workers talk; README.md beside this file explains the protocol.

pub mod channel;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod place;
pub mod ring;
pub mod wire;

/// The hidden argument that makes a program a worker; the number of the pool's process follows it.
pub const WORKER_ROLE: &str = "worker";
