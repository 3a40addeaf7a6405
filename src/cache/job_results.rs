//! One run's use of a cache: whether its job may be cached, the keys of its tasks, looking results up, and storing them.

use std::collections::HashMap;
use std::time::SystemTime;

use smallvec::SmallVec;

use super::ResultCache;
use super::entry::Head;
use super::result_store::Store;
use crate::backend::Call;
use crate::cache::content_hash::{ContentHashes, HashedInput, Stamp};
use crate::cache::key::Fields;
use crate::job::Instances;
use crate::module::Entry;
use crate::outcome::Outcome;
use crate::sys::window::HUGE_PAGE;
use crate::{Grants, Input, Job, Module, Result, Task};

/// A run's results in a cache, or why they are not cached.
#[derive(Debug)]
pub(crate) struct JobResults {
    open: Option<Box<OpenCache>>,
    /// Why results are not cached, until it has been reported.
    problem: Option<String>,
}

/// An open cache, and what the keys of a job's tasks are made of.
#[derive(Debug)]
struct OpenCache {
    store: Store,
    module: Module,
    /// The name of each of the job's functions, and the hash of what all its calls see.
    functions: Vec<(String, Fields)>,
    /// The same hash before a function is added.
    shared: Fields,
    inputs: Vec<(Input, Stamp)>,
    contents: ContentHashes,
    sees_position: bool,
    longest_argument: u64,
    /// Tasks under way, by tag.
    under_way: HashMap<u64, PendingResult>,
    /// Bytes written since room was last made.
    written: u64,
    has_written: bool,
    /// Whether results can be written.
    can_write: bool,
}

/// A task under way whose result will be stored.
#[derive(Debug)]
struct PendingResult {
    key: [u8; 32],
    function: usize,
    /// The state of its own inputs' files when they were hashed.
    stamps: SmallVec<[Stamp; 1]>,
}

impl JobResults {
    /// The results of a run of this job, whose map tasks call `entry`. Reads the job's inputs.
    pub fn new(cache: &ResultCache, job: &Job, entry: &Entry) -> JobResults {
        let open = match why_not_cached(job) {
            Some(why) => Err(why.to_owned()),
            None => OpenCache::new(cache, job),
        };
        let mut results = match open {
            Ok(open) => JobResults { open: Some(Box::new(open)), problem: None },
            Err(why) => JobResults { open: None, problem: Some(why) },
        };
        results.add_function(entry);
        results
    }

    /// Adds a function: first the one of map tasks, then the merge function.
    pub fn add_function(&mut self, entry: &Entry) {
        if let Some(open) = &mut self.open {
            let mut fields = open.shared.clone();
            fields.entry(entry);
            open.functions.push((entry.name().to_owned(), fields));
        }
    }

    /// Looks up the result of the task with this tag; if it is cached, the task will not run.
    pub fn look_up(&mut self, call: Call, tag: u64, index: u64, task: &mut Task) {
        if let Some(open) = &mut self.open {
            open.look_up(call.number() as usize, tag, index, task);
        }
    }

    /// Takes note of a task's end, and stores its result.
    pub fn keep(&mut self, tag: u64, outcome: &Outcome) {
        if let Some(open) = &mut self.open
            && let Err(why) = open.keep(tag, outcome)
        {
            self.problem = Some(why);
        }
    }

    /// Why results are not cached; returned only once.
    pub fn take_problem(&mut self) -> Option<String> {
        self.problem.take()
    }
}

/// What a job's tasks can see that is not in their keys, if there is such a thing.
fn why_not_cached(job: &Job) -> Option<&'static str> {
    // All fields are named, so that no new one is forgotten.
    let Grants { directories, clock, random, environment: _ } = &job.grants;
    let polls = || job.module.description().imports.iter().any(|import| import.name == "poll_oneoff");
    if job.instances == Instances::Reused {
        Some("instances are reused, so a task can see what earlier ones left")
    } else if !directories.is_empty() {
        Some("tasks can see the files of directories, whose contents are not in their keys")
    } else if job.out.is_some() {
        Some("tasks write to the output file, which a result does not hold")
    } else if !job.shared.is_empty() {
        Some("tasks share memory, so one can see what others left")
    } else if *clock {
        Some("tasks can see the real time")
    } else if *random {
        Some("tasks can see real random numbers")
    } else if polls() {
        Some("the module can wait for time (it imports poll_oneoff), and so can see how fast this machine is")
    } else {
        None
    }
}

impl OpenCache {
    fn new(cache: &ResultCache, job: &Job) -> Result<OpenCache, String> {
        let as_text = |error: crate::Error| format!("{error:?}");
        let compiler = job.module.compiler().map_err(as_text)?;
        let store = Store::create(cache)?;
        let mut shared = Fields::of_job("wrun result key 1", job);
        shared.add(compiler.as_bytes());
        let (mut contents, mut inputs) = (ContentHashes::default(), Vec::new());
        for (name, input) in &job.inputs {
            shared.add(name.as_bytes());
            let seen = add_input(&mut shared, &mut contents, &store, input).map_err(as_text)?;
            if !seen.settled {
                return Err(format!("input {name:?} changed a moment ago, and another change might go undetected"));
            }
            inputs.push((input.clone(), seen.stamp));
        }
        Ok(OpenCache {
            store,
            functions: Vec::new(),
            shared,
            inputs,
            contents,
            sees_position: sees_position(&job.module),
            longest_argument: job.limits.argument_bytes,
            module: job.module.clone(),
            under_way: HashMap::new(),
            written: 0,
            has_written: false,
            can_write: true,
        })
    }

    fn look_up(&mut self, function: usize, tag: u64, index: u64, task: &mut Task) {
        // All fields are named, so that no new one is forgotten.
        let Task { argument, inputs, unrunnable, finished } = &*task;
        let ends_otherwise = finished.is_some()
            || unrunnable.is_some()
            || argument.len() as u64 > self.longest_argument
            || inputs.len() > Task::MAX_INPUTS;
        if ends_otherwise {
            return;
        }
        let mut fields = self.functions[function].1.clone();
        if self.sees_position {
            fields.number(index);
        }
        fields.add(argument).number(inputs.len() as u64);
        let mut stamps = SmallVec::new();
        for input in inputs {
            // If an input cannot be read, the task itself reports it. If one has just changed, the task runs.
            let Ok(seen) = add_input(&mut fields, &mut self.contents, &self.store, input) else { return };
            if !seen.settled {
                return;
            }
            stamps.push(seen.stamp);
        }
        let key = fields.hash();
        match self.store.get(&key, SystemTime::now()) {
            Some(finished) => task.finished = Some(Box::new(finished)),
            None if self.can_write => {
                self.under_way.insert(tag, PendingResult { key, function, stamps });
            }
            None => {}
        }
    }

    fn keep(&mut self, tag: u64, outcome: &Outcome) -> Result<(), String> {
        let Some(pending) = self.under_way.remove(&tag) else { return Ok(()) };
        if outcome.result.is_err() || !self.can_write {
            return Ok(());
        }
        let own = outcome.task.inputs.iter().zip(&pending.stamps);
        let mut all = own.chain(self.inputs.iter().map(|(input, stamp)| (input, stamp)));
        if !all.all(|(input, stamp)| Stamp::of(input).is_ok_and(|now| now == *stamp)) {
            return Ok(());
        }
        let (module, function) = (self.module.name().to_owned(), self.functions[pending.function].0.clone());
        let now = SystemTime::now();
        match self.store.put(&pending.key, &Head { module, function, stored: now }, outcome) {
            Ok(size) => {
                self.written += size;
                self.has_written |= size > 0;
                if self.store.make_room_after(self.written, now) {
                    self.written = 0;
                }
                Ok(())
            }
            Err(error) => {
                self.can_write = false;
                self.under_way = HashMap::new();
                let dir = self.store.dir().display();
                Err(format!("cannot write to cache directory {dir}: {error}"))
            }
        }
    }
}

impl Drop for OpenCache {
    fn drop(&mut self) {
        if self.has_written {
            self.store.make_room_at_end(self.written, SystemTime::now());
        }
    }
}

/// Adds an input to a key: its contents, and its offset as far as that decides the address at which a guest finds it.
fn add_input(fields: &mut Fields, contents: &mut ContentHashes, store: &Store, input: &Input) -> Result<HashedInput> {
    let seen = contents.of(input, store)?;
    fields.number(input.len()).number(input.offset() % HUGE_PAGE as u64).add(seen.hash.as_bytes());
    Ok(seen)
}

/// Whether the module can see its task's position: directly, or by the random numbers that are derived from it.
fn sees_position(module: &Module) -> bool {
    module.description().imports.iter().any(|import| matches!(import.name.as_str(), "task_index" | "random_get"))
}
