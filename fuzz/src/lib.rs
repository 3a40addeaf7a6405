//! The code that reads a worker's messages in a pool, compiled on its own from wrun's source files, without wasmtime. So the
//! fuzzers build in seconds.
#![allow(dead_code, reason = "the fuzzers use only part of it")]

#[path = "../../src/ipc/mod.rs"]
pub mod ipc;
#[path = "../../src/sandbox.rs"]
mod sandbox;
#[path = "../../src/status.rs"]
mod status;
mod sys;

/// A stand-in for part of a job's description, which only a pool writes.
mod module {
    pub type Entry = ();
}
