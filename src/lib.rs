//! Run WebAssembly tasks over large files: in parallel, sandboxed, without copying the data.
//!
//! A [`Pool`] keeps worker processes, each confined by the system. A [`Job`] names a function of a [`Module`] and what its tasks
//! share. [`Pool::map`] runs the job over any number of [`Task`]s and returns their [`Outcome`]s:
//!
//! ```no_run
//! use wrun::{Input, Job, Module, Pool, SplitAt, SplitSize};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     wrun::init();
//!     let job = Job::new(&Module::from_file("wordcount.wasm")?).call("count");
//!     let pieces = Input::open("corpus.txt")?.split(SplitSize::Bytes(16 << 20), SplitAt::Lines)?;
//!     let mut pool = Pool::builder().build()?;
//!     for outcome in pool.map(&job, pieces)? {
//!         match &outcome.result {
//!             Ok(counts) => println!("{}", String::from_utf8_lossy(counts)),
//!             Err(error) => eprintln!("piece {}: {error}", outcome.index),
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Getting started
//!
//! Call [`init`] first in `main`. Workers and the compiler are the same program, started again; `init` takes over there. A program
//! that cannot call it sets [`PoolBuilder::worker_exe`] and [`Compiler::exe`] to a `wrun` executable instead.
//!
//! A failing task is a value: [`Outcome::result`] is a [`TaskError`], and the run goes on. An [`Error`] stops a request.
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | begin instances after an initializer | [`Compiler::snapshot`](field@Compiler::snapshot), [`Snapshot`] |
//! | load and compile modules | [`Module`], [`Compiler`], [`module`] |
//! | describe what to run | [`Job`], [`Task`], [`Argument`], [`Limits`], [`Source`], [`job`] |
//! | give tasks data without copying it | [`Input`], [`SplitAt`], [`SplitSize`], [`input`] (also for NumPy's arrays) |
//! | let tasks write in place | [`OutputFile`], [`SharedMemory`] |
//! | grant directories, the environment, time | [`Grants`], [`Directory`] |
//! | retry failed tasks, or end a run early | [`Retries`], [`Halt`], [`StopHandle`] |
//! | watch a run | [`Run::observe`], [`Event`], [`RunStats`], [`outcome::Summary`] |
//! | look at results | [`Outcome`], [`Output`], [`Status`], [`TaskStats`], [`mod@result`] |
//! | merge results | [`Run::reduce`] |
//! | keep results for later runs | [`cache::ResultCache`], [`cache::TaskKeys`] |
//! | run tasks in threads, inline, or elsewhere | [`PoolBuilder::backend`], [`backend`] |
//! | know how workers are confined | [`Sandbox`], [`sandbox`] |
//! | stop and continue a program with its workers | [`signals`] |

pub mod input;
pub mod job;
pub mod module;
mod pool;

pub mod backend;
pub mod cache;
mod error;
mod guest;
pub mod outcome;
mod private_files;
pub mod result;
pub mod sandbox;
mod shown;
pub mod signals;
mod snapshot;
mod sys;
#[cfg(test)]
mod test_program;
mod worker;

use wrun_ipc as ipc;

pub use error::{Error, ErrorKind};
pub use input::file_range::Input;
pub use input::split::{SplitAt, SplitSize};
pub use job::argument::Argument;
pub use job::failure::{Halt, HaltAt, Retries};
pub use job::grants::{Directory, Grants};
pub use job::limits::Limits;
pub use job::output_file::OutputFile;
pub use job::request::Job;
pub use job::shared_memory::SharedMemory;
pub use job::source::Source;
pub use job::task::Task;
pub use job::worker_count::Jobs;
pub use module::compiled::Module;
pub use module::compiler::Compiler;
pub use outcome::event::{Event, RunStats};
pub use outcome::task_outcome::Outcome;
pub use pool::{EarlyWorker, Pool, PoolBuilder, Run, StopHandle};
pub use result::output::Output;
pub use result::stats::TaskStats;
pub use result::task_error::TaskError;
pub use snapshot::{Snapshot, SnapshotOptions};
#[doc(inline)]
pub use wrun_ipc::Status;
#[doc(inline)]
pub use wrun_ipc::confinement::{Access, Sandbox};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Lets this program be its own worker and compiler. Call it first in `main`.
///
/// If this crate started the program as a worker or as a compiler (with hidden arguments), this does that work and does not return.
/// Programs that do not call it set [`PoolBuilder::worker_exe`] and [`Compiler::exe`] to a `wrun` executable.
pub fn init() {
    if sys::self_exe::is_started_again() {
        match std::env::args().nth(2).as_deref() {
            Some(module::HELPER_ROLE) => with_enough_stack(|| module::helper_main()),
            Some(module::SNAPSHOT_ROLE) => with_enough_stack(|| worker::snapshot_main()),
            Some(ipc::WORKER_ROLE) => {
                let parent = std::env::args().nth(3).and_then(|pid| pid.parse().ok());
                with_enough_stack(|| std::process::exit(worker::main(parent.unwrap_or_default())))
            }
            _ => {}
        }
    }
    sys::self_exe::mark_init();
}

/// Runs `act` with a stack of a usual size, however small the main thread's is (`ulimit -s`).
fn with_enough_stack<R>(act: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(MAIN_STACK_BYTES, MAIN_STACK_BYTES, act)
}

const MAIN_STACK_BYTES: usize = 4 << 20;

/// What users may rely on: these types can be sent to other threads and shared by them.
const _: () = {
    const fn send<T: Send>() {}
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<(Argument, Compiler, Directory, Error, Grants, Input, Job, Limits, Module)>();
    send_and_sync::<(Outcome, Output, OutputFile, SharedMemory, StopHandle, Task, TaskError, TaskStats)>();
    send_and_sync::<(backend::TaskEnd, backend::Waker, cache::ResultCache, input::Npy, result::Finished)>();
    send::<(Pool, PoolBuilder, EarlyWorker, input::Pieces, job::NpyPieces, outcome::Summary)>();
};
