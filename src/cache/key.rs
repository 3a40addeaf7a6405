//! Lasting names for tasks: the same work has the same name, in any run and at any position.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::cache::content_hash::ContentHashes;
use crate::error::Repr;
use crate::job::{InputMode, Instances, UnknownImports};
use crate::module::Entry;
use crate::{Access, Grants, Job, Limits, Result, Task};

/// Identifies a task in 256 bits: two keys are equal exactly if module, function, argument, inputs and everything else that can
/// change the result are equal. It is displayed and parsed as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskKey([u8; 32]);

impl TaskKey {
    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// The error for text that is not a task's key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a task's key, which has 64 hexadecimal digits")]
pub struct ParseTaskKeyError(#[source] blake3::HexError);

impl FromStr for TaskKey {
    type Err = ParseTaskKeyError;

    fn from_str(text: &str) -> Result<Self, ParseTaskKeyError> {
        blake3::Hash::from_hex(text).map(|hash| TaskKey(*hash.as_bytes())).map_err(ParseTaskKeyError)
    }
}

/// Makes the keys of a job's tasks.
///
/// A key covers the contents of the module and of all inputs, the names of shared inputs, the function, the argument, the arguments
/// of a WASI program (and its name), `reduce`, whether instances are reused, the limits that a task can notice (not time), the seed,
/// and the grants. Of a directory, the output file and shared memory it covers which one it is, not what is in it.
///
/// A key does not cover the task's position, so items may be moved and added, unless the job has an output file, where the position
/// decides the output slice. A task that looks at its index, or a WASI program that uses random numbers, may have another result at
/// another position.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// use wrun::cache::TaskKeys;
/// use wrun::{Job, Module, Task};
///
/// let job = Job::new(&Module::from_file("sqrt.wat")?);
/// let mut keys = TaskKeys::new(&job, None)?;
/// assert_eq!(keys.at(0, &Task::from(2))?, keys.at(1, &Task::from("2"))?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TaskKeys {
    /// The hash of what all tasks share.
    shared: Fields,
    contents: ContentHashes,
    /// Whether a task's position decides what it writes.
    has_slices: bool,
}

impl TaskKeys {
    /// Hashes what the job's tasks share, and for that reads its inputs. `reduce` is the task that merges results, if any.
    ///
    /// # Errors
    ///
    /// If an input cannot be read, or the module has no such function.
    pub fn new(job: &Job, reduce: Option<&str>) -> Result<TaskKeys> {
        let mut contents = ContentHashes::default();
        let mut fields = Fields::of_job("wrun task key 2", job);
        fields.entry(&job.module.entry(job.call.as_deref(), reduce)?);
        fields.add(reduce.unwrap_or_default().as_bytes());
        fields.number(u64::from(job.instances == Instances::Reused));
        let grants = &job.grants;
        fields.number(u64::from(grants.clock)).number(u64::from(grants.random));
        fields.number(grants.directories.len() as u64);
        for directory in &grants.directories {
            let (device, inode) = directory.id();
            let writable = u64::from(directory.access() == Access::ReadWrite);
            fields.add(directory.guest_path().as_bytes()).number(device).number(inode).number(writable);
        }
        let slices = match &job.out {
            Some(out) => {
                fields.number(out.slice_bytes());
                Some(out.identity().map_err(|error| Repr::file("cannot use output file", out.name(), error))?)
            }
            None => None,
        };
        fields.number(slices.map_or(0, |identity| identity.len() as u64));
        for part in slices.iter().flatten() {
            fields.number(*part);
        }
        fields.number(job.shared.len() as u64);
        for (name, memory) in &job.shared {
            let identity = memory.identity();
            let identity = identity.map_err(|error| Repr::file("cannot use shared memory", memory.name(), error))?;
            fields.add(name.as_bytes()).number(memory.len());
            for part in identity {
                fields.number(part);
            }
        }
        for (name, input) in &job.inputs {
            fields.add(name.as_bytes()).number(input.len()).add(contents.of(input, &())?.hash.as_bytes());
        }
        Ok(TaskKeys { shared: fields, contents, has_slices: slices.is_some() })
    }

    /// The key of a task at this position. Reads the task's own inputs, unless the same bytes were read shortly before.
    ///
    /// # Errors
    ///
    /// If an input cannot be read.
    pub fn at(&mut self, index: u64, task: &Task) -> Result<TaskKey> {
        let mut fields = self.shared.clone();
        if self.has_slices {
            fields.number(index);
        }
        fields.add(&task.argument);
        for input in &task.inputs {
            fields.number(input.len()).add(self.contents.of(input, &())?.hash.as_bytes());
        }
        Ok(TaskKey(fields.hash()))
    }
}

/// A hash of a sequence of values with their lengths, so that no two sequences hash the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Fields(blake3::Hasher);

impl Fields {
    /// Adds what each task of a job can see, other than its function, grants that reach outside, and the contents of inputs.
    /// `purpose` names what the hash is for.
    pub fn of_job(purpose: &str, job: &Job) -> Fields {
        // All fields are named, so that no new one is forgotten: what a task can see of it has to be added, here or where the hash is
        // used.
        let Job {
            module,
            argv,
            ok_exit_codes,
            inputs,
            limits,
            grants,
            seed,
            clock_start,
            call: _,
            instances: _,
            core_dumps: _,
            retries: _,
            halt: _,
            admission: _,
            slow: _,
            input_mode,
            unknown_imports,
            // These are not part of a task's result.
            out: _,
            shared: _,
        } = job;
        let Grants { environment, directories: _, clock: _, random: _ } = grants;
        let Limits {
            memory_bytes,
            output_bytes,
            stack_bytes,
            table_elements,
            log_bytes,
            fuel,
            open_files,
            host_call_bytes,
            scratch_bytes,
            // These decide whether a task runs and ends, not what its result is.
            timeout: _,
            argument_bytes: _,
            memories: _,
            tables: _,
        } = limits;
        let mut fields = Fields(blake3::Hasher::new_derive_key(purpose));
        fields.add(module.content());
        if module.description().wasi {
            // The name is the first of a program's arguments.
            fields.add(module.name().as_bytes());
        }
        fields.number(*memory_bytes).number(*output_bytes).number(*stack_bytes).number(*log_bytes);
        fields
            .number(fuel.unwrap_or(u64::MAX))
            .number(u64::from(*open_files))
            .number(u64::from(*table_elements))
            .number(*host_call_bytes)
            .number(*scratch_bytes)
            .number(*seed);
        fields.number(environment.len() as u64);
        for (name, value) in environment {
            fields.add(name.as_bytes()).add(value.as_bytes());
        }
        let clock_start = clock_start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        fields.number(clock_start.as_secs()).number(clock_start.subsec_nanos().into());
        // No list of arguments is not the same as an empty list.
        fields.number(argv.as_ref().map_or(u64::MAX, |words| words.len() as u64));
        for word in argv.iter().flatten() {
            fields.add(word.as_bytes());
        }
        fields.add(ok_exit_codes);
        fields.number(u64::from(*input_mode == InputMode::CopyOnWrite));
        fields.number(u64::from(*unknown_imports == UnknownImports::Trap));
        fields.number(inputs.len() as u64);
        fields
    }

    /// Adds the function.
    pub fn entry(&mut self, entry: &Entry) -> &mut Self {
        match entry {
            Entry::Task(name) => self.add(b"task").add(name.as_bytes()),
            Entry::Scalar(function) => self.add(b"function").add(function.name.as_bytes()),
            Entry::Command => self.add(b"command"),
            Entry::Function(function) => self.add(b"component function").add(function.name.as_bytes()),
            // All of it, so that a new kind of entry cannot share keys with another one.
            other => self.add(b"other").add(format!("{other:?}").as_bytes()),
        }
    }

    /// Adds bytes, after their length.
    pub fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// The hash of everything that was added.
    pub fn hash(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_shown() {
        let key = TaskKey(*blake3::hash(b"x").as_bytes());
        assert_eq!(key.to_string().parse::<TaskKey>().unwrap(), key);
        assert_eq!(key.to_string().len(), 64);
        assert!("abc".parse::<TaskKey>().is_err());
    }
}
