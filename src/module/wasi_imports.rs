//! The functions of WASI preview 1, with their wasm types.
//!
//! Source: `wasi_snapshot_preview1.witx`, lowered to wasm as its ABI document specifies. A test compares this list with what wasmtime
//! provides.

/// The import module of WASI preview 1.
pub(crate) const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// The import module of the version before, whose functions have the same names and types.
pub(crate) const WASI_UNSTABLE_MODULE: &str = "wasi_unstable";

/// Whether this import module is WASI's.
pub(crate) fn is_wasi(module: &str) -> bool {
    module == WASI_MODULE || module == WASI_UNSTABLE_MODULE
}

/// A function: its name, and the types of its parameters as letters, `i` for i32 and `I` for i64. All except `proc_exit` return an i32,
/// the error number.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// The type of a function, in the form of `Extern::ty`; `None` if there is no such function.
pub(super) fn func_type(name: &str) -> Option<String> {
    let (_, params) = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    let params = params.chars().map(|letter| if letter == 'I' { "i64" } else { "i32" });
    let results: &[&str] = if name == "proc_exit" { &[] } else { &["i32"] };
    Some(super::description::func_type(params, results))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};

    #[test]
    fn list_is_what_wasmtime_gives() {
        let engine = wasmtime::Engine::default();
        let mut linker = wasmtime::Linker::<WasiP1Ctx>::new(&engine);
        add_to_linker_sync(&mut linker, |context| context).unwrap();
        let mut store = wasmtime::Store::new(&engine, wasmtime_wasi::WasiCtxBuilder::new().build_p1());
        let mut given: Vec<(String, String)> = Vec::new();
        let externs: Vec<_> =
            linker.iter(&mut store).map(|(module, name, item)| (module.to_owned(), name.to_owned(), item)).collect();
        for (module, name, item) in externs {
            assert_eq!(module, WASI_MODULE);
            let ty = item.into_func().unwrap().ty(&store);
            given.push((name, crate::module::description::func_type(ty.params(), ty.results())));
        }
        given.sort();
        let ours: Vec<_> = FUNCTIONS.iter().map(|(name, _)| ((*name).to_owned(), func_type(name).unwrap())).collect();
        assert_eq!(ours, given);
    }
}
