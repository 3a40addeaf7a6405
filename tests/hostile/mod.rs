//! Hostile guests, each run by the real binary: what a guest tries must fail in the expected way, without harm to a worker, another
//! task or the user's system.
//!
//! A guest is a file in `guests/` that begins with a comment on what it tries and why that must fail; huge and malformed guests are
//! generated here. The item selects what a task does: `attack` tries, and `control` does the same thing in an allowed way and must
//! succeed.

mod abi;
mod backtraces;
mod components;
mod ends;
mod floods;
mod greedy;
mod huge;
mod inputs;
mod kit;
mod limits;
mod maps_over;
mod modules;
mod names;
mod process;
mod results;
mod slices;
mod start;
mod texts;
mod wasi;
mod wasm;
