//! A job, checked and made ready for workers. Mistakes in it are reported here, before any task runs.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::backend::{BuiltIn, Call};
use crate::ipc::Setting;
use crate::ipc::wire::{
    InputRange, JobSpec, MAP, MAX_BACKTRACE_BYTES, REDUCE, Slices, max_core_dump_bytes, max_message_bytes,
    max_text_bytes,
};
use crate::job::InputMode;
use crate::job::Instances;
use crate::job::TaskTime;
use crate::job::UnknownImports;
use crate::module::Entry;
use crate::{Access, Directory, Error, Grants, Input, Job, Limits, Module, OutputFile, Result, Task};

/// A job as workers get it.
#[derive(Debug)]
pub(super) struct PreparedJob {
    pub module: Module,
    /// Whether failed tasks may send a core dump.
    pub core_dumps: bool,
    pub limits: Limits,
    pub slow: Option<TaskTime>,
    /// The files of the shared inputs, in the order of their numbers in a worker's table.
    pub files: Vec<Input>,
    /// The files that tasks write; their numbers follow.
    pub region_files: Vec<Arc<File>>,
    /// The file that holds the tasks' output slices.
    pub out: Option<OutputFile>,
    /// The directories that tasks may use.
    pub directories: Vec<Directory>,
    /// Standard input, output and error for an attached program.
    pub stdio: Option<[File; 3]>,
    spec: JobSpec,
}

/// What a worker loads once: the module's code, and the settings of the engine for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoadedCode {
    module: u64,
    stack_bytes: u64,
    table_elements: u32,
    core_dumps: bool,
}

/// Where the standard streams of a WASI program go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdio {
    /// Into the outcome.
    Captured,
    /// To this process's own streams.
    Attached,
}

impl PreparedJob {
    /// Checks everything about the job that does not depend on its tasks.
    pub fn new(job: &Job, stdio: Stdio) -> Result<PreparedJob> {
        let entry = job.module.entry(job.call.as_deref(), None)?;
        match job.unknown_imports {
            UnknownImports::Refuse => job.module.check_imports()?,
            UnknownImports::Trap => job.module.check_known_imports()?,
        }
        check_program(job, &entry)?;
        if job.core_dumps && job.module.description().component {
            let message = format!("{} is a component, and core dumps are of modules only", job.module.name());
            return Err(Error::request(message).because_of(Setting::CoreDumps));
        }
        if entry == Entry::Command && job.instances == Instances::Reused {
            let message = format!("{} is a WASI command, whose instance cannot be entered twice", job.module.name());
            return Err(Error::request(message).because_of(Setting::FreshInstances));
        }
        check_component(job)?;
        if let Some(word) = job.argv.iter().flatten().find(|word| word.contains('\0')) {
            return Err(Error::request(format!("the word {word:?} contains a NUL byte, which an argument cannot")));
        }
        check_limits(job)?;
        check_grants(&job.grants)?;
        let (files, inputs) = shared_inputs(job)?;
        let (region_files, slices, shared_memories) = regions(job, files.len() as u32)?;
        let stdio = match stdio {
            Stdio::Captured => None,
            Stdio::Attached => Some(own_stdio()?),
        };
        let limits = job.limits.clone();
        let spec = JobSpec {
            number: 0,
            module: job.module.id(),
            module_name: job.module.name().to_owned(),
            file_count: (files.len() + region_files.len()) as u32,
            functions: vec![entry],
            inputs,
            copy_on_write: job.input_mode == InputMode::CopyOnWrite,
            slices,
            shared_memories,
            argv: job.argv.clone(),
            ok_exit_codes: job.ok_exit_codes.clone(),
            fresh_instances: job.instances == Instances::Fresh,
            attached: stdio.is_some(),
            argument_bytes: limits.argument_bytes,
            memory_bytes: limits.memory_bytes,
            output_bytes: limits.output_bytes,
            large_memories: job.module.description().large_memories,
            table_elements: limits.table_elements,
            stack_bytes: limits.stack_bytes,
            log_bytes: limits.log_bytes,
            component: job.module.description().component,
            counts_fuel: job.module.counts_fuel(),
            fuel: limits.fuel,
            core_dumps: job.core_dumps,
            open_files: limits.open_files,
            host_call_bytes: limits.host_call_bytes,
            scratch_bytes: limits.scratch_bytes,
            directories: job.grants.directories.iter().map(|directory| directory.guest_path().to_owned()).collect(),
            environment: job.grants.environment.clone(),
            real_clock: job.grants.clock,
            clock_start_ns: clock_start_ns(job.clock_start)?,
            real_random: job.grants.random,
            seed: job.seed,
            traps_unknown_imports: job.unknown_imports == UnknownImports::Trap,
            initial_data: job.module.description().initial_data(),
            guards: !job.module.description().grows_safely,
            initializer: job.module.description().calls_initializer().then(|| wrun_abi::INITIALIZER_EXPORT.to_owned()),
        };
        let directories = job.grants.directories.clone();
        let slow = job.slow;
        let core_dumps = job.core_dumps;
        Ok(PreparedJob {
            module: job.module.clone(),
            core_dumps,
            limits,
            slow,
            files,
            region_files,
            out: job.out.clone(),
            directories,
            stdio,
            spec,
        })
    }

    /// What the job's workers load.
    pub fn code(&self) -> LoadedCode {
        let Limits { stack_bytes, table_elements, .. } = self.limits;
        LoadedCode { module: self.module.id(), stack_bytes, table_elements, core_dumps: self.core_dumps }
    }

    /// The most bytes of a failed task's core dump.
    pub fn core_dump_bytes(&self) -> u64 {
        if self.core_dumps { max_core_dump_bytes(self.limits.memory_bytes) } else { 0 }
    }

    /// The most bytes of a completion's payload: a core dump, an output, a message, a backtrace and a log.
    pub fn most_payload_bytes(&self) -> u64 {
        let log_bytes = self.limits.log_bytes;
        let texts = [max_message_bytes(log_bytes), MAX_BACKTRACE_BYTES, max_text_bytes(log_bytes)];
        let output = self.core_dump_bytes().saturating_add(self.limits.output_bytes);
        texts.iter().fold(output, |sum, len| sum.saturating_add(*len as u64))
    }

    /// What map tasks call.
    pub fn map_entry(&self) -> &Entry {
        &self.spec.functions[MAP as usize]
    }

    /// Lets tasks call the merge function `name`.
    pub fn add_merge(&mut self, name: &str) -> Result<()> {
        let entry = merge_entry(&self.module, name)?;
        self.spec.functions.truncate(REDUCE as usize);
        self.spec.functions.push(entry);
        Ok(())
    }

    /// The description of the job that workers get, under this number.
    pub fn spec(&self, number: u64) -> JobSpec {
        JobSpec { number, ..self.spec.clone() }
    }

    /// The same, in a sealed memory file.
    pub fn spec_file(&self, number: u64) -> Result<Input> {
        let bytes = postcard::to_stdvec(&self.spec(number))
            .map_err(|error| Error::request(format!("cannot describe the job to workers: {error}")))?;
        Input::from_bytes("job", &bytes)
    }

    /// A message's name for the region that a task sees at `index` when it makes this call.
    pub fn region_name(&self, call: Call, index: usize) -> String {
        let slices = self.out.as_ref().filter(|_| call == Call::Map);
        match (slices, index.checked_sub(usize::from(slices.is_some()))) {
            (Some(out), None) => format!("output file {:?}", out.name()),
            (_, shared) => match shared.and_then(|shared| self.spec.shared_memories.get(shared)) {
                Some((name, _)) => format!("shared memory {name:?}"),
                None => format!("region {index}"),
            },
        }
    }

    /// The name of the input that a task sees at `index`.
    pub fn input_name(&self, own: &[Input], index: usize) -> String {
        match index.checked_sub(own.len()) {
            None => crate::shown::shown(own[index].label().as_encoded_bytes()).into_owned(),
            Some(shared) => self.spec.inputs.get(shared).map_or_else(|| format!("#{index}"), |(name, _)| name.clone()),
        }
    }
}

/// The entry that merge tasks of `module` call.
///
/// # Errors
///
/// If the module has no such task.
pub(super) fn merge_entry(module: &Module, name: &str) -> Result<Entry> {
    let description = module.description();
    match module.entry(Some(name), None)? {
        Entry::Task(_) if !description.reads_results() => Err(Error::request(format!(
            "{name:?} cannot merge: results are its inputs, and module {} imports no {}",
            module.name(),
            if description.component { "wrun:task/inputs" } else { "wrun_v1::input_*" }
        ))),
        entry @ Entry::Task(_) => Ok(entry),
        _ => {
            let task = match description.component {
                true => "a function `func() -> result<_, string>`",
                false => "an export `wrun:task/NAME`",
            };
            Err(Error::request(format!(
                "{name:?} cannot merge: only a task ({task}) can read the results as its inputs"
            )))
        }
    }
}

/// The files behind a job's regions, and the output slices and shared memory in them.
type Regions = (Vec<Arc<File>>, Option<Slices>, NamedRanges);

/// Checks a job's regions; numbers their files from `first` on.
fn regions(job: &Job, first: u32) -> Result<Regions> {
    let output_file = job.out.as_ref().and_then(|_| job.module.unseen_output_file());
    let shared_memory = || job.shared.first().and_then(|_| job.module.unseen_shared_memory());
    if let Some(message) = output_file.or_else(shared_memory) {
        return Err(Error::request(message));
    }
    let (mut files, mut shared_memories) = (Vec::new(), NamedRanges::new());
    let inputs = || job.inputs.iter();
    if let Some((name, _)) = inputs().find(|(_, input)| job.out.as_ref().is_some_and(|out| out.is_file_of(input))) {
        return Err(Error::request(format!("input {name:?} is the output file; give another file for one of them")));
    }
    let slices = job.out.as_ref().map(|out| {
        files.push(out.opened());
        Slices { file: first, slice_bytes: out.slice_bytes() }
    });
    for (name, memory) in &job.shared {
        if name.is_empty() {
            return Err(Error::request("shared memory needs a name"));
        }
        if shared_memories.iter().any(|(other, _)| other == name) {
            return Err(Error::request(format!("there are two shared memories named {name:?}")));
        }
        if let Some((input, _)) = inputs().find(|(_, input)| memory.is_file_of(input)) {
            return Err(Error::request(format!(
                "input {input:?} is the file of shared memory {name:?}; give another file for one of them"
            )));
        }
        if job.out.as_ref().is_some_and(|out| out.is_file_of_shared(memory)) {
            return Err(Error::request(format!(
                "shared memory {name:?} is the output file, whose slices are a task's own; give another file for one of them"
            )));
        }
        shared_memories
            .push((name.clone(), InputRange { file: first + files.len() as u32, offset: 0, len: memory.len() }));
        files.push(memory.opened());
    }
    Ok((files, slices, shared_memories))
}

fn check_limits(job: &Job) -> Result<()> {
    let Limits { stack_bytes, argument_bytes, open_files, memories, tables, table_elements, .. } = job.limits;
    let stack = (stack_bytes, 1, Limits::MAX_STACK_BYTES, "stack");
    let argument = (argument_bytes, 0, Task::MAX_ARGUMENT_BYTES as u64, "argument");
    for (bytes, least, most, what) in [stack, argument] {
        if !(least..=most).contains(&bytes) {
            return Err(Error::request(format!(
                "a limit of {bytes} bytes for the {what} is not possible: give at least {least} and at most {most}"
            )));
        }
    }
    if open_files > Limits::MAX_OPEN_FILES {
        let most = Limits::MAX_OPEN_FILES;
        return Err(Error::request(format!(
            "a limit of {open_files} open files per task is not possible: give at most {most}"
        )));
    }
    if table_elements > Limits::MAX_TABLE_ELEMENTS {
        let most = Limits::MAX_TABLE_ELEMENTS;
        return Err(Error::request(format!(
            "a limit of {table_elements} elements of a table is not possible: give at most {most}"
        )));
    }
    let (module, description) = (job.module.name(), job.module.description());
    for (count, limit, what, setting) in [
        (description.memories, memories, "memories", Setting::Memories),
        (description.tables, tables, "tables", Setting::Tables),
    ] {
        if count > limit {
            let message = format!("module {module} has {count} {what}, and the limit is {limit}");
            return Err(Error::module(message).because_of(setting));
        }
    }
    if description.table_elements > u64::from(table_elements) {
        let count = description.table_elements;
        let message = format!("module {module} has a table of {count} elements, and the limit is {table_elements}");
        return Err(Error::module(message).because_of(Setting::TableElements));
    }
    if job.limits.fuel.is_some() && !job.module.counts_fuel() {
        return Err(
            Error::module(format!("module {module} was compiled without counting fuel")).because_of(Setting::CountFuel)
        );
    }
    Ok(())
}

/// Checks that what the job says of a WASI program has a meaning for the function that it calls.
fn check_program(job: &Job, entry: &Entry) -> Result<()> {
    let (module, description) = (job.module.name(), job.module.description());
    if job.argv.is_some() && *entry != Entry::Command && !description.reads_argv() {
        let message = format!("arguments are for WASI programs, and module {module} imports no args_get of WASI");
        return Err(Error::request(message));
    }
    if job.argv.is_some() && matches!(entry, Entry::Function(_)) {
        let name = entry.name();
        let message = format!("arguments are for WASI programs, and {name:?} of component {module} is a function");
        return Err(Error::request(message));
    }
    let can_exit = match entry {
        Entry::Command => true,
        // What such a function returns is its result, and by exiting it returns nothing.
        Entry::Scalar(_) | Entry::Function(_) => false,
        _ => description.can_exit(),
    };
    if job.ok_exit_codes != [0] && !can_exit {
        let name = entry.name();
        return Err(Error::request(format!(
            "exit codes are for WASI programs, and {name:?} of module {module} is no command, nor a task that can exit"
        )));
    }
    Ok(())
}

/// Refuses what the tasks of a component cannot have.
fn check_component(job: &Job) -> Result<()> {
    if !job.module.description().component {
        return Ok(());
    }
    let module = job.module.name();
    if job.instances == Instances::Reused {
        let message = format!("{module} is a component, and each of its tasks needs an instance of its own");
        return Err(Error::request(message).because_of(Setting::FreshInstances));
    }
    if job.input_mode == InputMode::CopyOnWrite {
        return Err(Error::request(format!(
            "{module} is a component, and its tasks read copies of inputs: none is mapped"
        )));
    }
    Ok(())
}

/// The most directories that tasks may be granted.
const MAX_DIRECTORIES: usize = 256;

/// The time at which tasks' clocks start, in nanoseconds since 1970.
pub(crate) fn clock_start_ns(start: SystemTime) -> Result<u64> {
    let since_1970 = start.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok());
    since_1970.ok_or_else(|| Error::request("a task's clock can start from 1970 to 2554"))
}

fn check_grants(grants: &Grants) -> Result<()> {
    let count = grants.directories.len();
    if count > MAX_DIRECTORIES {
        return Err(Error::request(format!("{count} directories are too many: grant at most {MAX_DIRECTORIES}")));
    }
    for (at, directory) in grants.directories.iter().enumerate() {
        if grants.directories[..at].iter().any(|other| other.guest_path() == directory.guest_path()) {
            return Err(Error::request(format!(
                "two directories are called {:?}; give one of them another guest path",
                directory.guest_path()
            )));
        }
        let lies_in = |other: &&Directory| other.is_writable_at(directory.host_path());
        if directory.access() == Access::ReadOnly
            && let Some(other) = grants.directories.iter().find(lies_in)
        {
            let (inner, outer) = (directory.host_path(), other.host_path());
            return Err(Error::request(format!(
                "directory {inner:?} cannot be granted as read-only: tasks may write it as a part of {outer:?}"
            )));
        }
    }
    // A WASI guest gets `NAME=VALUE` with a terminating NUL.
    let impossible =
        |(name, value): &&(String, String)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
    let mut names: Vec<&str> = grants.environment.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::request(format!("there are two values for the variable {:?}", pair[0])));
    }
    match grants.environment.iter().find(impossible) {
        Some((name, _)) => Err(Error::request(format!(
            "{name:?} is not a possible name of an environment variable, or its value is not a possible value"
        ))),
        None => Ok(()),
    }
}

/// A job's inputs or shared memory by name, as ranges of the files that each worker gets.
type NamedRanges = Vec<(String, InputRange)>;

fn shared_inputs(job: &Job) -> Result<(Vec<Input>, NamedRanges)> {
    if !job.inputs.is_empty()
        && let Some(message) = job.module.unseen_shared_inputs()
    {
        return Err(Error::request(message).because_of(Setting::SharedInputs));
    }
    let mut files: Vec<Input> = Vec::new();
    let mut inputs: Vec<(String, InputRange)> = Vec::new();
    for (name, input) in &job.inputs {
        if inputs.iter().any(|(other, _)| other == name) {
            return Err(Error::request(format!("there are two inputs named {name:?}")));
        }
        let (_, id) = input.file();
        let known = files.iter().position(|file| file.file().1 == id);
        let number = known.unwrap_or_else(|| {
            files.push(input.clone());
            files.len() - 1
        });
        inputs.push((name.clone(), InputRange { file: number as u32, offset: input.offset(), len: input.len() }));
    }
    Ok((files, inputs))
}

/// Copies of this process's standard streams.
fn own_stdio() -> Result<[File; 3]> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let copy = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned()
            .map(File::from)
            .map_err(|error| Error::system("cannot duplicate a standard stream", error))
    };
    Ok([copy(stdin.as_fd())?, copy(stdout.as_fd())?, copy(stderr.as_fd())?])
}

/// Refuses time limits that a backend cannot keep: only a process can be killed while it runs a task, and the thread that runs a
/// task inline cannot check the clock meanwhile.
pub(super) fn refuse_times(job: &Job, backend: BuiltIn) -> Result<()> {
    let name = backend.name();
    if job.limits.timeout.is_some() {
        return Err(Error::request(format!("a task of the backend {name} cannot be stopped when its time is over"))
            .because_of(Setting::Timeout));
    }
    if backend == BuiltIn::Inline && job.slow.is_some() {
        return Err(Error::request(format!("a task of the backend {name} cannot be watched while it runs"))
            .because_of(Setting::Slow));
    }
    Ok(())
}
