//! One run's use of a cache: whether its job may be cached, the keys of its tasks, and what is looked up and kept.

use std::collections::HashMap;
use std::time::SystemTime;

use smallvec::SmallVec;

use super::ResultCache;
use super::entry::Head;
use super::result_store::Store;
use crate::backend::Call;
use crate::cache::content_hash::{Contents, Seen, Stamp};
use crate::cache::key::Fields;
use crate::job::Instances;
use crate::module::Entry;
use crate::outcome::Outcome;
use crate::sys::window::HUGE_PAGE;
use crate::{Grants, Input, Job, Module, Result, Task};

/// A run's results in a cache, or why it has none there.
#[derive(Debug)]
pub(crate) struct JobResults {
    open: Option<Box<Open>>,
    /// Why results are not cached, to be told.
    problem: Option<String>,
}

#[derive(Debug)]
struct Open {
    store: Store,
    module: Module,
    /// What all tasks of the job see, of each of its functions.
    functions: Vec<(String, Fields)>,
    /// Before a function is added.
    shared: Fields,
    inputs: Vec<(Input, Stamp)>,
    contents: Contents,
    sees_position: bool,
    longest_argument: u64,
    /// Tasks under way, by what the run calls them.
    begun: HashMap<u64, Begun>,
    /// Bytes that were written since room was last made.
    written: u64,
    has_written: bool,
    /// Whether results can be written.
    writes: bool,
}

/// A task under way whose result will be kept.
#[derive(Debug)]
struct Begun {
    key: [u8; 32],
    function: usize,
    /// The files of its own inputs when they were read.
    stamps: SmallVec<[Stamp; 1]>,
}

impl JobResults {
    /// Of a run of this job, whose map tasks call `entry`; reads its inputs.
    pub fn new(cache: &ResultCache, job: &Job, entry: &Entry) -> JobResults {
        let open = match why_not(job) {
            Some(why) => Err(why.to_owned()),
            None => Open::new(cache, job),
        };
        let mut results = match open {
            Ok(open) => JobResults { open: Some(Box::new(open)), problem: None },
            Err(why) => JobResults { open: None, problem: Some(why) },
        };
        results.add_function(entry);
        results
    }

    /// Adds a function: after that of map tasks the one that merges.
    pub fn add_function(&mut self, entry: &Entry) {
        if let Some(open) = &mut self.open {
            let mut fields = open.shared.clone();
            fields.entry(entry);
            open.functions.push((entry.name().to_owned(), fields));
        }
    }

    /// Ends a task, which the run calls `tag`, before it is run, where its result is known.
    pub fn look_up(&mut self, call: Call, tag: u64, index: u64, task: &mut Task) {
        if let Some(open) = &mut self.open {
            open.look_up(call.number() as usize, tag, index, task);
        }
    }

    /// Takes note of a task's end, and keeps its result.
    pub fn keep(&mut self, tag: u64, outcome: &Outcome) {
        if let Some(open) = &mut self.open
            && let Err(why) = open.keep(tag, outcome)
        {
            self.problem = Some(why);
        }
    }

    /// Why results are not cached, said once.
    pub fn take_problem(&mut self) -> Option<String> {
        self.problem.take()
    }
}

/// What a job's tasks can see that is not in their keys.
fn why_not(job: &Job) -> Option<&'static str> {
    // All are named, so that no new one is forgotten.
    let Grants { directories, clock, random, environment: _ } = &job.grants;
    let polls = || job.module.description().imports.iter().any(|import| import.name == "poll_oneoff");
    if job.instances == Instances::Reused {
        Some("instances are reused (--reuse), so a task can see what earlier ones left")
    } else if !directories.is_empty() {
        Some("tasks can see the files of directories (--dir), whose contents are not in their keys")
    } else if job.out.is_some() {
        Some("tasks write to the output file (--out), which a result does not hold")
    } else if !job.shared.is_empty() {
        Some("tasks share memory (--shared), so one can see what others left")
    } else if *clock {
        Some("tasks can see the real time (--clock)")
    } else if *random {
        Some("tasks can see real random numbers (--random)")
    } else if polls() {
        Some("the module can wait for time (it imports poll_oneoff), and so can see how fast this machine is")
    } else {
        None
    }
}

impl Open {
    fn new(cache: &ResultCache, job: &Job) -> Result<Open, String> {
        let said = |error: crate::Error| format!("{error:?}");
        let compiler = job.module.compiler().map_err(said)?;
        let store = Store::create(cache)?;
        let mut shared = Fields::of_job("wrun result key 1", job);
        shared.add(compiler.as_bytes());
        let (mut contents, mut inputs) = (Contents::default(), Vec::new());
        for (name, input) in &job.inputs {
            shared.add(name.as_bytes());
            let seen = add_input(&mut shared, &mut contents, &store, input).map_err(said)?;
            if !seen.settled {
                return Err(format!("input {name:?} changed a moment ago, and may change again unseen"));
            }
            inputs.push((input.clone(), seen.stamp));
        }
        Ok(Open {
            store,
            functions: Vec::new(),
            shared,
            inputs,
            contents,
            sees_position: sees_position(&job.module),
            longest_argument: job.limits.argument_bytes,
            module: job.module.clone(),
            begun: HashMap::new(),
            written: 0,
            has_written: false,
            writes: true,
        })
    }

    fn look_up(&mut self, function: usize, tag: u64, index: u64, task: &mut Task) {
        // All are named, so that no new one is forgotten.
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
            // A task whose input cannot be read says so itself; one whose input changes now runs.
            let Ok(seen) = add_input(&mut fields, &mut self.contents, &self.store, input) else { return };
            if !seen.settled {
                return;
            }
            stamps.push(seen.stamp);
        }
        let key = fields.hash();
        match self.store.get(&key, SystemTime::now()) {
            Some(finished) => task.finished = Some(Box::new(finished)),
            None if self.writes => {
                self.begun.insert(tag, Begun { key, function, stamps });
            }
            None => {}
        }
    }

    fn keep(&mut self, tag: u64, outcome: &Outcome) -> Result<(), String> {
        let Some(begun) = self.begun.remove(&tag) else { return Ok(()) };
        if outcome.result.is_err() || !self.writes {
            return Ok(());
        }
        let own = outcome.task.inputs.iter().zip(&begun.stamps);
        let mut all = own.chain(self.inputs.iter().map(|(input, stamp)| (input, stamp)));
        if !all.all(|(input, stamp)| Stamp::of(input).is_ok_and(|now| now == *stamp)) {
            return Ok(());
        }
        let (module, function) = (self.module.name().to_owned(), self.functions[begun.function].0.clone());
        let now = SystemTime::now();
        match self.store.put(&begun.key, &Head { module, function, stored: now }, outcome) {
            Ok(size) => {
                self.written += size;
                self.has_written |= size > 0;
                if self.store.make_room_after(self.written, now) {
                    self.written = 0;
                }
                Ok(())
            }
            Err(error) => {
                self.writes = false;
                self.begun = HashMap::new();
                let dir = self.store.dir().display();
                Err(format!("cannot write to cache directory {dir}: {error}"))
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.has_written {
            self.store.make_room_at_end(self.written, SystemTime::now());
        }
    }
}

/// Takes in an input: its contents, and where it begins, as far as that decides the address at which a guest finds it.
fn add_input(fields: &mut Fields, contents: &mut Contents, store: &Store, input: &Input) -> Result<Seen> {
    let seen = contents.of(input, store)?;
    fields.number(input.len()).number(input.offset() % HUGE_PAGE as u64).add(seen.hash.as_bytes());
    Ok(seen)
}

/// Whether the module can see its task's position: as such, or in the random numbers that follow from it.
fn sees_position(module: &Module) -> bool {
    module.description().imports.iter().any(|import| matches!(import.name.as_str(), "task_index" | "random_get"))
}
