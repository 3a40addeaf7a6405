//! Run WebAssembly tasks over large files, in parallel, sandboxed, without copying the data.
//!
//! The modules below stand in the order in which a task passes through them; ARCHITECTURE.md follows one task with
//! file names.

pub mod input;
pub mod job;
pub mod module;
pub mod pool;

pub mod backend;
pub mod cache;
mod error;
mod guest;
pub mod outcome;
mod private_files;
pub mod result;
mod sandbox;
mod sys;
mod worker;

use wrun_ipc as ipc;

pub use cache::{NoTaskKey, ResultCache, TaskKey, TaskKeys};
pub use error::Error;
pub use input::{Input, Npy, NpyPieces, Pieces, SplitAt, SplitSize};
pub use job::{
    Admission, Argument, Directory, FailedSlice, Grants, Halt, HaltAt, Halted, InputMode, Job, Jobs, Limits, Measure,
    OutputFile, Retries, SharedArea, Shortage, Source, Task, TaskTime,
};
pub use module::{Compiler, Description, Module};
pub use outcome::{Event, Outcome, RunStats, Summary, WorkerSummary};
pub use pool::{EarlyWorker, Pool, PoolBuilder, Run, StopHandle};
pub use result::{Finished, NoStatus, Output, Status, TaskError, TaskStats, TaskUsage};
pub use sandbox::{Layer, Missing, Sandbox};
pub use sys::Waker;
pub use sys::machine::Machine;
pub use sys::path_access::Access;

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
