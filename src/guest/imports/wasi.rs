//! The imports of WASI preview 1.

use std::cell::OnceCell;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use tokio::runtime::{Builder, EnterGuard, Runtime};
use wasmtime::{Linker, Result};

use crate::guest::state::State;
use crate::guest::wasi::context;

/// Defines the imports of WASI preview 1.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    wasmtime_wasi::p1::add_to_linker_sync(linker, |state| {
        // This runs at the start of each call.
        state.windows.settle();
        if state.wasi.is_none() {
            // The task is not a command and has no directories: `Guest::run` makes the context of the others.
            let argv = [state.job.spec.module_name.clone()];
            state.wasi = Some(context(&state.wasi_settings(), &argv).expect("only a directory can be refused"));
        }
        &mut state.wasi.as_mut().expect("made just now").ctx
    })
}

/// Enters a tokio runtime on this thread, for WASI calls that may block. Further calls do nothing.
///
/// wasmtime-wasi's synchronous calls run on the runtime that the thread has entered. Its one worker thread drives timers, for
/// guests that sleep.
pub(in crate::guest) fn enter_runtime() -> io::Result<()> {
    thread_local! {
        // Never dropped: when a thread ends, tokio's thread-locals may be destroyed before this one.
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
