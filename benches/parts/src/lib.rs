//! What a pool and a worker say to each other, compiled by itself: wrun's own files where they stand, as in `fuzz/`.
// Its files' own tests belong to wrun, and need more of it.
#![cfg(not(test))]
#![allow(dead_code, missing_docs, reason = "only what the benches reach is used, and its crate documents it")]

#[path = "../../../src/ipc/mod.rs"]
pub mod ipc;
#[path = "../../../src/sandbox.rs"]
mod sandbox;
#[path = "../../../src/status.rs"]
pub mod status;
#[path = "../../../fuzz/src/sys.rs"]
mod sys;

pub mod journey;

/// Stands for what is part of a job's description, which nothing here writes.
mod module {
    pub type Entry = ();
}
