//! Names for tasks that last: the same for the same work, in whichever run and at whichever place.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::str::FromStr;

use crate::error::Kind;
use crate::job::Instances;
use crate::module::Entry;
use crate::{Access, Input, InputMode, Job, Result, Task};

/// What a task is, in 256 bits: equal exactly where module, function, argument, inputs and everything else are that can
/// change its result. It is shown and read as 64 hexadecimal digits.
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

/// What is no key of a task.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a task's key, which has 64 hexadecimal digits")]
pub struct NoTaskKey(#[source] blake3::HexError);

impl FromStr for TaskKey {
    type Err = NoTaskKey;

    fn from_str(text: &str) -> Result<Self, NoTaskKey> {
        blake3::Hash::from_hex(text).map(|hash| TaskKey(*hash.as_bytes())).map_err(NoTaskKey)
    }
}

/// Makes the keys of a job's tasks.
///
/// A key covers the contents of the module and of all inputs, the names of shared inputs, function, argument, the words of a
/// command (with its name), `reduce`, whether instances are reused, the limits that a task can notice (not time), the seed, and what was
/// granted: of a directory, of the output file and of shared areas, which one it is, and not what is in it. It does not cover the task's position, unless
/// the job has an output file, of which that decides the slice: items may be moved and added. A task that looks at its index, or a WASI program that uses random numbers, may give another result at another
/// place.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// use wrun::{Job, Module, Task, TaskKeys};
///
/// let job = Job::new(&Module::from_file("sqrt.wat")?);
/// let mut keys = TaskKeys::new(&job, None)?;
/// assert_eq!(keys.at(0, &Task::from(2))?, keys.at(1, &Task::from("2"))?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TaskKeys {
    /// Has taken in what all tasks share.
    shared: blake3::Hasher,
    contents: Contents,
    /// Where a task stands decides what it writes.
    has_slices: bool,
}

impl TaskKeys {
    /// Takes in what the job's tasks share; reads its inputs. `reduce` is the task that merges results, if any does.
    ///
    /// # Errors
    ///
    /// Where an input cannot be read, or there is no such function.
    pub fn new(job: &Job, reduce: Option<&str>) -> Result<TaskKeys> {
        let mut contents = Contents::default();
        let mut fields = Fields(blake3::Hasher::new_derive_key("wrun task key 1"));
        fields.add(job.module.content());
        match job.module.entry(job.call.as_deref(), reduce)? {
            Entry::Task(name) => fields.add(b"task").add(name.as_bytes()),
            Entry::Scalar(function) => fields.add(b"function").add(function.name.as_bytes()),
            Entry::Command => fields.add(b"command"),
        };
        if job.module.description().wasi {
            // It is the first word that a program sees.
            fields.add(job.module.name().as_bytes());
        }
        fields.add(reduce.unwrap_or_default().as_bytes());
        fields.number(u64::from(job.instances == Instances::Reused));
        let limits = &job.limits;
        for limit in [limits.memory_bytes, limits.output_bytes, limits.stack_bytes, limits.log_bytes] {
            fields.number(limit);
        }
        fields.number(limits.fuel.unwrap_or(u64::MAX)).number(limits.open_files.into()).number(limits.host_call_bytes);
        let grants = &job.grants;
        fields.number(job.seed).number(u64::from(grants.clock)).number(u64::from(grants.random));
        fields.number(grants.environment.len() as u64);
        for (name, value) in &grants.environment {
            fields.add(name.as_bytes()).add(value.as_bytes());
        }
        fields.number(grants.directories.len() as u64);
        for directory in &grants.directories {
            let (device, inode) = directory.id();
            let writable = u64::from(directory.access() == Access::ReadWrite);
            fields.add(directory.guest_path().as_bytes()).number(device).number(inode).number(writable);
        }
        // No words are not the same as an empty list of words.
        fields.number(job.argv.as_ref().map_or(u64::MAX, |words| words.len() as u64));
        for word in job.argv.iter().flatten() {
            fields.add(word.as_bytes());
        }
        let slices = match &job.out {
            Some(out) => {
                fields.number(out.slice_bytes());
                Some(out.identity().map_err(|error| Kind::file("cannot use output file", out.name().as_ref(), error))?)
            }
            None => None,
        };
        fields.number(slices.map_or(0, |identity| identity.len() as u64));
        for part in slices.iter().flatten() {
            fields.number(*part);
        }
        fields.number(job.shared.len() as u64);
        for (name, area) in &job.shared {
            let identity = area.identity();
            let identity =
                identity.map_err(|error| Kind::file("cannot use shared area", area.name().as_ref(), error))?;
            fields.add(name.as_bytes()).number(area.len());
            for part in identity {
                fields.number(part);
            }
        }
        fields.number(u64::from(job.input_mode == InputMode::CopyOnWrite));
        fields.number(job.inputs.len() as u64);
        for (name, input) in &job.inputs {
            fields.add(name.as_bytes()).number(input.len()).add(contents.of(input)?.as_bytes());
        }
        Ok(TaskKeys { shared: fields.0, contents, has_slices: slices.is_some() })
    }

    /// The key of a task at this position; reads the inputs of its own, unless that was done for the same bytes shortly before.
    ///
    /// # Errors
    ///
    /// Where an input cannot be read.
    pub fn at(&mut self, index: u64, task: &Task) -> Result<TaskKey> {
        let mut fields = Fields(self.shared.clone());
        if self.has_slices {
            fields.number(index);
        }
        fields.add(&task.argument);
        for input in &task.inputs {
            fields.number(input.len()).add(self.contents.of(input)?.as_bytes());
        }
        Ok(TaskKey(*fields.0.finalize().as_bytes()))
    }
}

/// A hash of values one after the other, with lengths, so that no two lists of values are the same bytes.
struct Fields(blake3::Hasher);

impl Fields {
    fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }
}

/// Which bytes: device, inode, size and time of the last change (seconds, nanoseconds) of the file; offset and length.
type Bytes = (u64, u64, u64, i64, i64, u64, u64);

/// Hashes of ranges of files, of which the last ones are remembered.
#[derive(Debug, Default)]
struct Contents {
    known: HashMap<Bytes, blake3::Hash>,
    buffer: Vec<u8>,
}

/// Hashes that are remembered.
const MAX_KNOWN: usize = 4096;
/// Bytes that are read at a time.
const READ_BYTES: u64 = 1 << 20;

impl Contents {
    /// The hash of an input's bytes. They are read and not mapped: a file that is truncated meanwhile is an error, no signal.
    fn of(&mut self, input: &Input) -> Result<blake3::Hash> {
        let (file, _) = input.file();
        let failed = |source| Kind::file("cannot read input", input.path().as_ref(), source);
        let metadata = file.metadata().map_err(failed)?;
        let time = (metadata.mtime(), metadata.mtime_nsec());
        let bytes = (metadata.dev(), metadata.ino(), metadata.size(), time.0, time.1, input.offset(), input.len());
        if let Some(hash) = self.known.get(&bytes) {
            return Ok(*hash);
        }
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        while done < input.len() {
            let len = (input.len() - done).min(READ_BYTES);
            self.buffer.resize(len as usize, 0);
            file.read_exact_at(&mut self.buffer, input.offset() + done).map_err(failed)?;
            hasher.update(&self.buffer);
            done += len;
        }
        let hash = hasher.finalize();
        if self.known.len() == MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(bytes, hash);
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_once_and_again_when_the_file_has_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut contents = Contents::default();
        let whole = contents.of(&input).unwrap();
        assert_eq!(whole, blake3::hash(b"0123456789"));
        assert_eq!(contents.of(&input.slice(2..5).unwrap()).unwrap(), blake3::hash(b"234"));
        assert_eq!((contents.of(&input.clone()).unwrap(), contents.known.len()), (whole, 2));

        file.as_file().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        file.as_file().write_all_at(b"x", 0).unwrap();
        file.as_file().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(contents.of(&input).unwrap(), blake3::hash(b"x123456789"));
        file.as_file().set_len(3).unwrap();
        let error = contents.of(&input).unwrap_err();
        assert!(error.to_string().starts_with("cannot read input"), "{error}");
    }

    #[test]
    fn keys_are_read_as_they_are_shown() {
        let key = TaskKey(*blake3::hash(b"x").as_bytes());
        assert_eq!(key.to_string().parse::<TaskKey>().unwrap(), key);
        assert_eq!(key.to_string().len(), 64);
        assert!("abc".parse::<TaskKey>().is_err());
    }
}
