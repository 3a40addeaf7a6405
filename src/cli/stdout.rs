//! Text on standard output that is not a task's result.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;

use crate::report::outlet::Outlet;

/// The context of errors while writing to standard output.
pub const CANNOT_WRITE: &str = "cannot write to standard output";

/// Writes all of `text`.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    check(open().and_then(|mut stdout| stdout.write_all(text.as_ref())))
}

/// Standard output without a buffer. Unlike the standard library's, it does not ignore that it was closed (`EBADF`).
pub fn open() -> io::Result<Outlet> {
    Ok(Outlet::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

/// Gives the error of a write to standard output, unless its reader has closed it, which is not an error.
pub fn check(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context(CANNOT_WRITE),
        _ => Ok(()),
    }
}
