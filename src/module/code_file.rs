//! Loading precompiled code, and the part for stack traces that lies beside it.
#![expect(unsafe_code, reason = "precompiled code is trusted code")]

use std::fs::File;
use std::io;

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

use super::artifact;
use crate::sys::read_only_map::ReadOnlyMap;

/// Loads a module's code.
pub(crate) fn load_module(engine: &Engine, code: File) -> wasmtime::Result<Module> {
    // SAFETY: the file holds what this crate's compiler process wrote (kept in a cache directory that only this user can
    // write, or in sealed memory), or a file that the user declared as trusted by `Compiler::allow_precompiled`. wasmtime
    // checks that it was made by the same version with the same settings. Nobody changes the file afterwards: cache
    // entries are replaced by renaming, never rewritten.
    unsafe { Module::deserialize_open_file(engine, code) }
}

/// Loads a component's code. wasmtime maps files of modules alone, so this is a copy.
pub(crate) fn load_component(engine: &Engine, code: &File) -> wasmtime::Result<Component> {
    let len = code.metadata()?.len();
    // SAFETY: as above: nobody changes the file.
    let bytes = unsafe { ReadOnlyMap::of_unchanging(code, 0..len) }?;
    // SAFETY: as above.
    unsafe { Component::deserialize(engine, &*bytes) }
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
