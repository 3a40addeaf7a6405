//! Files that tasks read, and how to cut them into ranges and pieces. Nothing is mapped here.
//!
//! ```text
//! path ──open──▶ Input (the whole file) ──slice──▶ Input (a range) ──split──▶ Pieces: Input, Input, ...
//! ```
//!
//! All inputs made from one open file share its descriptor, which stays open as long as one of them exists.
//!
//! The crate's root exports what most programs need; the rest is here.

pub(crate) mod file_range;
mod npy;
pub(crate) mod split;

pub(crate) use file_range::{Input, must_be_regular};
pub use npy::Npy;
pub use split::Pieces;
pub(crate) use split::{SplitAt, SplitSize};
#[doc(inline)]
pub use wrun_npy::{Dtype, Kind as DtypeKind, Order as ByteOrder};
