//! What executors report to the dispatcher, and what the dispatcher reports to its run.

use std::time::Duration;

use super::record::{Ended, Pending};
use crate::Error;
use crate::job::{Halted, Shortage};
use crate::sandbox::MissingLayer;

/// What an executor reports about the attempts that it was given, and about itself.
#[derive(Debug)]
pub(super) enum Report {
    /// An attempt ended.
    Ended(Ended),
    /// A task is returned, to be run elsewhere. This does not count as an attempt, whether or not its code `began`.
    Returned { pending: Pending, began: bool },
    /// The executor cancelled an attempt before it started; `message` says why.
    NeverStarted { pending: Pending, message: String },
    /// Something to pass on to the observer.
    Notice(Notice),
    /// No more attempts should start, because they would fare no better; attempts that run will end.
    Halted(Halted),
    /// No more attempts can run, so the run ends.
    Failed(Error),
}

/// What is reported to an observer besides outcomes.
#[derive(Debug)]
pub(super) enum Notice {
    /// A worker died and is being replaced; `reason` follows "worker 3".
    WorkerLost { worker: u32, reason: String },
    /// The run goes on with fewer workers than it may have; `reason` follows "a worker".
    FewerWorkers { reason: String },
    /// Workers lack these layers of confinement.
    Unconfined(Vec<MissingLayer>),
    /// The attempt with this ticket is slow; it had not ended when this was noted.
    Slow { worker: u32, ticket: u64, elapsed: Duration },
    /// The machine has too little memory or processor time to spare, so nothing starts.
    HeldUp(Shortage),
    /// A task was stopped to free its memory and will run again.
    Requeued { worker: u32, index: u64 },
}
