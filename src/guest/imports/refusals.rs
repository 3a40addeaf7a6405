//! WASI functions that only refuse, and record that they did, so that the outcome can name the reason if the task fails.

use wasmtime::{ExternType, Linker, Module, Result, Val};
use wasmtime_wasi::p1::wasi_snapshot_preview1::sock_shutdown;
use wiggle::GuestMemory;

use super::wasi::wasi;
use crate::guest::state::State;
use crate::guest::wasi::Refused;
use crate::module::is_wasi;

/// Replaces the WASI functions of the network, which could do nothing but refuse. So no host code runs for them, and the refusal is
/// recorded.
pub(in crate::guest) fn add_to_linker(linker: &mut Linker<Box<State>>, module: &Module) -> Result<()> {
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| is_wasi(import.module())) {
        let ExternType::Func(ty) = import.ty() else { continue };
        if !import.name().starts_with("sock_") {
            continue;
        }
        linker.func_new(import.module(), import.name(), ty, move |mut guest, params, results| {
            guest.data_mut().refused.get_or_insert(Refused::Network);
            let errno = not_a_socket(guest.data_mut(), params)?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(errno);
            }
            Ok(())
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// The error number of a call for sockets: no descriptor is one, and some are none at all.
fn not_a_socket(state: &mut State, params: &[Val]) -> Result<i32> {
    const READS: i32 = 1;
    // The descriptor is the first parameter of all such calls.
    let descriptor = params.first().and_then(Val::i32).unwrap_or(-1);
    sock_shutdown(wasi(state).begin_call(), &mut GuestMemory::Unshared(&mut []), descriptor, READS)
}
