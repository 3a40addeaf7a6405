//! What all tasks of a job know of it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use wasmtime_wasi::FsPerms;

use super::open_files::{FileTable, GuestInput};
use super::stack_trace::Symbols;
use crate::Access;
use crate::ipc::ring::MemoryNotes;
use crate::ipc::wire::JobSpec;

/// A job's description, and the files that it names.
pub(super) struct JobContext {
    pub spec: JobSpec,
    /// The inputs that all tasks share.
    pub inputs: Vec<GuestInput>,
    /// The shared memory of all tasks.
    pub shared_memories: Vec<GuestInput>,
    pub uses_wasi: bool,
    pub symbols: Arc<Symbols>,
    /// The descriptors of a program that is attached to them.
    pub stdio: Option<[Arc<File>; 3]>,
    /// The directories that tasks may use.
    pub preopens: Vec<Preopen>,
    /// Where the memory of the running task is noted, in a worker.
    pub memory_notes: Option<MemoryNotes>,
}

impl JobContext {
    /// Looks the files up that the job names.
    pub fn new(
        spec: JobSpec,
        uses_wasi: bool,
        symbols: Arc<Symbols>,
        files: &FileTable,
        stdio: Option<[File; 3]>,
        directories: &[(File, Access)],
    ) -> JobContext {
        let directories = spec.directories.iter().zip(directories);
        JobContext {
            inputs: spec.inputs.iter().map(|(_, range)| files.input(range)).collect(),
            shared_memories: spec.shared_memories.iter().map(|(_, range)| files.input(range)).collect(),
            uses_wasi,
            symbols,
            stdio: stdio.map(|files| files.map(Arc::new)),
            preopens: directories.map(|(name, directory)| Preopen::new(name, directory)).collect(),
            memory_notes: None,
            spec,
        }
    }

    /// Whether each task needs its WASI context before it runs: one with directories or words may be refused.
    pub fn needs_context(&self) -> bool {
        !self.preopens.is_empty() || self.has_component_words()
    }

    /// Whether it has words for the tasks of a component, which get them with the context.
    pub fn has_component_words(&self) -> bool {
        self.spec.component && self.spec.argv.is_some()
    }

    /// What an initializer may see that a task's instance calls: neither what was granted to the task nor what it works on.
    pub fn for_initializer(&self) -> JobContext {
        let spec = JobSpec {
            inputs: Vec::new(),
            shared_memories: Vec::new(),
            slices: None,
            attached: false,
            directories: Vec::new(),
            environment: Vec::new(),
            scratch_bytes: 0,
            ..self.spec.clone()
        };
        JobContext {
            spec,
            inputs: Vec::new(),
            shared_memories: Vec::new(),
            uses_wasi: self.uses_wasi,
            symbols: self.symbols.clone(),
            stdio: None,
            preopens: Vec::new(),
            memory_notes: self.memory_notes.clone(),
        }
    }
}

/// A directory that tasks may use.
pub(super) struct Preopen {
    /// A path to the open directory: a context accepts only paths.
    pub host_path: String,
    pub guest_path: String,
    pub perms: FsPerms,
}

impl Preopen {
    /// A directory that the guest sees as `guest_path`. The descriptor must stay open as long as the process lives.
    pub fn new(guest_path: &str, (directory, access): &(File, Access)) -> Preopen {
        let perms = match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let host_path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Preopen { host_path, guest_path: guest_path.to_owned(), perms }
    }
}

#[cfg(test)]
pub(super) mod for_tests {
    use wasmtime::{Engine, Module};

    use super::*;
    use crate::guest::code::Code;

    /// A job of an empty module.
    pub fn empty(engine: &Engine) -> JobContext {
        let module = Module::new(engine, "(module)").expect("a valid module");
        let spec = JobSpec {
            number: 0,
            module: 0,
            module_name: "empty".into(),
            file_count: 0,
            functions: vec![],
            inputs: vec![],
            copy_on_write: false,
            slices: None,
            shared_memories: vec![],
            argv: None,
            ok_exit_codes: vec![0],
            fresh_instances: true,
            attached: false,
            argument_bytes: 64 << 10,
            memory_bytes: 1 << 30,
            output_bytes: 1 << 20,
            large_memories: false,
            table_elements: 1 << 18,
            stack_bytes: 1 << 20,
            log_bytes: 1 << 10,
            component: false,
            counts_fuel: false,
            fuel: None,
            core_dumps: false,
            open_files: 16,
            host_call_bytes: 1 << 20,
            scratch_bytes: 1 << 20,
            directories: vec![],
            environment: vec![],
            real_clock: false,
            clock_start_ns: 0,
            real_random: false,
            seed: 0,
            traps_unknown_imports: false,
            initial_data: 0..0,
            guards: true,
            initializer: None,
        };
        let symbols = Arc::new(Symbols::new(Code::Module(module), None));
        JobContext::new(spec, false, symbols, &FileTable::default(), None, &[])
    }
}
