//! The attribute macro behind `wrun_guest::task`, which makes an ordinary function a task that `wrun` can call.
//!
//! Do not depend on this crate directly. The code that the macro generates refers to the `wrun-guest` crate, which
//! re-exports the macro and documents it with examples.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod task;

use proc_macro::TokenStream;

/// Makes a function a task; see `wrun_guest::task` for the documentation.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(options.into(), item.into()).into()
}
