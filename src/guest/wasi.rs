//! WASI preview 1 for tasks: no capability but those that were granted, a clock and random numbers that depend on the task
//! alone, and standard streams that are part of the task (or, for an attached program, the caller's own).

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, EnterGuard, Runtime};
use wasmtime::{Linker, Result, format_err};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtxBuilder, WasiView as _};

use super::abi::Stop;
use super::files::GuestInput;
use super::state::State;
use crate::Access;
use crate::ipc::wire::{InputFault, InputFaultKind, Mapped};
use crate::sys::memory_file;

/// A task's WASI context and what it wrote.
pub(super) struct Wasi {
    pub ctx: WasiP1Ctx,
    pub stdout: Capture,
    pub stderr: Capture,
}

/// Defines WASI's imports.
pub(super) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    wasmtime_wasi::p1::add_to_linker_sync(linker, |state| {
        // A call begins.
        state.windows.settle();
        if state.wasi.is_none() {
            // A task that is no command, without directories: see `Guest::run`.
            let argv = [state.job.spec.module_name.clone()];
            state.wasi = Some(context(state, &argv).expect("only a directory can be refused"));
        }
        &mut state.wasi.as_mut().expect("made just now").ctx
    })
}

/// Makes this thread able to make the calls of WASI that may wait, once and for as long as it lives.
///
/// wasmtime-wasi's synchronous calls run on the tokio runtime that the thread has entered. Its one other thread keeps time, for a
/// guest that sleeps.
pub(super) fn enter_runtime() -> io::Result<()> {
    thread_local! {
        // Never dropped: when a thread ends, tokio's own variables may have ended before this one.
        static ENTERED: OnceCell<ManuallyDrop<EnterGuard<'static>>> = const { OnceCell::new() };
    }
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
            RUNTIME.get_or_init(|| runtime)
        }
    };
    ENTERED.with(|entered| {
        entered.get_or_init(|| ManuallyDrop::new(runtime.enter()));
    });
    Ok(())
}

/// A directory that tasks may use.
pub(super) struct Preopen {
    /// The path by which this process finds a directory that it has open: a context wants one.
    host_path: String,
    guest_path: String,
    perms: FsPerms,
}

impl Preopen {
    /// One that the guest calls `guest_path`; the descriptor stays open as long as the process lives.
    pub fn new(guest_path: &str, (directory, access): &(File, Access)) -> Preopen {
        let perms = match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let host_path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Preopen { host_path, guest_path: guest_path.to_owned(), perms }
    }
}

/// Makes the context of a task. A command's arguments are `argv`; its standard input is the task's first own input.
///
/// # Errors
///
/// Where a directory cannot be opened: there are too many open files, say.
pub(super) fn context(state: &State, argv: &[String]) -> Result<Wasi> {
    let mut builder = WasiCtxBuilder::new();
    let spec = &state.job.spec;
    let stdout = Capture::new(spec.output_bytes, OnFull::Stop);
    let stderr = Capture::new(spec.log_bytes, OnFull::Drop);
    match &state.job.stdio {
        Some([stdin, out, err]) => {
            builder.stdin(Attached(stdin.clone())).stdout(Attached(out.clone())).stderr(Attached(err.clone()));
        }
        None => {
            builder.stdout(stdout.clone()).stderr(stderr.clone());
            if let Some(input) = state.own_inputs.first() {
                builder.stdin(InputReader { input: input.clone(), position: Arc::new(AtomicU64::new(0)) });
            }
        }
    }
    builder.args(argv).envs(&spec.environment).allow_blocking_current_thread(true);
    if !spec.real_random {
        // A task whose result is to be the same in every run can have no secret numbers.
        let seed = task_seed(spec.seed, state.index);
        builder
            .secure_random(Xoshiro256PlusPlus::seed_from_u64(seed))
            .insecure_random(Xoshiro256PlusPlus::seed_from_u64(!seed))
            .insecure_random_seed(u128::from(seed));
    }
    if !spec.real_clock {
        builder.wall_clock(TaskClock::default()).monotonic_clock(TaskClock::default());
    }
    for Preopen { host_path, guest_path, perms } in &state.job.preopens {
        builder.preopened_dir(host_path, guest_path, *perms)?;
    }
    let mut ctx = builder.build_p1();
    // What WASI keeps of its own: the standard streams, the directories, and what polling makes for a moment.
    let own = 64 + state.job.preopens.len();
    ctx.ctx().table.set_max_capacity(own + spec.open_files as usize);
    Ok(Wasi { ctx, stdout, stderr })
}

/// What a task's random numbers follow from. Different tasks of a seed have different ones, and so has a task with different
/// seeds: a multiplication by an odd number loses nothing.
fn task_seed(seed: u64, index: u64) -> u64 {
    /// 2^64 divided by the golden ratio, which spreads neighbouring seeds.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    seed.wrapping_mul(SPREAD) ^ index
}

/// A clock that begins at 0 for each task and moves by a microsecond each time it is looked at.
#[derive(Default)]
struct TaskClock(AtomicU64);

const TICK_NS: u64 = 1000;

impl HostMonotonicClock for TaskClock {
    fn resolution(&self) -> u64 {
        TICK_NS
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(TICK_NS, Ordering::Relaxed)
    }
}

impl HostWallClock for TaskClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(TICK_NS)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(HostMonotonicClock::now(self))
    }
}

/// A stream into memory.
#[derive(Clone)]
pub(super) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit_bytes: u64,
    on_full: OnFull,
}

#[derive(Clone, Copy)]
enum OnFull {
    /// The task ends at its limit.
    Stop,
    /// What is too much is lost.
    Drop,
}

impl Capture {
    fn new(limit_bytes: u64, on_full: OnFull) -> Self {
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
            OnFull::Stop if new.len() > room => Err(StreamError::Trap(Stop::output_limit(self.limit_bytes).into())),
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

/// The most that a stream takes at once.
const WRITE_BYTES: usize = 64 << 10;

/// A file that the caller of `wrun run` gave as a standard stream.
#[derive(Clone)]
struct Attached(Arc<File>);

impl InputStream for Attached {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = vec![0; size.min(WRITE_BYTES)];
        read_result(self.0.as_ref().read(&mut buffer), buffer)
    }
}

impl OutputStream for Attached {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.as_ref().write_all(&bytes).map_err(|_| StreamError::Closed)
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
struct InputReader {
    input: GuestInput,
    position: Arc<AtomicU64>,
}

impl InputStream for InputReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let position = self.position.load(Ordering::Relaxed);
        let left = self.input.len - position;
        let mut buffer = vec![0; size.min(WRITE_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX))];
        // It is the task's first input.
        let fault = |kind| StreamError::Trap(Stop::Input(InputFault { of: Mapped::Input(0), kind }).into());
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

/// Everything above is always ready: a read or a write that has to wait does so in the call, on the worker's one thread.
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
