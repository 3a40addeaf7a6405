//! Standard streams of tasks.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::format_err;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::guest::host_error::HostError;
use crate::guest::open_files::GuestInput;
use crate::ipc::wire::{InputFault, InputFaultKind, Mapped};
use crate::sys::blocking::{Until, patiently};
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
pub(super) struct Attached(pub Arc<File>);

impl InputStream for Attached {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = vec![0; size.min(WRITE_BYTES)];
        let read = patiently(&self.0, Until::Readable, || self.0.as_ref().read(&mut buffer));
        read_result(read, buffer)
    }
}

impl OutputStream for Attached {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut left = &bytes[..];
        while !left.is_empty() {
            match patiently(&self.0, Until::Writable, || self.0.as_ref().write(left)) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(StreamError::Closed),
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
        Err(error) => Err(StreamError::LastOperationFailed(format_err!("{error}"))),
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
        std::io::IsTerminal::is_terminal(self.0.as_ref())
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
