//! Text for standard output that is not a task's result.

use std::io::{self, Write};

use anyhow::Context;

/// Writes all of `text`.
pub fn to_stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// What came of writing to standard output. A reader that does not want all of it is no error.
pub fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context(STDOUT),
        _ => Ok(()),
    }
}

/// What cannot be written to, in messages.
pub const STDOUT: &str = "cannot write to standard output";
