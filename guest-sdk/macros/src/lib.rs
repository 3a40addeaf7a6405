//! The attribute macros behind `wrun_guest::task` and `wrun_guest::init`, which make an ordinary function a task that `wrun` can call,
//! or a module's initializer.
//!
//! Do not depend on this crate directly. The code that the macros generate refers to the `wrun-guest` crate, which
//! re-exports the macros and documents them with examples.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod init;
mod task;

use proc_macro::TokenStream;

/// Makes a function a task; see `wrun_guest::task` for the documentation.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(options.into(), item.into()).into()
}

/// Makes a function the module's initializer; see `wrun_guest::init` for the documentation.
#[proc_macro_attribute]
pub fn init(options: TokenStream, item: TokenStream) -> TokenStream {
    init::expand(options.into(), item.into()).into()
}

/// A function with its export, or with a compile error that points at the problem.
///
/// The function is kept even on an error, so that the compiler does not also report it as missing.
fn beside(
    function: &proc_macro2::TokenStream,
    export: Result<proc_macro2::TokenStream, syn::Error>,
) -> proc_macro2::TokenStream {
    let added = export.unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#function #added)
}
