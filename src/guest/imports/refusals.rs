//! WASI functions that only refuse: the refusal is known, so that the outcome can name it if the task fails.

use wasmtime::{ExternType, Linker, Module, Result, Val};

use crate::guest::state::State;
use crate::guest::wasi::Refused;
use crate::module::WASI_MODULE;

/// Puts functions that refuse in the place of those of WASI that the module imports and that could do nothing but refuse:
/// the network's, and without directories the paths'. So no code of the host runs for them, and the refusal is known.
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

/// `errno` `badf` of WASI preview 1: there is no such descriptor.
const ERRNO_BADF: i32 = 8;
