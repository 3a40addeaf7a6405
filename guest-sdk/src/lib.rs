//! Write WebAssembly tasks for `wrun` as ordinary Rust functions.
//!
//! ```
//! use wrun_guest::Input;
//!
//! /// The sum of the numbers in a file of little-endian `f64`.
//! #[wrun_guest::task]
//! fn sum(input: Input) -> Result<f64, wrun_guest::Error> {
//!     Ok(input.as_slice::<f64>()?.iter().sum())
//! }
//! ```
//!
//! Build it as a `cdylib` for `wasm32-wasip1` (or `wasm32-unknown-unknown`) and run it over the pieces of a file:
//!
//! ```text
//! wrun map target/wasm32-wasip1/release/sums.wasm --split 64M --split-at record:8 numbers.f64
//! ```
//!
//! A task's parameters say what it needs; each is an extractor, a type that implements [`FromTask`]:
//!
//! | parameter | what it gets |
//! |---|---|
//! | `&str`, `String` | the task's argument as text, for a file its path |
//! | `&[u8]`, `Vec<u8>` | the argument's bytes |
//! | any number, `bool`, `char` | the argument, parsed |
//! | [`Json<T>`] | the argument, parsed as JSON |
//! | [`Input`] | the task's first input, to be mapped whole or in parts, never copied |
//! | [`Inputs`] | all inputs: the task's own, then those that the job shares; or what a reduce task merges |
//! | [`NpyView<T>`] | the array in the task's `.npy` file, or rows of it, mapped and never copied |
//! | [`NpyInput`] | the same before anything of it is mapped, for arrays of any type and size |
//! | [`Slice`], [`Slice<f64>`](Slice) | the task's own part of the output file (`--out`, `--slice`), to be written in place |
//! | [`SliceParts`] | the same, to be mapped in parts |
//! | [`Shared`] | numbers and histograms to which all tasks add (`--shared`) |
//! | [`TaskIndex`] | the item's position in the job |
//! | [`Output`] | a writer to the result, for results that grow as they are found |
//! | `&`[`Task`] | everything, for extractors of your own |
//!
//! What it returns is its result, if it implements [`IntoOutput`]: text, bytes, numbers, [`Json<T>`], an array ([`Npy`]), nothing, or a
//! `Result` of those with any error that can be displayed. A panic fails the task with its message and location.
//!
//! The order in the code: a [`Task`] is what the export of [`task`](macro@task) makes; [`FromTask`] takes from it; [`Input`] maps
//! [`Window`]s; [`IntoOutput`] writes to [`Output`]. [`TestTask`] does the same natively, for unit tests.

#![deny(unsafe_code)]
#![warn(missing_docs)]

// Lets the macro's absolute paths work in this crate's own tests.
extern crate self as wrun_guest;

mod argument;
#[cfg(feature = "arrow")]
pub mod arrow;
mod error;
mod input;
mod inputs;
#[cfg(feature = "json")]
mod json;
mod lines;
mod log;
mod npy;
mod npy_output;
mod output;
pub mod raw;
mod shared;
mod slice;
mod task;
#[cfg(not(target_family = "wasm"))]
mod test_task;

pub use error::Error;
pub use input::{Chunks, Input};
pub use inputs::Inputs;
#[cfg(feature = "json")]
pub use json::Json;
pub use lines::{Line, Lines};
pub use log::log;
pub use npy::{Element, NpyInput, NpyView};
pub use npy_output::{Npy, NpyBuffer};
pub use output::{IntoOutput, Output};
pub use raw::{OutputBuffer, Pod, Window, WindowMut};
pub use shared::{Shared, SharedF64, SharedHistogram, SharedI64, SharedNumber, SharedSlice, SharedU64, SharedValue};
pub use slice::{Slice, SliceParts};
pub use task::{FromTask, Task, TaskIndex};
#[cfg(not(target_family = "wasm"))]
pub use test_task::{TestTask, WrittenInPlace};
pub use wrun_abi::Level;
pub use wrun_npy::{Dtype, Kind as DtypeKind, Order as ByteOrder};

/// Makes a function a task that `wrun` can call by the function's name.
///
/// The function itself stays as it is. On WebAssembly the module gets the export `wrun:task/NAME`, which makes each
/// parameter by [`FromTask`], calls the function and passes on what it returns by [`IntoOutput`]. A parameter that
/// cannot be made, for example a number whose argument is no number, fails the task before the function is called.
///
/// `#[task(name = "word-count")]` gives the task another name than the function's. A module may have many tasks;
/// `wrun map --call NAME` picks one.
///
/// ```
/// #[wrun_guest::task]
/// fn hypotenuse(text: &str) -> Result<f64, String> {
///     let (a, b) = text.split_once(' ').ok_or("give two numbers, such as \"3 4\"")?;
///     let number = |s: &str| s.parse::<f64>().map_err(|error| format!("{s:?}: {error}"));
///     Ok(number(a)?.hypot(number(b)?))
/// }
/// ```
pub use wrun_guest_macros::task;

/// What the macro's code calls; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::task::{assert_task_export, run};
}
