//! The pool's side of one worker.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file_numbers::FileNumbers;
use super::guarded::{KilledFor, Watched, WorkerTime};
use super::keeper::Keeper;
use super::message::Message;
use super::spare;
use super::thread::WorkerThread;
use crate::ipc::channel::ToWorker;
use crate::ipc::ring::{INLINE_MAX_BYTES, MAX_TASK_PAYLOAD_BYTES, PoolRing, SLOTS, TaskMemory, Violation};
use crate::ipc::stack_trace::StackTrace;
use crate::ipc::wire::{InputRange, TaskSlot};
use crate::pool::completion::SentResult;
use crate::pool::prepared_job::{LoadedCode, PreparedJob};
use crate::pool::record::Pending;
use crate::sandbox::{MissingLayer, Sandbox};
use crate::sys::process::Process;
use crate::sys::socket::{Socket, SocketWait};
use crate::{Directory, Input, Task};

/// A worker, from the moment its start is requested: it can hold tasks before its process runs.
#[derive(Debug)]
pub(super) struct Worker {
    /// Unique in the pool, unlike its number, which may go to a successor.
    pub id: u64,
    pub ring: PoolRing,
    pub socket: Socket,
    /// The ring's memory, until it is sent to the worker with the greeting.
    memory: Option<File>,
    pub process: Start,
    pub killed_for: KilledFor,
    /// The time that it has had. Always 0 if it is a thread.
    time: WorkerTime,
    /// The tasks that it holds, in the order in which it will run them.
    pub held: VecDeque<HeldTask>,
    /// The ticket of the last task that it ended.
    pub last_done: Option<u64>,
    /// Control messages sent or waiting to be sent, not counting wake-ups.
    messages: u32,
    unsent: VecDeque<Message>,
    files: FileNumbers,
    /// Bytes of the arguments in files, of all tasks that it holds.
    argument_bytes: u64,
    /// Payloads that came through the socket and wait for their completions.
    pub payloads: VecDeque<SentResult>,
    /// The most bytes that such a payload has.
    pub most_payload_bytes: u64,
    /// The number of the last job that it was given.
    pub job: u64,
    /// The code that it has loaded: it cannot load any other.
    code: Option<LoadedCode>,
    /// The directories that it may use.
    directories: Vec<Directory>,
    /// The files that it has been given for writing.
    region_files: Vec<Arc<File>>,
    /// The number of a job that it cannot run, and why.
    pub refused: Option<(u64, String)>,
    /// Layers of confinement that it lacks, and why.
    pub unconfined: Vec<MissingLayer>,
    /// When the task that is now the first in `held` became the first.
    pub front_since: Instant,
    /// The same in its own time.
    front_time_ns: u64,
    /// The deadline for it to get ready, in its own time; `None` before it runs, and once it is ready.
    ready_until_ns: Option<u64>,
    /// Whether it has ended a task.
    pub proven: bool,
    /// The task that was last reported as slow.
    pub reported_slow: Option<ReportedSlow>,
    /// How many tasks were pushed but not published yet.
    unpublished: u32,
}

/// A task that a worker holds.
#[derive(Debug)]
pub(super) struct HeldTask {
    pub ticket: u64,
    /// Its position in the worker's ring.
    pub position: u64,
    pub pending: Pending,
}

const _: () = assert!(
    Task::MAX_INPUTS * InputRange::BYTES + INLINE_MAX_BYTES <= MAX_TASK_PAYLOAD_BYTES,
    "every task that is accepted fits into an empty ring"
);

/// New tasks are published once there are this many, even if more are to come.
const PUBLISHED_TOGETHER: u32 = 256;

/// How many bytes of arguments in files a worker may hold; a single argument may have more.
const MAX_HELD_ARGUMENT_BYTES: u64 = 64 << 20;

/// A task that was reported as slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedSlow {
    pub ticket: u64,
    /// The running time after which it is reported again.
    pub again_after: Duration,
}

/// How far a worker's start has got.
#[derive(Debug)]
pub(super) enum Start {
    /// The keeper has been asked to start its process, and has not done so yet.
    Ordered,
    Running(Process),
    /// It is a thread of this process.
    Thread(WorkerThread),
    /// It could not be started, and why.
    Failed(String),
}

impl Worker {
    /// Asks the keeper to start a process, or starts a thread if there is no keeper. The worker then waits for its greeting.
    pub fn start(id: u64, keeper: Option<&Keeper>) -> io::Result<Worker> {
        let (memory, ring) = PoolRing::new()?;
        let (ours, theirs) = Socket::pair()?;
        let (killed_for, time) = (KilledFor::default(), WorkerTime::default());
        let process = match keeper {
            Some(keeper) => {
                let (clock, stack_trace) = (ring.clock(), ring.stack_trace());
                let watched = Watched { clock, stack_trace, killed_for: killed_for.clone(), time: time.clone() };
                keeper.start_process(id, theirs, watched);
                Start::Ordered
            }
            None => Start::Thread(WorkerThread::start(theirs)?),
        };
        Ok(Worker {
            id,
            ring,
            socket: ours,
            memory: Some(memory),
            process,
            killed_for,
            time,
            held: VecDeque::new(),
            last_done: None,
            messages: 0,
            unsent: VecDeque::new(),
            files: FileNumbers::default(),
            argument_bytes: 0,
            payloads: VecDeque::new(),
            most_payload_bytes: 0,
            job: 0,
            code: None,
            directories: Vec::new(),
            region_files: Vec::new(),
            refused: None,
            unconfined: Vec::new(),
            front_since: Instant::now(),
            front_time_ns: 0,
            ready_until_ns: None,
            proven: false,
            reported_slow: None,
            unpublished: 0,
        })
    }

    /// Whether this process may open enough other files besides what the worker needs.
    pub fn leaves_descriptors(&self) -> bool {
        spare::are_left(&self.socket)
    }

    /// Sends the greeting, upon which the worker sets itself up. It may take up to `timeout` for that, once its process runs.
    pub fn greet(&mut self, sandbox: Sandbox, directories: &[Directory], timeout: Duration) {
        let Some(memory) = self.memory.take() else { return };
        self.directories = directories.to_vec();
        self.send(Message::Hello(memory, sandbox, directories.len() as u32));
        directories.iter().for_each(|directory| self.send(Message::Directory(directory.clone())));
        // The greeting does not count, because tasks do not wait for it.
        self.messages = 0;
        self.expect_ready(timeout);
    }

    /// Takes note of the outcome of the request to start its process.
    pub fn note_started(&mut self, started: io::Result<Process>, timeout: Duration) {
        self.process = match started {
            Ok(process) => Start::Running(process),
            Err(error) => Start::Failed(error.to_string()),
        };
        self.expect_ready(timeout);
    }

    fn expect_ready(&mut self, timeout: Duration) {
        if self.memory.is_none() && matches!(self.process, Start::Running(_) | Start::Thread(_)) {
            let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            self.ready_until_ns = self.time.now_ns().checked_add(timeout_ns);
        }
    }

    /// Its process, if that is known to run.
    pub fn process(&self) -> Option<&Process> {
        match &self.process {
            Start::Running(process) => Some(process),
            Start::Ordered | Start::Thread(_) | Start::Failed(_) => None,
        }
    }

    /// Whether its process is at work, and the keeper's report of its start has not been read.
    pub fn has_started_unnoted(&self) -> bool {
        matches!(self.process, Start::Ordered) && self.ring.worker_is_ready()
    }

    /// Whether its tasks can be stopped.
    pub fn can_be_killed(&self) -> bool {
        self.process().is_some()
    }

    /// Where the task with this ticket was when its time limit expired, according to the worker.
    pub fn stack_trace(&self, ticket: u64) -> Option<StackTrace> {
        self.ring.stack_trace().read(ticket)
    }

    /// The memory of the task with this ticket, which it ran when it died, according to the worker.
    pub fn memory_of(&self, ticket: u64) -> TaskMemory {
        self.ring.clock().memory(ticket).unwrap_or_default()
    }

    /// The task that it is running, according to the worker: its ticket and start time.
    pub fn running(&self) -> Option<(u64, u64)> {
        let (ticket, start_ns) = self.ring.clock().current()?;
        // It can only be running the first task that it holds.
        self.held.front().filter(|held| held.ticket == ticket).map(|_| (ticket, start_ns))
    }

    /// Whether it has said that it is ready.
    pub fn is_ready(&self) -> bool {
        self.ring.worker_is_ready()
    }

    /// The time that it has left to get ready, unless it is ready.
    pub fn time_to_get_ready(&mut self) -> Option<Duration> {
        self.ready_until_ns.take_if(|_| self.ring.worker_is_ready());
        self.time_until_ready()
    }

    /// The time that it has left to get ready, unless it was seen to be ready.
    pub fn time_until_ready(&self) -> Option<Duration> {
        self.ready_until_ns.map(|until_ns| Duration::from_nanos(until_ns.saturating_sub(self.time.now_ns())))
    }

    /// Notes that the first task that it holds is another one now.
    pub fn note_front(&mut self) {
        (self.front_since, self.front_time_ns) = (Instant::now(), self.time.now_ns());
    }

    /// The time that it has had since then.
    pub fn front_time(&self) -> Duration {
        self.time.since(self.front_time_ns)
    }

    /// Whether it can run tasks of this job: it has no other code, the same directories, and no writable file of another job.
    pub fn can_run(&self, job: &PreparedJob) -> bool {
        self.region_files.iter().all(|file| job.region_files.iter().any(|other| Arc::ptr_eq(file, other)))
            && self.directories == job.directories
            && self.code.is_none_or(|code| code == job.code())
    }

    /// Gives it a job; tasks pushed from now on belong to that job.
    pub fn begin_job(&mut self, number: u64, job: &Arc<PreparedJob>, spec: &Input) -> io::Result<()> {
        self.job = number;
        self.code = Some(job.code());
        self.most_payload_bytes = job.most_payload_bytes();
        self.files.begin_job((job.files.len() + job.region_files.len()) as u32);
        for (number, file) in job.files.iter().enumerate() {
            self.send(Message::File(number as u32, file.clone()));
        }
        for (number, file) in job.region_files.iter().enumerate() {
            self.send(Message::Region((job.files.len() + number) as u32, file.clone()));
        }
        self.region_files.clone_from(&job.region_files);
        if let Some([a, b, c]) = &job.stdio {
            self.send(Message::Stdio([a.try_clone()?, b.try_clone()?, c.try_clone()?]));
        }
        self.send(Message::Job(job.clone(), spec.clone()));
        Ok(())
    }

    fn send(&mut self, message: Message) {
        self.messages += 1;
        self.unsent.push_back(message);
        self.send_unsent();
    }

    /// Sends what did not fit into the socket before. A worker that is gone is noticed elsewhere.
    pub fn send_unsent(&mut self) {
        while let Some(message) = self.unsent.front() {
            if message.send(&self.socket).is_err() {
                return;
            }
            self.unsent.pop_front();
        }
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether the ring has room for this task now.
    pub fn has_room(&mut self, task: &Task) -> Result<bool, Violation> {
        // A slot is not reused while the task that it held is under way: a slot's state must be that of a single task.
        if self.held.front().is_some_and(|held| self.ring.next_position() - held.position >= SLOTS as u64) {
            return Ok(false);
        }
        // A task that is alone is tried in any case.
        if !task.inputs.is_empty() && !self.held.is_empty() && !self.files.has_room(task.inputs.len() + 1) {
            return Ok(false);
        }
        let argument = match task.argument.file() {
            None => task.argument.len(),
            Some(file) if self.argument_bytes > 0 && self.argument_bytes + file.len() > MAX_HELD_ARGUMENT_BYTES => {
                return Ok(false);
            }
            Some(_) => InputRange::BYTES,
        };
        self.ring.has_room(task.inputs.len() * InputRange::BYTES + argument)
    }

    /// Gives it a task for which there is room. `payload` is scratch space.
    pub fn push(&mut self, ticket: u64, pending: Pending, payload: &mut Vec<u8>) {
        payload.clear();
        for input in &pending.task().inputs {
            self.refer_to(input, payload);
        }
        let argument_file = pending.task().argument.file();
        match argument_file {
            None => payload.extend_from_slice(&pending.task().argument),
            Some(file) => {
                self.argument_bytes += file.len();
                self.refer_to(file, payload);
            }
        }
        let slot = TaskSlot {
            ticket,
            index: pending.index(),
            payload: 0,
            payload_len: 0,
            input_count: pending.task().inputs.len() as u32,
            argument_is_file: argument_file.is_some(),
            after: self.messages,
            function: pending.call().number(),
        };
        if self.held.is_empty() {
            self.note_front();
        }
        let position = self.ring.push(slot, payload);
        self.held.push_back(HeldTask { ticket, position, pending });
        self.unpublished += 1;
        if self.unpublished >= PUBLISHED_TOGETHER {
            self.publish();
        }
    }

    /// Adds a reference to a file to a task's payload, and sends the file if the worker does not have it.
    fn refer_to(&mut self, input: &Input, payload: &mut Vec<u8>) {
        let (file, new) = self.files.take(input);
        if new {
            self.send(Message::File(file, input.clone()));
        }
        InputRange { file, offset: input.offset(), len: input.len() }.encode(payload);
    }

    /// Makes the tasks that it was given visible to it.
    pub fn publish(&mut self) {
        if std::mem::take(&mut self.unpublished) > 0 && self.ring.publish() {
            self.wake();
        }
    }

    /// Closes the connection, which ends an idle worker.
    pub fn hang_up(&self) {
        self.socket.shut_down();
    }

    fn wake(&self) {
        // A full socket holds messages that wake it as well; a closed one is noticed elsewhere.
        let _ = ToWorker::<BorrowedFd<'_>>::Wake.send(&self.socket, SocketWait::Never);
    }

    /// Takes back the last task, if the worker has not begun it.
    pub fn take_back(&mut self) -> Option<Pending> {
        let last = self.held.back()?;
        self.ring.revoke(last.position).then(|| self.held.pop_back().map(|held| self.release(held)))?
    }

    /// Takes back the first task, if the worker did not begin it: for a worker that is gone.
    pub fn take_back_first(&mut self) -> Option<Pending> {
        let first = self.held.front()?;
        self.ring.revoke(first.position).then(|| self.held.pop_front().map(|held| self.release(held)))?
    }

    /// Releases what the worker holds for a task, and returns the task.
    pub fn release(&mut self, held: HeldTask) -> Pending {
        held.pending.task().inputs.iter().for_each(|input| self.files.give_back(input));
        let argument = &held.pending.task().argument;
        if let Some(file) = argument.file() {
            self.argument_bytes -= file.len();
            if !argument.is_last() {
                self.files.give_back(file);
            } else if let Some(number) = self.files.close(file) {
                self.send(Message::Close(number));
            }
        }
        held.pending
    }

    /// Whether it holds this task or may have ended it: tickets only increase.
    pub fn had(&self, ticket: u64) -> bool {
        self.held.iter().any(|held| held.ticket == ticket) || self.last_done.is_some_and(|last| ticket <= last)
    }

    /// Frees the ring's space of all completions read so far.
    pub fn free_done(&self) {
        self.ring.release();
    }

    /// Asks to be woken when `count` more completions are there. Returns `false` if some are already there.
    pub fn fall_asleep(&self, count: u64) -> bool {
        self.ring.fall_asleep(count)
    }

    /// Withdraws that request.
    pub fn awake(&self) {
        self.ring.awake();
    }
}

impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
