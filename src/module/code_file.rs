//! Loading precompiled code, and the part for stack traces that lies beside it.
#![expect(unsafe_code, reason = "precompiled code is trusted code")]

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine, Module, Precompiled};

use super::artifact;
use crate::sys::read_only_map::{ReadOnlyMap, set_executable};
use crate::sys::window::page_size;

/// Loads a module's code.
pub(crate) fn load_module(engine: &Engine, code: File) -> wasmtime::Result<Module> {
    // SAFETY: the file holds what this crate's compiler process wrote (kept in a cache directory that only this user can
    // write, or in sealed memory), or a file that the user declared as trusted by `Compiler::allow_precompiled`. wasmtime
    // checks that it was made by the same version with the same settings. Nobody changes the file afterwards: cache
    // entries are replaced by renaming, never rewritten.
    unsafe { Module::deserialize_open_file(engine, code) }
}

/// Loads a component's code. It is mapped if the engine has `files`, and copied otherwise.
///
/// wasmtime maps files of modules, but those of components by their paths alone, which a confined worker cannot open.
pub(crate) fn load_component(engine: &Engine, code: &File, files: Option<&CodeFiles>) -> wasmtime::Result<Component> {
    let len = code.metadata()?.len();
    // SAFETY: as above: nobody changes the file.
    let map = unsafe { ReadOnlyMap::of_unchanging(code, 0..len) }?;
    match files {
        // SAFETY: as above. The map lives as long as the engine and all code that was loaded with it.
        Some(files) if CAN_MAP => unsafe { Component::deserialize_raw(engine, files.keep(map)) },
        // SAFETY: as above.
        _ => unsafe { Component::deserialize(engine, &*map) },
    }
}

/// Other processors need more than a system call before new code may run, which wasmtime does for code that it holds itself.
const CAN_MAP: bool = cfg!(target_arch = "x86_64");

/// Maps of the code of an engine's components. The engine and all code of it hold this.
#[derive(Default)]
pub(crate) struct CodeFiles(Mutex<Vec<ReadOnlyMap>>);

impl CodeFiles {
    fn keep(&self, map: ReadOnlyMap) -> NonNull<[u8]> {
        let bytes = NonNull::from(&*map);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(map);
        bytes
    }
}

impl CustomCodeMemory for CodeFiles {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: wasmtime passes the code of a file that it loads, which is trusted code in whole pages of a kept map.
        Ok(unsafe { set_executable(std::slice::from_raw_parts(ptr, len), true) }?)
    }

    fn unpublish_executable(&self, ptr: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: as above.
        Ok(unsafe { set_executable(std::slice::from_raw_parts(ptr, len), false) }?)
    }
}

/// Whether code is a component's.
pub(crate) fn is_component(code: &File) -> io::Result<bool> {
    let len = code.metadata()?.len();
    // SAFETY: as above: nobody changes the file.
    let bytes = unsafe { ReadOnlyMap::of_unchanging(code, 0..len) }?;
    // The tables that it is told by are at the file's end.
    Ok(Engine::detect_precompiled(&bytes) == Some(Precompiled::Component))
}

/// The part of that file that stack traces need. It stays mapped as long as the process lives, which loads the code of only one
/// module; its pages are shared by all workers.
pub(crate) fn debug_part(code: &File) -> Option<&'static [u8]> {
    let range = artifact::debug_range(code).ok()??;
    // SAFETY: as above: nobody changes the file afterwards.
    let map = unsafe { ReadOnlyMap::of_unchanging(code, range) }.ok()?;
    Some(Box::leak(Box::new(map)))
}
