//! Standard streams of tasks.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::guest::host_error::HostError;
use crate::guest::open_files::GuestInput;
use crate::ipc::wire::{InputFault, InputFaultKind, Mapped};
use crate::sys::blocking::{Until, patiently, wait};
use crate::sys::memory_file;

/// An output stream into memory.
#[derive(Clone)]
pub(in crate::guest) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit_bytes: u64,
    on_full: OnFull,
}

#[derive(Clone, Copy)]
pub(super) enum OnFull {
    /// The task ends with `limit`.
    Stop,
    /// The excess is dropped.
    Drop,
}

impl Capture {
    pub(super) fn new(limit_bytes: u64, on_full: OnFull) -> Self {
        Capture { bytes: Arc::default(), limit_bytes, on_full }
    }

    /// Takes what was written.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OutputStream for Capture {
    fn write(&mut self, new: Bytes) -> StreamResult<()> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = usize::try_from(self.limit_bytes).unwrap_or(usize::MAX).saturating_sub(bytes.len());
        match self.on_full {
            OnFull::Stop if new.len() > room => {
                Err(StreamError::Trap(HostError::output_limit(self.limit_bytes).into()))
            }
            _ => {
                bytes.extend_from_slice(&new[..new.len().min(room)]);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

/// The most bytes that a stream takes at once.
const WRITE_BYTES: usize = 64 << 10;

/// A file that the caller of `wrun run` gave as a standard stream.
#[derive(Clone)]
pub(super) struct Attached {
    file: Arc<File>,
    calls: Arc<AttachedCalls>,
    is_output: bool,
}

/// What the attached streams of a program know of its calls.
#[derive(Debug, Default)]
pub(in crate::guest) struct AttachedCalls {
    /// The call that is under way has written something.
    has_written: AtomicBool,
    /// A write found that nobody reads standard output any more.
    reader_is_gone: AtomicBool,
}

impl AttachedCalls {
    /// Notes that a call of WASI begins.
    pub fn begin(&self) {
        // Relaxed: calls and streams run on one thread.
        self.has_written.store(false, Ordering::Relaxed);
    }

    /// Whether a write goes on after this error, once there is room.
    fn goes_on_after(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::WouldBlock && self.has_written.load(Ordering::Relaxed)
    }

    /// Whether a write found that nobody reads a stream any more.
    pub fn reader_is_gone(&self) -> bool {
        self.reader_is_gone.load(Ordering::Relaxed)
    }
}

impl Attached {
    pub(super) fn new(file: &Arc<File>, calls: &Arc<AttachedCalls>) -> Attached {
        Attached { file: file.clone(), calls: calls.clone(), is_output: false }
    }

    /// The stream whose reader may be gone.
    pub(super) fn output(file: &Arc<File>, calls: &Arc<AttachedCalls>) -> Attached {
        Attached { is_output: true, ..Attached::new(file, calls) }
    }
}

impl InputStream for Attached {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = vec![0; size.min(WRITE_BYTES)];
        let file = self.file.as_ref();
        loop {
            // Programs are told that their input is always ready, so they have no other way to wait for it.
            match patiently(file, Until::Readable, || { file }.read(&mut buffer)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => return read_result(count, buffer),
            }
        }
    }
}

impl OutputStream for Attached {
    /// Writes everything, even to a file that does not block: one call of a program comes as several writes, and can only succeed or fail
    /// as a whole. If it would block before its first byte, the program hears that.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut left = &bytes[..];
        while !left.is_empty() {
            match self.file.as_ref().write(left) {
                Ok(0) => return Err(failed(&io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.calls.has_written.store(true, Ordering::Relaxed);
                    left = &left[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.calls.goes_on_after(&error) => {
                    wait(self.file.as_ref(), Until::Writable, None, None).map_err(|error| failed(&error))?;
                }
                Err(error) => {
                    if self.is_output && error.kind() == io::ErrorKind::BrokenPipe {
                        self.calls.reader_is_gone.store(true, Ordering::Relaxed);
                    }
                    return Err(failed(&error));
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

/// The error of a system call, as the program gets it.
///
/// An error number of WASI within a trap reaches the program. Of an `io::Error`, wasmtime-wasi knows only some numbers, and not that of a
/// call that would block.
fn failed(error: &io::Error) -> StreamError {
    StreamError::Trap(errno(error).into())
}

fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Errno::Pipe,
        io::ErrorKind::FileTooLarge => Errno::Fbig,
        io::ErrorKind::InvalidInput => Errno::Inval,
        io::ErrorKind::IsADirectory => Errno::Isdir,
        io::ErrorKind::OutOfMemory => Errno::Nomem,
        io::ErrorKind::PermissionDenied => Errno::Acces,
        io::ErrorKind::QuotaExceeded => Errno::Dquot,
        io::ErrorKind::ReadOnlyFilesystem => Errno::Rofs,
        io::ErrorKind::StorageFull => Errno::Nospc,
        io::ErrorKind::WouldBlock => Errno::Again,
        io::ErrorKind::ConnectionReset => Errno::Connreset,
        io::ErrorKind::NotConnected => Errno::Notconn,
        io::ErrorKind::TimedOut => Errno::Timedout,
        _ if error.raw_os_error() == Some(EBADF) => Errno::Badf,
        _ => Errno::Io,
    }
}

/// The number of "bad file descriptor" on every Linux: the descriptor was not opened for this.
const EBADF: i32 = 9;

/// An input as standard input.
#[derive(Clone)]
pub(super) struct InputReader {
    input: GuestInput,
    position: Arc<AtomicU64>,
}

impl InputReader {
    /// Reads from the input's start.
    pub(super) fn new(input: GuestInput) -> InputReader {
        InputReader { input, position: Arc::default() }
    }
}

impl InputStream for InputReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let position = self.position.load(Ordering::Relaxed);
        let left = self.input.len - position;
        let mut buffer = vec![0; size.min(WRITE_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX))];
        // Standard input is the task's first input.
        let fault = |kind| StreamError::Trap(HostError::Input(InputFault { of: Mapped::Input(0), kind }).into());
        match self.input.file.read_at(&mut buffer, self.input.offset + position) {
            Ok(0) if left > 0 => {
                let file_len = memory_file::len(&self.input.file).unwrap_or(0);
                Err(fault(InputFaultKind::Truncated { file_len }))
            }
            Err(_) => Err(fault(InputFaultKind::Unreadable { offset: position })),
            Ok(count) => {
                self.position.store(position + count as u64, Ordering::Relaxed);
                read_result(Ok(count), buffer)
            }
        }
    }
}

fn read_result(count: io::Result<usize>, mut buffer: Vec<u8>) -> StreamResult<Bytes> {
    match count {
        Ok(0) => Err(StreamError::Closed),
        Ok(count) => {
            buffer.truncate(count);
            Ok(buffer.into())
        }
        Err(error) => Err(failed(&error)),
    }
}

/// All streams are always ready: a read or a write that has to wait blocks in the call, on the worker's one thread.
macro_rules! always_ready {
    ($($stream:ty)*) => { $(
        #[wasmtime_wasi::async_trait]
        impl Pollable for $stream {
            async fn ready(&mut self) {}
        }

        impl IsTerminal for $stream {
            fn is_terminal(&self) -> bool {
                self.terminal()
            }
        }
    )* };
}
always_ready!(Capture Attached InputReader);

impl Capture {
    fn terminal(&self) -> bool {
        false
    }
}

impl InputReader {
    fn terminal(&self) -> bool {
        false
    }
}

impl Attached {
    fn terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(self.file.as_ref())
    }
}

const PREVIEW_3_ONLY: &str = "WASI preview 1 asks for the streams of preview 2";

macro_rules! standard_input {
    ($($stream:ty)*) => { $(
        impl StdinStream for $stream {
            fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
                unreachable!("{PREVIEW_3_ONLY}")
            }

            fn p2_stream(&self) -> Box<dyn InputStream> {
                Box::new(self.clone())
            }
        }
    )* };
}
standard_input!(Attached InputReader);

macro_rules! standard_output {
    ($($stream:ty)*) => { $(
        impl StdoutStream for $stream {
            fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
                unreachable!("{PREVIEW_3_ONLY}")
            }

            fn p2_stream(&self) -> Box<dyn OutputStream> {
                Box::new(self.clone())
            }
        }
    )* };
}
standard_output!(Capture Attached);
