//! Writes to standard output, standard error and files that may be pipes, and does not wait for ever for a reader that has stopped
//! reading once the run is to end.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::blocking::{Until, Waited, wait};

/// A pipe that is said to be writable takes this many bytes without waiting (pipe(7), `PIPE_BUF`).
const PIPE_BYTES: usize = 4096;

/// How long a reader may read nothing once the run is to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the patience of all writers: its other end is closed then, which wakes those that wait.
struct Impatience {
    waiting: PipeReader,
    writer: Mutex<Option<PipeWriter>>,
}

static IMPATIENCE: OnceLock<Impatience> = OnceLock::new();

/// A reader has been given up. No other one gets any time after that.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Prepares for [`be_impatient`].
///
/// # Errors
///
/// If the system has no more descriptors.
pub fn prepare() -> io::Result<()> {
    if IMPATIENCE.get().is_none() {
        let (waiting, writer) = io::pipe()?;
        IMPATIENCE.get_or_init(|| Impatience { waiting, writer: Mutex::new(Some(writer)) });
    }
    Ok(())
}

/// Gives readers only a short time from now on. A write that they do not let happen is an error of the kind `TimedOut`.
pub fn be_impatient() {
    if let Some(impatience) = IMPATIENCE.get() {
        impatience.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Waits until `stream` can be written.
fn wait_for_reader(stream: impl AsFd) -> io::Result<()> {
    let wake = IMPATIENCE.get().map(|impatience| impatience.waiting.as_fd());
    if wait(&stream, Until::Writable, wake, None)? == Waited::Ready {
        return Ok(());
    }
    let patience = if GIVEN_UP.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
    if wait(&stream, Until::Writable, None, Some(patience))? == Waited::Ready {
        return Ok(());
    }
    GIVEN_UP.store(true, Ordering::Relaxed);
    Err(io::Error::new(ErrorKind::TimedOut, "its reader has stopped reading"))
}

/// Writes what `stream` takes without waiting for long, once its reader lets it.
fn write(stream: &mut (impl Write + AsFd), bytes: &[u8]) -> io::Result<usize> {
    loop {
        wait_for_reader(&*stream)?;
        match stream.write(&bytes[..bytes.len().min(PIPE_BYTES)]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            written => return written,
        }
    }
}

/// Writes all of `bytes`, at the speed of their reader.
///
/// # Errors
///
/// If they cannot be written, or nobody reads them and the run is to end.
pub fn write_all(stream: &mut (impl Write + AsFd), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(stream, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file, pipe or terminal that is written at the speed of its reader.
#[derive(Debug)]
pub struct Outlet {
    file: File,
    /// Whether writing may wait for a reader.
    has_reader: bool,
}

impl Outlet {
    pub fn new(file: File) -> Outlet {
        let has_reader = !file.metadata().is_ok_and(|metadata| metadata.is_file());
        Outlet { file, has_reader }
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_reader { write(&mut self.file, bytes) } else { self.file.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
