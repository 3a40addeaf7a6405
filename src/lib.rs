//! Run WebAssembly tasks over large files, in parallel, sandboxed, without copying the data.
//!
//! The modules below stand in the order in which a task passes through them; ARCHITECTURE.md follows one task with
//! file names.

pub mod input;
pub mod job;
pub mod module;
pub mod pool;

mod admission;
mod argument;
pub mod backend;
mod contents;
mod error;
mod event;
mod failure;
mod grants;
mod guest;
mod ipc;
mod kept;
mod key;
mod region;
pub mod results;
mod sandbox;
mod source;
mod status;
mod summary;
mod sys;
mod worker;

pub use admission::{Admission, Machine, Measure, Shortage};
pub use argument::Argument;
pub use error::Error;
pub use event::{Event, NoStatus, Outcome, Output, RunStats, Status, TaskError, TaskStats, TaskUsage};
pub use failure::{Halt, HaltAt, Halted, Retries};
pub use grants::{Access, Directory, Grants};
pub use input::{Input, Npy, NpyPieces, Pieces, SplitAt, SplitSize};
pub use job::{Finished, Job, Limits, Task, TaskTime};
pub use key::{NoTaskKey, TaskKey, TaskKeys};
pub use module::{Compiler, Description, Module};
pub use pool::{EarlyWorker, Jobs, Pool, PoolBuilder, Run, StopHandle};
pub use region::{FailedSlice, InputMode, OutputFile, SharedArea};
pub use results::ResultCache;
pub use sandbox::{Layer, Missing, Sandbox};
pub use source::{Source, Waker};
pub use summary::{Summary, WorkerSummary};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Makes this program able to be its own worker: call it first in `main`.
///
/// Where the program was started as a worker or as a compiler (by this crate, with hidden arguments), this does that
/// part's work and does not return. Programs that do not call it name a `wrun` executable with
/// [`PoolBuilder::worker_exe`] and [`Compiler::exe`].
pub fn init() {
    if sys::self_exe::is_started_again() {
        match std::env::args().nth(2).as_deref() {
            Some(module::HELPER_ROLE) => module::helper_main(),
            Some(ipc::WORKER_ROLE) => {
                let parent = std::env::args().nth(3).and_then(|pid| pid.parse().ok());
                std::process::exit(worker::main(parent.unwrap_or_default()))
            }
            _ => {}
        }
    }
    sys::self_exe::mark_init();
}
