//! The protocol between a pool and a worker, compiled on its own from wrun's source files, as in `fuzz/`.
// The files' own tests belong to wrun, and need more of it.
#![cfg(not(test))]
#![allow(dead_code, missing_docs, reason = "the benchmarks use only part of it, and wrun documents it")]

#[path = "../../../src/ipc/mod.rs"]
pub mod ipc;
#[path = "../../../src/sandbox.rs"]
mod sandbox;
#[path = "../../../src/status.rs"]
pub mod status;
#[path = "../../../fuzz/src/sys.rs"]
mod sys;

pub mod journey;

/// A stand-in for part of a job's description, which nothing here writes.
mod module {
    pub type Entry = ();
}
