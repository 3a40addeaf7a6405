//! The imports of WASI preview 1.

use std::cell::OnceCell;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use tokio::runtime::{Builder, EnterGuard, Runtime};
use wasmtime::{Linker, Result};

use crate::guest::state::State;
use crate::guest::wasi::context;

/// Defines WASI's imports.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>) -> Result<()> {
    wasmtime_wasi::p1::add_to_linker_sync(linker, |state| {
        // A call begins.
        state.windows.settle();
        if state.wasi.is_none() {
            // A task that is no command, without directories: see `Guest::run`.
            let argv = [state.job.spec.module_name.clone()];
            state.wasi = Some(context(&state.wasi_settings(), &argv).expect("only a directory can be refused"));
        }
        &mut state.wasi.as_mut().expect("made just now").ctx
    })
}

/// Makes this thread able to make the calls of WASI that may wait, once and for as long as it lives.
///
/// wasmtime-wasi's synchronous calls run on the tokio runtime that the thread has entered. Its one other thread keeps time, for a
/// guest that sleeps.
pub(in crate::guest) fn enter_runtime() -> io::Result<()> {
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
