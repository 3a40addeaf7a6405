//! What executors report to the dispatcher, and what the dispatcher reports to its run.

use std::time::Duration;

use super::record::{Ended, Pending};
use crate::Error;
use crate::job::{Halted, Shortage};
use crate::sandbox::MissingLayer;

/// What an executor reports of the attempts that it was given, and of itself.
#[derive(Debug)]
pub(super) enum Report {
    /// An attempt ended.
    Ended(Ended),
    /// A task comes back to be run by somebody else. That is no attempt, whether or not its code `began`.
    Returned { pending: Pending, began: bool },
    /// The executor cancelled an attempt before it started, and says why.
    NeverStarted { pending: Pending, message: String },
    /// Something to pass on to the observer.
    Notice(Notice),
    /// Nothing more should start, because it would go as it went so far; attempts that run will end.
    Halted(Halted),
    /// No more attempts can be run, and the run ends.
    Failed(Error),
}

/// What an observer gets to see besides outcomes.
#[derive(Debug)]
pub(super) enum Notice {
    /// A worker died and is being replaced; `reason` follows "worker 3".
    WorkerLost { worker: u32, reason: String },
    /// Workers lack these layers of confinement.
    Unconfined(Vec<MissingLayer>),
    /// The attempt with this ticket is slow, and had not ended when this was noted.
    Slow { worker: u32, ticket: u64, elapsed: Duration },
    /// The machine has too little to spare, so nothing starts.
    HeldUp(Shortage),
    /// A task gave its memory back and will run again.
    Requeued { worker: u32, index: u64 },
}
