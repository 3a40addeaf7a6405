//! What a pool reads of a worker, compiled by itself: wrun's own files where they stand, without wasmtime and all that
//! needs it. So the fuzzers build in seconds.
#![allow(dead_code, reason = "only what the fuzzers reach is used")]

#[path = "../../src/ipc/mod.rs"]
pub mod ipc;
#[path = "../../src/sandbox.rs"]
mod sandbox;
#[path = "../../src/status.rs"]
mod status;
mod sys;

/// Stands for what is part of a job's description, which only a pool writes.
mod module {
    pub type Entry = ();
}
