//! WASI functions that only refuse, and record that they did, so that the outcome can name the reason if the task fails.

use wasmtime::{ExternType, Linker, Module, Result, Val};

use crate::guest::state::State;
use crate::guest::wasi::Refused;
use crate::module::WASI_MODULE;

/// Replaces WASI functions that could do nothing but refuse: those of the network and, if no directory is granted, those that take
/// paths. So no host code runs for them, and the refusal is recorded.
pub(in crate::guest) fn add_to_linker(
    linker: &mut Linker<Box<State>>,
    module: &Module,
    grants_directories: bool,
) -> Result<()> {
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == WASI_MODULE) {
        let refused = match import.name() {
            name if name.starts_with("sock_") => Refused::Network,
            name if name.starts_with("path_") && !grants_directories => Refused::Files,
            _ => continue,
        };
        let ExternType::Func(ty) = import.ty() else { continue };
        linker.func_new(WASI_MODULE, import.name(), ty, move |mut guest, _, results| {
            guest.data_mut().refused.get_or_insert(refused);
            if let Some(result) = results.first_mut() {
                *result = Val::I32(ERRNO_BADF);
            }
            Ok(())
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// The error number `badf` of WASI preview 1: there is no such descriptor.
const ERRNO_BADF: i32 = 8;
