//! The imports of WASI preview 1.

use std::cell::OnceCell;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use wasmtime::{Linker, Result};

use super::args::{args_get, args_sizes_get};
use super::poll::poll_oneoff;
use super::readdir::{fd_close, fd_readdir, fd_renumber};
use super::set_times::path_filestat_set_times;
use crate::guest::state::State;
use crate::guest::wasi::{Wasi, context};
use crate::module::WASI_MODULE;

/// The error numbers of WASI preview 1 (`errno`) that functions of this crate's own give.
pub(super) mod errno {
    pub const SUCCESS: i32 = 0;
    /// There is no such descriptor.
    pub const BADF: i32 = 8;
    pub const INVAL: i32 = 28;
    pub const LOOP: i32 = 32;
    pub const NOTSUP: i32 = 58;
}

/// Defines the imports of WASI preview 1.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    wasmtime_wasi::p1::add_to_linker_sync(linker, |state| wasi(state).begin_call())?;
    linker.allow_shadowing(true);
    linker.func_wrap(WASI_MODULE, "args_get", args_get)?;
    linker.func_wrap(WASI_MODULE, "args_sizes_get", args_sizes_get)?;
    linker.func_wrap(WASI_MODULE, "poll_oneoff", poll_oneoff)?;
    linker.func_wrap(WASI_MODULE, "path_filestat_set_times", path_filestat_set_times)?;
    linker.func_wrap(WASI_MODULE, "fd_readdir", fd_readdir)?;
    linker.func_wrap(WASI_MODULE, "fd_close", fd_close)?;
    linker.func_wrap(WASI_MODULE, "fd_renumber", fd_renumber)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The task's WASI, at the start of a call.
pub(in crate::guest) fn wasi(state: &mut State) -> &mut Wasi {
    state.windows.settle();
    if state.wasi.is_none() {
        // The task is not a command and has no directories: `Guest::run` makes the context of the others.
        state.wasi = Some(context(&state.wasi_settings()).expect("only a directory can be refused"));
    }
    state.wasi.as_mut().expect("made just now")
}

/// Enters a tokio runtime on this thread, for WASI calls that may block. Further calls do nothing.
///
/// wasmtime-wasi's synchronous calls run on this thread, with the timers of the runtime that it has entered. Another thread drives
/// these, for guests that sleep.
pub(in crate::guest) fn enter_runtime() -> io::Result<()> {
    thread_local! {
        // Never dropped: when a thread ends, tokio's thread-locals may be destroyed before this one.
        static ENTERED: OnceCell<ManuallyDrop<EnterGuard<'static>>> = const { OnceCell::new() };
    }
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let started = start_runtime()?;
            RUNTIME.get_or_init(|| started)
        }
    };
    drop(starting);
    ENTERED.with(|entered| {
        entered.get_or_init(|| ManuallyDrop::new(runtime.enter()));
    });
    Ok(())
}

/// Starts the thread on which streams of files of components read and write: a worker may start no thread once it runs tasks. Further
/// calls do nothing. Call it after [`enter_runtime`].
pub(in crate::guest) fn start_file_thread() -> io::Result<()> {
    let runtime = Handle::current();
    runtime.block_on(runtime.spawn_blocking(|| {})).map_err(io::Error::other)
}

/// Starts a runtime with a thread that drives its timers for as long as the process lives. tokio would start that thread itself, and
/// panic if there is no room for it.
fn start_runtime() -> io::Result<Handle> {
    // There is one thread for blocking calls, for good: see `start_file_thread`.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::MAX)
        .thread_name("wrun-files")
        .build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    let started = thread::Builder::new().name("wrun-timers".into()).spawn(drive);
    started.map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread: {error}")))?;
    Ok(handle)
}
