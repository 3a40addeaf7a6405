//! What the code that `#[wrun_guest::init]` generates calls.

use std::fmt::Display;

use crate::raw::host;

/// A result of an initializer.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "an initializer cannot return `{Self}`",
    note = "it returns nothing, or a `Result<(), E>` whose error implements `Display`"
)]
pub trait Initialized {
    /// Fails the initializer if this is an error.
    fn check(self);
}

impl Initialized for () {
    fn check(self) {}
}

impl<E: Display> Initialized for Result<(), E> {
    fn check(self) {
        if let Err(error) = self {
            host::fail(&error.to_string());
            std::process::abort();
        }
    }
}

/// Prepares the instance as before a task.
#[doc(hidden)]
pub fn prepare_instance() {
    host::prepare_instance();
}

/// Fails to compile if the macro and the contract disagree about the export's name.
#[doc(hidden)]
pub const fn assert_initializer_export(name: &str) {
    let (name, wanted) = (name.as_bytes(), wrun_abi::INITIALIZER_EXPORT.as_bytes());
    assert!(name.len() == wanted.len(), "wrun-guest-macros and wrun-abi have different versions");
    let mut index = 0;
    while index < wanted.len() {
        assert!(name[index] == wanted[index], "wrun-guest-macros and wrun-abi have different versions");
        index += 1;
    }
}
