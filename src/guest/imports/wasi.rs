//! The imports of WASI preview 1.

use std::cell::OnceCell;
use std::convert::identity;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use wasmtime::{AsContextMut, Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as preview1, WasiSnapshotPreview1 as _};
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::args::{args_get, args_sizes_get};
use super::grow::Guest;
use super::map::memory;
use super::poll::poll_oneoff;
use crate::guest::argv::argv;
use crate::guest::state::State;
use crate::guest::wasi::{Wasi, context};
use crate::module::WASI_MODULE;

/// The error numbers of WASI preview 1 (`errno`) that functions of this crate's own give.
pub(super) mod errno {
    pub const SUCCESS: i32 = 0;
    pub const INVAL: i32 = 28;
    pub const NAMETOOLONG: i32 = 37;
}

/// The first parameter, which is the descriptor if there is one.
macro_rules! first {
    ($first:ident $($rest:ident)*) => {
        $first
    };
}

/// Defines functions of WASI preview 1 that have to do with descriptors, or that an initializer may not call, by their parameters: see `wasi::preview1`.
macro_rules! link {
    ($linker:ident, $run:expr; $($name:ident($($parameter:ident: $ty:ty),+);)+) => { $(
        $linker.func_wrap(
            WASI_MODULE,
            stringify!($name),
            |mut guest: Guest<'_>, $($parameter: $ty),+| -> Result<i32> {
                guest.data().allowed_now(stringify!($name), first!($($parameter)+))?;
                let fuel = guest.as_context_mut().hostcall_fuel();
                let memory = memory(&mut guest, stringify!($name))?;
                let (bytes, state) = memory.data_and_store_mut(&mut guest);
                let mut memory = GuestMemory::Unshared(bytes);
                let errno = $run(preview1::$name(begin_call(state, fuel), &mut memory, $($parameter),+))?;
                state.only_granted(stringify!($name)).map(|()| errno)
            },
        )?;
    )+ };
}

/// Defines the imports of WASI preview 1.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    wasmtime_wasi::p1::add_to_linker_sync(linker, |state| wasi(state).begin_other_call())?;
    linker.allow_shadowing(true);
    linker.func_wrap(WASI_MODULE, "args_get", args_get)?;
    linker.func_wrap(WASI_MODULE, "args_sizes_get", args_sizes_get)?;
    linker.func_wrap(WASI_MODULE, "poll_oneoff", poll_oneoff)?;
    link!(linker, in_tokio;
        fd_advise(fd: i32, offset: i64, len: i64, advice: i32);
        fd_close(fd: i32);
        fd_datasync(fd: i32);
        fd_fdstat_get(fd: i32, result: i32);
        fd_filestat_get(fd: i32, result: i32);
        fd_filestat_set_size(fd: i32, size: i64);
        fd_filestat_set_times(fd: i32, accessed: i64, modified: i64, flags: i32);
        fd_pread(fd: i32, buffers: i32, count: i32, offset: i64, result: i32);
        fd_pwrite(fd: i32, buffers: i32, count: i32, offset: i64, result: i32);
        fd_read(fd: i32, buffers: i32, count: i32, result: i32);
        fd_readdir(fd: i32, buffer: i32, len: i32, cookie: i64, result: i32);
        fd_renumber(from: i32, to: i32);
        fd_seek(fd: i32, offset: i64, whence: i32, result: i32);
        fd_sync(fd: i32);
        fd_write(fd: i32, buffers: i32, count: i32, result: i32);
        path_create_directory(fd: i32, path: i32, path_len: i32);
        path_filestat_get(fd: i32, lookup: i32, path: i32, path_len: i32, result: i32);
        path_filestat_set_times(fd: i32, lookup: i32, path: i32, path_len: i32, accessed: i64, modified: i64, flags: i32);
        path_link(old_fd: i32, lookup: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32);
        path_open(fd: i32, lookup: i32, path: i32, path_len: i32, open: i32, rights: i64, inheriting: i64, flags: i32, result: i32);
        path_readlink(fd: i32, path: i32, path_len: i32, buffer: i32, len: i32, result: i32);
        path_remove_directory(fd: i32, path: i32, path_len: i32);
        path_rename(old_fd: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32);
        path_symlink(target: i32, target_len: i32, fd: i32, path: i32, path_len: i32);
        path_unlink_file(fd: i32, path: i32, path_len: i32);
    );
    link!(linker, identity;
        fd_allocate(fd: i32, offset: i64, len: i64);
        fd_fdstat_set_flags(fd: i32, flags: i32);
        fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64);
        fd_prestat_dir_name(fd: i32, path: i32, len: i32);
        fd_prestat_get(fd: i32, result: i32);
        fd_tell(fd: i32, result: i32);
        clock_res_get(clock: i32, result: i32);
        clock_time_get(clock: i32, precision: i64, result: i32);
        random_get(buffer: i32, len: i32);
    );
    linker.allow_shadowing(false);
    Ok(())
}

/// The task's WASI, at the start of a call.
pub(in crate::guest) fn wasi(state: &mut State) -> &mut Wasi {
    state.windows.settle();
    if state.wasi.is_none() {
        // The task is not a command and has no directories: `Guest::run` makes the context of the others. A component gets its arguments
        // with the context; an item that can be none matters only to a program.
        if state.job.spec.component {
            state.argv = argv(state).ok();
        }
        state.wasi = Some(context(&state.wasi_settings()).expect("only a directory can be refused"));
    }
    state.wasi.as_mut().expect("made just now")
}

/// The task's WASI, at the start of a call that may take over this many bytes from the guest.
pub(super) fn begin_call(state: &mut State, fuel: usize) -> &mut Wasi {
    let wasi = wasi(state).begin_call();
    wasi.set_hostcall_fuel(fuel);
    wasi
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
