//! Runs guests: a worker's jobs, instances, windows and imports.
//!
//! From the top down, each file using those below it: `snapshot`, [`instance`], `initializer`; `outcome`, `linked_job`; `imports`, `task_world`,
//! `signals`; `input_faults`, `state`; `phase`; `wasi`; `files`; `job_context`, `stack_trace`, `window`.

mod argument;
mod argv;
#[cfg(test)]
mod atomics_tests;
mod code;
mod component;
mod component_function;
mod files;
mod host_error;
mod imports;
mod initializer;
mod input_faults;
mod instance;
mod job_context;
mod linked_job;
mod memory_usage;
mod open_files;
mod outcome;
mod phase;
mod scalar_text;
mod signals;
mod snapshot;
mod stack_trace;
mod state;
mod task_result;
mod task_world;
mod wasi;
mod window;

pub(crate) use instance::Guest;
pub(crate) use open_files::FileTable;
pub(crate) use signals::{answer_questions, this_thread_runs_guests};
pub(crate) use task_result::{MappedOutput, TaskResult};
