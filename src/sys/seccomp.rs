//! Seccomp filters, from their description as JSON.
//!
//! Sources: seccomp(2); the `seccompiler` crate's documentation for the format.

use std::io;

use seccompiler::{BpfMap, Error, apply_filter_all_threads, compile_from_json};

/// Applies the filter with that name to all threads of this process, for good.
///
/// # Errors
///
/// Where the kernel has no seccomp, or the description is wrong.
pub fn apply(filters: &str, name: &str) -> io::Result<()> {
    let filters = compile(filters)?;
    let filter = filters.get(name).ok_or_else(|| io::Error::other(format!("there is no filter {name}")))?;
    apply_filter_all_threads(filter).map_err(|error| match error {
        Error::Prctl(error) | Error::Seccomp(error) => error,
        other => io::Error::other(other),
    })
}

/// Compiles all filters for this machine.
pub fn compile(filters: &str) -> io::Result<BpfMap> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    compile_from_json(filters.as_bytes(), arch).map_err(io::Error::other)
}
