//! The attribute macro of `wrun-guest`; use it as `wrun_guest::task`, where it is documented.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod task;

use proc_macro::TokenStream;

/// Makes a function a task; documented where it is used, in the `wrun-guest` crate.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(options.into(), item.into()).into()
}
