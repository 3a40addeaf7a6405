//! Integration tests, grouped by what they test: the command, the library, documents and sources, and attacks by hostile guests.

mod cli;
mod docs;
#[path = "../hostile/mod.rs"]
mod hostile;
mod library;
mod support;
