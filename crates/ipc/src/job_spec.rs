//! A job, as its workers get it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::range::InputRange;

/// The file of output slices: task `k` has the bytes from `k * slice_bytes` to `(k + 1) * slice_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slices {
    /// The file's number in the worker's table.
    pub file: u32,
    /// The length of a slice in bytes, at least 1.
    pub slice_bytes: u64,
}

impl Slices {
    /// The output slice of the task with this index; `None` if it would lie beyond the largest offset of a file.
    pub fn range(&self, index: u64) -> Option<InputRange> {
        let offset = index.checked_mul(self.slice_bytes)?;
        let end = offset.checked_add(self.slice_bytes)?;
        (end <= i64::MAX as u64).then_some(InputRange { file: self.file, offset, len: self.slice_bytes })
    }
}

/// What a worker has to know about a job before the job's first task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// Identifies the module's code in this pool: a worker loads only one.
    pub module: u64,
    /// The module's name, which is argv\[0\] of a WASI program.
    pub module_name: String,
    /// The job's number in its pool, with which the worker can refuse it.
    pub number: u64,
    /// How many files in the worker's table belong to the job; all others are closed.
    pub file_count: u32,
    /// The functions that tasks call, by index.
    pub functions: Vec<Entry>,
    /// The inputs that all tasks share, in order, after a task's own.
    pub inputs: Vec<(String, InputRange)>,
    /// Whether tasks may write to their windows of inputs, each to a private copy.
    pub copy_on_write: bool,
    /// The file that holds the tasks' output slices, if there is one.
    pub slices: Option<Slices>,
    /// The shared memory that all tasks map writable, in order, after a task's output slice.
    pub shared_memories: Vec<(String, InputRange)>,
    /// The arguments of a WASI program, in which `{}` stands for the item.
    pub argv: Option<Vec<String>>,
    /// The exit codes with which a WASI program passes.
    pub ok_exit_codes: Vec<u8>,
    /// Whether a fresh instance is made for each task.
    pub fresh_instances: bool,
    /// Whether the tasks' standard input, output and error are descriptors that are sent in a message of their own.
    pub attached: bool,
    /// The limit of an argument, in bytes.
    pub argument_bytes: u64,
    /// The limit of memories and tables, in bytes.
    pub memory_bytes: u64,
    /// The limit of a result, in bytes.
    pub output_bytes: u64,
    /// Whether the module has a 64-bit memory.
    pub large_memories: bool,
    /// The most elements of a table.
    pub table_elements: u32,
    /// The stack for wasm frames, in bytes.
    pub stack_bytes: u64,
    /// The limit of log lines, in bytes.
    pub log_bytes: u64,
    /// Whether the code is a component's.
    pub component: bool,
    /// Whether the module's code counts fuel.
    pub counts_fuel: bool,
    /// The limit of fuel, in units.
    pub fuel: Option<u64>,
    /// Whether the output of a task that trapped is a core dump.
    pub core_dumps: bool,
    /// How many files may be open at the same time.
    pub open_files: u32,
    /// How many bytes one WASI call may copy from the guest.
    pub host_call_bytes: u64,
    /// The limit of what a task keeps in its scratch directory, in bytes; 0 for no such directory.
    pub scratch_bytes: u64,
    /// The guest's names for the worker's directories, in order.
    pub directories: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Whether tasks see the real time.
    pub real_clock: bool,
    /// When the clock of tasks starts that do not, in nanoseconds since 1970.
    pub clock_start_ns: u64,
    /// Whether tasks get real random numbers.
    pub real_random: bool,
    /// The seed of random numbers that are not real.
    pub seed: u64,
    /// Whether imported functions that the worker does not know trap when they are called.
    pub traps_unknown_imports: bool,
    /// The part of the exported memory that the module's data segments fill, in bytes from its start. Windows over memory of the
    /// guest's own must not lie there.
    pub initial_data: Range<u64>,
    /// Whether windows that can be written have inaccessible pages around them.
    pub guards: bool,
    /// The export to call in each instance before its first task, as the module's initializer.
    pub initializer: Option<String>,
}
