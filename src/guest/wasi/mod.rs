//! The state behind a task's WASI calls: clock, random numbers, standard streams, granted directories.

mod clock;
mod context;
mod refused;
mod streams;

pub(super) use clock::TaskClock;
pub(super) use context::{Preopen, Wasi, WasiSettings, context};
pub(super) use refused::{Refused, Said};
