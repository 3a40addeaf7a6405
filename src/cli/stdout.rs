//! Text on standard output that is not a task's result.

use std::io::{self, Write};

use anyhow::Context;

/// The context of errors while writing to standard output.
pub const CANNOT_WRITE: &str = "cannot write to standard output";

/// Writes all of `text`.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    check(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Gives the error of a write to standard output, unless its reader has closed it, which is not an error.
pub fn check(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context(CANNOT_WRITE),
        _ => Ok(()),
    }
}
