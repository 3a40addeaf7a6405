//! Hostile guests, each run by the real binary: what it tries fails in the expected way, and no worker, no other task and
//! nothing of the user's is harmed.
//!
//! A guest is a file of `guests/`, which begins with what it tries and why that must fail; or it is made here, where it is huge or
//! malformed. A task of it acts as its item says: `attack` tries, `control` does the same thing in an allowed way, and
//! has to succeed.

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
