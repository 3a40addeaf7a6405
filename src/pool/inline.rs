//! Runs tasks on the thread that drives the run, one at a time.

use std::fs::File;
use std::io;
use std::time::Duration;

use super::completion::{SentResult, clock_zero, complete};
use super::crew::is_exhaustion;
use super::prepared_job::{PreparedJob, Stdio, refuse_times};
use super::record::Pending;
use crate::backend::{Assignment, Backend, BuiltIn, Executor, ExecutorEvent, TaskEnd, Waker};
use crate::guest::{FileTable, Guest, TaskResult};
use crate::ipc::wire::{InputRange, TaskSlot};
use crate::result::Status;
use crate::sys::process::monotonic_ns;
use crate::{Access, Directory, Error, Input, Job, Result};

/// The backend [`BuiltIn::Inline`].
#[derive(Debug)]
pub(super) struct Inline;

impl Backend for Inline {
    fn start<'a>(&'a mut self, job: &Job, _waker: &Waker) -> Result<Box<dyn Executor + 'a>> {
        refuse_times(job, BuiltIn::Inline)?;
        let guest = Guest::new().map_err(|error| Error::backend(format!("cannot set up wasmtime: {error:#}")))?;
        let job = PreparedJob::new(job, Stdio::Captured)?;
        Ok(Box::new(InlineExecutor {
            job,
            guest,
            is_loaded: false,
            files: FileTable::default(),
            directories: Vec::new(),
            next: None,
            clock_zero: clock_zero(),
        }))
    }
}

/// Runs the tasks of one job on the calling thread.
struct InlineExecutor {
    job: PreparedJob,
    guest: Guest,
    is_loaded: bool,
    /// The job's files, then those of the task.
    files: FileTable,
    /// The directories that tasks may use, kept open as long as the job runs.
    directories: Vec<(File, Access)>,
    /// The task that was submitted and has not run yet.
    next: Option<(u64, Pending)>,
    /// The Unix time at the monotonic clock's zero.
    clock_zero: Duration,
}

impl Executor for InlineExecutor {
    fn merge_with(&mut self, function: &str) -> Result<()> {
        self.job.add_merge(function)
    }

    fn has_room(&self) -> bool {
        self.next.is_none()
    }

    fn submit(&mut self, given: Assignment<'_>) {
        let pending = Pending::new(0, given.index, given.call, given.task.clone());
        self.next = Some((given.ticket, pending));
    }

    fn next(&mut self) -> Option<ExecutorEvent> {
        let (ticket, pending) = self.next.take()?;
        if !self.is_loaded {
            if let Err(error) = self.load() {
                return Some(ExecutorEvent::Failed(error));
            }
            self.is_loaded = true;
        }
        Some(ExecutorEvent::Ended(self.run(ticket, pending)))
    }

    fn wait(&mut self, _at_most: Option<Duration>) {}
}

impl InlineExecutor {
    /// Loads the module, with the functions that tasks may call.
    fn load(&mut self) -> Result<()> {
        let refused = |error| Error::system("cannot duplicate a file's descriptor", error);
        let shared = self.job.files.iter().map(|input| input.file().0);
        for (number, file) in shared.chain(self.job.region_files.iter().map(|file| &**file)).enumerate() {
            self.files.insert(number as u32, file.try_clone().map_err(refused)?);
        }
        let own = |directory: &Directory| Ok((directory.file().try_clone()?, directory.access()));
        let directories: io::Result<Vec<(File, Access)>> = self.job.directories.iter().map(own).collect();
        self.directories = directories.map_err(refused)?;
        let code = self.job.module.code().try_clone().map_err(refused)?;
        let loaded = self.guest.load(code, self.job.spec(0), &self.files, None, &self.directories);
        loaded.map_err(|reason| match is_exhaustion(&reason) {
            // The module is not at fault.
            true => Error::backend(reason),
            false => Error::module(format!("module {}: {reason}", self.job.module.name())),
        })
    }

    fn run(&mut self, ticket: u64, pending: Pending) -> TaskEnd {
        let mut payload = Vec::new();
        let shared = (self.job.files.len() + self.job.region_files.len()) as u32;
        let mut number = shared;
        let mut refer_to = |input: &Input, payload: &mut Vec<u8>| {
            self.files.insert(number, input.file().0.try_clone()?);
            InputRange { file: number, offset: input.offset(), len: input.len() }.encode(payload);
            number += 1;
            Ok::<_, io::Error>(())
        };
        let mut referred = pending.task().inputs.iter().try_for_each(|input| refer_to(input, &mut payload));
        match pending.task().argument.file() {
            None => payload.extend_from_slice(&pending.task().argument),
            Some(file) => referred = referred.and_then(|()| refer_to(file, &mut payload)),
        }
        if let Err(error) = referred {
            let ended = pending.fail(Status::Error, format!("cannot duplicate its input's descriptor: {error}"), 0);
            return TaskEnd::from_outcome(ticket, ended.into_outcome());
        }
        let slot = TaskSlot {
            ticket,
            index: pending.index(),
            payload: 0,
            payload_len: payload.len() as u32,
            input_count: pending.task().inputs.len() as u32,
            argument_is_file: pending.task().argument.file().is_some(),
            after: 0,
            function: pending.call().number(),
        };
        let mut result = TaskResult::new();
        let start_ns = monotonic_ns();
        let stack = self.job.limits.stack_bytes as usize + HOST_STACK_BYTES;
        // To map a stack without room for it is a panic.
        let is_there = stacker::remaining_stack().is_some_and(|left| left >= stack);
        if !is_there && Vec::<u8>::new().try_reserve_exact(stack).is_err() {
            let message = format!("there is no memory for its stack of {stack} bytes");
            let ended = pending.fail(Status::Limit, message, 0);
            return TaskEnd::from_outcome(ticket, ended.into_outcome());
        }
        stacker::maybe_grow(stack, stack, || self.guest.run(&slot, &payload, &self.files, &mut result));
        result.complete(self.job.limits.log_bytes);
        let done = result.done(ticket, start_ns, monotonic_ns());
        self.files.truncate(shared);
        let bytes = result.parts().concat();
        let sent = match result.output_file.is_some() {
            true => result.write_file().map(SentResult::File).map(Some),
            false => Ok(None),
        };
        let ended = match sent {
            Ok(sent) => complete(&self.job, 0, &done, pending, &bytes, sent, self.clock_zero),
            Err(error) => Ok(pending.fail(Status::Limit, format!("its result cannot be stored: {error}"), 0)),
        };
        let ended = ended.unwrap_or_else(|lie| lie.pending.fail(Status::WorkerLost, lie.violation.0.to_owned(), 0));
        TaskEnd::from_outcome(ticket, ended.into_outcome())
    }
}

/// Stack that host functions and signal handlers need in addition to the guest's own limit, in bytes.
const HOST_STACK_BYTES: usize = 1 << 20;
