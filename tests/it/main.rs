//! Integration tests, grouped by what they test: the command, the library, the documents and sources; and what hostile guests try.

mod cli;
mod docs;
#[path = "../hostile/mod.rs"]
mod hostile;
mod library;
mod support;
