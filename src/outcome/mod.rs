//! How tasks ended, as a run reports it.
//!
//! The crate's root exports what most programs need; the rest is here.

pub(crate) mod event;
mod summary;
pub(crate) mod task_outcome;

pub(crate) use event::{Event, RunStats};
pub use summary::{Summary, WorkerSummary};
pub(crate) use task_outcome::Outcome;
