//! The host as a guest sees it: the imports in safe clothes.

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

pub(crate) fn input_map(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    let address = imports::input_map(input, offset, len);
    NonNull::new(address.cast_mut()).expect("the contract says that a window is never at address 0")
}

pub(crate) fn input_writable() -> bool {
    imports::input_writable() != 0
}

/// As `input_map`, where inputs are writable: each such window is a copy of its own.
pub(crate) fn input_map_private(input: u32, offset: u64, len: usize) -> NonNull<u8> {
    input_map(input, offset, len)
}

/// # Safety
///
/// No reference that this map justified is used any more.
pub(crate) unsafe fn input_unmap(address: NonNull<u8>) {
    // SAFETY: the caller's promise is the one that the import asks for.
    unsafe { imports::input_unmap(address.as_ptr()) }
}

/// The region of that name; of no name, the slice.
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
    NonNull::new(imports::output_map(len)).expect("the contract says that the area is never at address 0")
}

pub(crate) fn fail(message: &str) {
    // SAFETY: a `str` is valid for reads of its length.
    unsafe { imports::fail(message.as_ptr(), message.len()) }
}

pub(crate) fn log(level: i32, line: &str) {
    // SAFETY: a `str` is valid for reads of its length.
    unsafe { imports::log(level, line.as_ptr(), line.len()) }
}

/// Gets an instance ready for its first task; does nothing for the next ones.
pub(crate) fn prepare_instance() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without this reference the linker takes the module for a command, and runs constructors and destructors
        // around every single call of an export, which an instance that is reused does not survive unharmed.
        // SAFETY: `Once` makes it one call, before the task's own code. Only a module with an entry of its own
        // (`_start`, `_initialize`) has called them before; those of Rust and wasi-libc allow for a second time.
        unsafe { imports::__wasm_call_ctors() };
        std::panic::set_hook(Box::new(report_panic));
    });
}

/// Tells the host a panic's message and location, before the panic traps.
///
/// It replaces the default hook, which would write the same once more to a standard error that may not exist.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a text");
    match panic.location() {
        Some(location) => fail(&format!("panicked at {location}: {message}")),
        None => fail(&format!("panicked: {message}")),
    }
}
