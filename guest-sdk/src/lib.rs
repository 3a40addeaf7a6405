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
//! # Parameters
//!
//! A task's parameters say what it needs. Each is an extractor: a type that implements [`FromTask`].
//!
//! | parameter | what it gets |
//! |---|---|
//! | `&str`, `String` | the task's argument as text; for a file its path |
//! | `&[u8]`, `Vec<u8>` | the argument's bytes |
//! | any number, `bool`, `char` | the argument, parsed |
//! | [`Json<T>`] | the argument, parsed as JSON |
//! | [`Input`] | the task's first input, mapped whole or in parts, never copied |
//! | [`Inputs`] | all inputs: the task's own, then the job's shared ones; or the results that a reduce task merges |
//! | [`NpyView<T>`] | the array in the task's `.npy` file, or rows of it, mapped and never copied |
//! | [`NpyInput`] | the same before anything is mapped, for arrays of any type and size |
//! | [`Slice`], [`Slice<f64>`](Slice) | the task's output slice (`--out`, `--slice`), written in place |
//! | [`SliceParts`] | the same, mapped in parts |
//! | [`Shared`] | shared memory (`--shared`): numbers and histograms to which all tasks add |
//! | [`TaskIndex`] | the item's position in the job |
//! | [`Output`] | a writer that appends to the result |
//! | `&`[`Task`] | everything, for extractors of your own |
//!
//! # Results
//!
//! A task returns any type that implements [`IntoOutput`]: text, bytes, a number, [`Json<T>`], an array ([`Npy`]), `()`,
//! or a `Result` of one of these with any error that implements `Display`. A panic fails the task with its message and
//! location. [`info!`] and its siblings log.
//!
//! # Tests
//!
//! [`TestTask`] runs a task natively, in an ordinary unit test:
//!
//! ```
//! # use wrun_guest::Input;
//! # #[wrun_guest::task]
//! # fn sum(input: Input) -> Result<f64, wrun_guest::Error> {
//! #     Ok(input.as_slice::<f64>()?.iter().sum())
//! # }
//! use wrun_guest::TestTask;
//!
//! let numbers = [1.5f64, 2.0].map(f64::to_le_bytes).concat();
//! let result = TestTask::new().input("numbers.f64", numbers).run(|task| sum(task.extract()?));
//! assert_eq!(result.unwrap(), b"3.5");
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `json` (default) | [`Json<T>`] as a parameter and as a result |
//! | `arrow` | Arrow IPC files, as record batches whose buffers are windows |
//! | `ndarray` | `NpyView::array`, a view of the `ndarray` crate |
//! | `half` | half-precision numbers (`f2`) in `.npy` files |

#![deny(unsafe_code)]
#![warn(missing_docs)]

// Makes the macro's absolute paths work in this crate's own tests.
extern crate self as wrun_guest;

mod argument;
#[cfg(feature = "arrow")]
pub mod arrow;
mod error;
mod init;
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
/// The function itself does not change. On WebAssembly, the module gets the export `wrun:task/NAME`, which makes each
/// parameter with [`FromTask`], calls the function and writes what it returns with [`IntoOutput`]. If a parameter cannot be
/// made, for example because the argument is not a number, the task fails before the function is called.
///
/// `#[task(name = "word-count")]` gives the task a name other than the function's. A module can have many tasks;
/// `wrun map --call NAME` selects one.
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

/// Makes a function the module's initializer: it runs once, and all instances begin as it has left them.
///
/// `wrun` takes a snapshot of the module's memory after it and caches that, so its work costs tasks nothing. It has no parameters and
/// returns nothing, or a `Result<(), E>` with an error that implements `Display`. It can log. Whatever differs between tasks or runs
/// (arguments, inputs, the time, random numbers) ends it with a trap that names the call. A [`HashMap`](std::collections::HashMap) with
/// the default hasher takes random numbers; one with `BuildHasherDefault<DefaultHasher>` does not.
///
/// What it makes is kept in a `static`. In native tests nobody calls it, so tasks make it themselves there:
///
/// ```
/// use std::sync::OnceLock;
///
/// static PRIMES: OnceLock<Vec<u32>> = OnceLock::new();
///
/// fn primes() -> &'static [u32] {
///     PRIMES.get_or_init(|| (2..1000).filter(|n| (2..*n).all(|d| n % d != 0)).collect())
/// }
///
/// #[wrun_guest::init]
/// fn init() {
///     primes();
/// }
///
/// #[wrun_guest::task]
/// fn is_prime(number: u32) -> bool {
///     primes().binary_search(&number).is_ok()
/// }
/// ```
pub use wrun_guest_macros::init;

/// Called by the code that the macro generates; not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::init::{Initialized, assert_initializer_export, prepare_instance};
    pub use crate::task::{assert_task_export, run};
}

/// Compiles and runs the code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeExamples;
