//! Hostile guests, each run by the real binary: what a guest tries must fail in the expected way, without harm to a worker, another
//! task or anything of the user's.
//!
//! A guest is a file in `guests/`, which begins with what it tries and why that must fail; guests that are huge or malformed are made
//! here. A task acts as its item says: `attack` tries, and `control` does the same thing in an allowed way and must succeed.

mod abi;
mod ends;
mod floods;
mod huge;
mod inputs;
mod kit;
mod limits;
mod modules;
mod names;
mod process;
mod results;
mod slices;
mod start;
mod texts;
mod wasi;
mod wasm;
