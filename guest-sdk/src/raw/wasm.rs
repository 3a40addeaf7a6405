//! The host as a guest sees it: safe wrappers of the imports.

use std::panic::PanicHookInfo;
use std::ptr::NonNull;
use std::sync::Once;

use super::imports;

pub(crate) fn task_index() -> u64 {
    imports::task_index()
}

pub(crate) fn arg() -> Vec<u8> {
    let len = imports::arg_len();
    let mut arg = vec![0; len];
    // SAFETY: the vector owns `len` initialised bytes, and the argument does not change during a task.
    unsafe { imports::arg_read(arg.as_mut_ptr()) };
    arg
}

pub(crate) fn input_count() -> u32 {
    imports::input_count()
}

pub(crate) fn input_find(name: &str) -> Option<u32> {
    // SAFETY: a `str` is valid for reads of its length.
    let index = unsafe { imports::input_find(name.as_ptr(), name.len()) };
    u32::try_from(index).ok()
}

pub(crate) fn input_len(input: u32) -> u64 {
    imports::input_len(input)
}

pub(crate) fn input_read(input: u32, offset: u64, to: &mut [u8]) {
    // SAFETY: a mutable slice is valid for writes of its length.
    unsafe { imports::input_read(input, offset, to.len(), to.as_mut_ptr()) }
}

pub(crate) fn input_map(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    let address = imports::input_map(input, offset, len);
    NonNull::new(address.cast_mut()).expect("the contract says that a window is never at address 0")
}

pub(crate) fn input_writable() -> bool {
    imports::input_writable() != 0
}

/// As `input_map`, for writable inputs: each window is then a separate copy.
pub(crate) fn input_map_private(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    input_map(input, offset, len)
}

/// # Safety
///
/// No reference into the window is used afterwards.
pub(crate) unsafe fn input_unmap(address: NonNull<u8>) {
    // SAFETY: the caller promises what the import requires.
    unsafe { imports::input_unmap(address.as_ptr()) }
}

/// The region with this name; the empty name finds the output slice.
pub(crate) fn region_find(name: &str) -> Option<u32> {
    // SAFETY: a `str` is valid for reads of its length.
    let index = unsafe { imports::region_find(name.as_ptr(), name.len()) };
    u32::try_from(index).ok()
}

pub(crate) fn region_len(region: u32) -> u64 {
    imports::region_len(region)
}

pub(crate) fn region_map(region: u32, offset: u64, len: usize) -> NonNull<u8> {
    let address = imports::region_map(region, offset, len);
    NonNull::new(address).expect("the contract says that a window is never at address 0")
}

pub(crate) fn output_write(bytes: &[u8]) {
    // SAFETY: a slice is valid for reads of its length.
    unsafe { imports::output_write(bytes.as_ptr(), bytes.len()) }
}

pub(crate) fn output_map(len: usize) -> NonNull<u8> {
    NonNull::new(imports::output_map(len)).expect("the contract says that the buffer is never at address 0")
}

pub(crate) fn fail(message: &str) {
    // SAFETY: a `str` is valid for reads of its length.
    unsafe { imports::fail(message.as_ptr(), message.len()) }
}

pub(crate) fn log(level: i32, line: &str) {
    // SAFETY: a `str` is valid for reads of its length.
    unsafe { imports::log(level, line.as_ptr(), line.len()) }
}

/// Prepares an instance for its first task; does nothing for later ones.
pub(crate) fn prepare_instance() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without this reference, the linker takes the module for a command and runs constructors and destructors around
        // every call of an export, which would break an instance that is reused.
        // SAFETY: `Once` makes this one call, before the task's own code. Only a module with an entry point of its own
        // (`_start`, `_initialize`) has run them before, and those of Rust and wasi-libc may run twice.
        unsafe { imports::__wasm_call_ctors() };
        std::panic::set_hook(Box::new(report_panic));
    });
}

/// Reports a panic's message and location to the host, before the panic traps.
///
/// It replaces the default hook, which would write the same again, to a standard error that may not exist.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    match panic.location() {
        Some(location) => fail(&format!("panicked at {location}: {message}")),
        None => fail(&format!("panicked: {message}")),
    }
}
