//! What a task's WASI calls work on: clocks, random numbers, standard streams, granted directories.

mod clock;
mod context;
mod refused;
mod streams;

pub(super) use context::{Preopen, Wasi, WasiSettings, context};
pub(super) use refused::{Refused, Said};
