//! The state behind a task's WASI calls: clock, random numbers, standard streams, granted directories.

mod clock;
mod context;
mod listings;
mod refused;
mod streams;

pub(super) use clock::{TaskClock, Wakening};
pub(super) use context::{Preopen, Wasi, WasiSettings, context};
pub(super) use listings::{Listing, MAX_BYTES as MAX_LISTING_BYTES};
pub(super) use refused::{Refused, Said};
