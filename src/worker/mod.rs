//! A worker process: receives jobs and tasks, runs them and sends their results, until its pool is gone.

mod snapshot;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::thread::JoinHandle;

use crate::guest::{self, FileTable, Guest, MappedOutput, TaskResult};
use crate::ipc::channel::{ToPool, ToWorker};
use crate::ipc::ring::{INLINE_MAX_BYTES, WorkerRing};
use crate::ipc::stack_trace::StackTraceWriter;
use crate::ipc::wire::{DoneSlot, Failure, JobSpec, PROTOCOL_VERSION, TaskSlot};
use crate::job::Limits;
use crate::result::Status;
use crate::sandbox::{self, MissingLayer, Sandbox};
use crate::sys::memory_file;
use crate::sys::path_access::Access;
use crate::sys::process::{become_worker, monotonic_ns};
use crate::sys::socket::{Socket, SocketWait};
use crate::sys::window::page_size;

pub(crate) use snapshot::main as snapshot_main;

/// The stack of the thread that runs guests: the maximum of [`Limits::stack_bytes`], and room for host calls.
const STACK_BYTES: usize = Limits::MAX_STACK_BYTES as usize + (4 << 20);

/// Runs this process as a worker of the process `parent`. Returns its exit code when the pool is gone.
pub(crate) fn main(parent: u32) -> i32 {
    match become_worker(parent).and_then(Worker::start).and_then(run) {
        Ok(GuestThread::PoolIsGone) => 0,
        // The panic has been printed.
        Ok(GuestThread::Panicked) => 1,
        Err(error) => {
            // The pool shows this text when it reports that the process has ended.
            let _ = writeln!(io::stderr(), "{error}");
            1
        }
    }
}

/// How the thread that runs guests ended.
enum GuestThread {
    PoolIsGone,
    Panicked,
}

/// Runs guests on a thread of its own, because the user's shell decides how large the main thread's stack is. The thread inherits the
/// confinement. Meanwhile the main thread answers the pool's requests for stack traces.
fn run(worker: Worker) -> io::Result<GuestThread> {
    struct EndQuestions<'a>(&'a StackTraceWriter);
    impl Drop for EndQuestions<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let (place, clock) = (worker.ring.stack_trace(), worker.ring.clock());
    std::thread::scope(|scope| {
        let guests = || {
            let _end = EndQuestions(&place);
            guest::this_thread_runs_guests()?;
            worker.run()
        };
        let thread = std::thread::Builder::new().name("guest".into()).stack_size(STACK_BYTES);
        let no_thread = |error: io::Error| io::Error::new(error.kind(), format!("cannot start a thread: {error}"));
        let thread = thread.spawn_scoped(scope, guests).map_err(no_thread)?;
        guest::answer_questions(&place, &clock);
        match thread.join() {
            Ok(ended) => ended.map(|()| GuestThread::PoolIsGone),
            Err(_) => Ok(GuestThread::Panicked),
        }
    })
}

/// Starts a worker as a thread of this process, for tasks without a time limit, because it cannot be killed, and without confinement.
pub(crate) fn in_thread(socket: Socket) -> io::Result<JoinHandle<io::Result<()>>> {
    let thread = std::thread::Builder::new().name("wrun-worker".into()).stack_size(STACK_BYTES);
    thread.spawn(move || Worker::start(socket)?.run())
}

struct Worker {
    socket: Socket,
    ring: WorkerRing,
    /// Control messages handled so far, excluding the greeting and wake-ups.
    handled: u32,
    files: FileTable,
    stdio: Option<[File; 3]>,
    directories: Vec<(File, Access)>,
    guest: Guest,
    /// The current job cannot be run.
    refused: bool,
    /// The log limit of the current job's tasks, in bytes.
    log_bytes: u64,
    /// When the last task ended, if nothing has happened since: then the next one starts at that time.
    last_end_ns: Option<u64>,
    sandbox: Sandbox,
    /// Whether loading new code is no longer possible.
    code_is_closed: bool,
}

/// Whether the pool is still there.
enum PoolState {
    There,
    Gone,
}

impl Worker {
    fn start(socket: Socket) -> io::Result<Worker> {
        let Some(ToWorker::Hello { version, sandbox, directories, ring }) =
            ToWorker::receive(&socket, SocketWait::Block)?
        else {
            return Err(io::Error::other("the first message was not a greeting"));
        };
        if version != PROTOCOL_VERSION {
            return Err(io::Error::other(format!(
                "this worker speaks protocol version {PROTOCOL_VERSION} and its pool version {version}: \
                 use the same version of wrun for both"
            )));
        }
        let mut worker = Worker {
            socket,
            ring: WorkerRing::map(&File::from(ring))?,
            handled: 0,
            files: FileTable::default(),
            stdio: None,
            directories: Vec::new(),
            guest: Guest::new().map_err(|error| io::Error::other(format!("cannot set up wasmtime: {error:#}")))?,
            refused: false,
            log_bytes: 0,
            last_end_ns: None,
            sandbox,
            code_is_closed: false,
        };
        worker.guest.note_memory(worker.ring.memory_notes());
        for _ in 0..directories {
            let Some(ToWorker::Directory { access, directory }) = ToWorker::receive(&worker.socket, SocketWait::Block)?
            else {
                return Err(io::Error::other("a directory is missing"));
            };
            worker.directories.push((File::from(directory), access));
        }
        // Reads and caches it now: that takes a system call which is not allowed later.
        page_size();
        // No data of the user's has been read yet.
        if sandbox != Sandbox::Off {
            worker.admit(&sandbox::confine(&worker.directories))?;
        }
        worker.ring.say_ready();
        Ok(worker)
    }

    /// Reports missing layers of confinement, or fails if all layers are required.
    fn admit(&mut self, missing: &[MissingLayer]) -> io::Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        match sandbox::refusal(self.sandbox, missing) {
            Some(refusal) => Err(io::Error::other(format!("{refusal}; choose the default sandbox to run without"))),
            None => ToPool::<File>::Unconfined { missing: missing.to_vec() }.send(&self.socket),
        }
    }

    fn run(mut self) -> io::Result<()> {
        let mut payload = Vec::new();
        let mut result = TaskResult::new();
        loop {
            let Some(task) = self.next_task(&mut payload)? else { return Ok(()) };
            while self.handled < task.after {
                if let PoolState::Gone = self.handle_message()? {
                    return Ok(());
                }
            }
            // A refused job ends the run. Its tasks are neither run nor answered.
            if !self.refused {
                self.run_task(&task, &payload, &mut result)?;
            }
        }
    }

    /// Waits for a task; `None` when the pool is gone.
    fn next_task(&mut self, payload: &mut Vec<u8>) -> io::Result<Option<TaskSlot>> {
        loop {
            for _ in 0..SPINS {
                if let Some(task) = self.ring.take(payload) {
                    return Ok(Some(task));
                }
                self.last_end_ns = None;
                std::hint::spin_loop();
            }
            if self.ring.pool_waits() {
                ToPool::<File>::Wake.send(&self.socket)?;
            }
            if self.ring.fall_asleep()
                && let PoolState::Gone = self.handle_message()?
            {
                return Ok(None);
            }
            self.ring.awake();
        }
    }

    fn handle_message(&mut self) -> io::Result<PoolState> {
        match ToWorker::receive(&self.socket, SocketWait::Block)? {
            None => return Ok(PoolState::Gone),
            Some(ToWorker::Wake) => return Ok(PoolState::There),
            Some(ToWorker::Hello { .. } | ToWorker::Directory { .. }) => {
                return Err(io::Error::other("a second greeting"));
            }
            Some(ToWorker::File { number, file }) => self.files.insert(number, File::from(file)),
            Some(ToWorker::Close { number }) => self.files.close(number),
            Some(ToWorker::Stdio { fds }) => self.stdio = Some(fds.map(File::from)),
            Some(ToWorker::Job { code, spec }) => {
                let spec = read_spec(&File::from(spec)).map_err(io::Error::other)?;
                let job = spec.number;
                let loaded = self.load_job(File::from(code), spec);
                self.refused = loaded.is_err();
                if let Err(reason) = loaded {
                    ToPool::<File>::JobRefused { job, reason }.send(&self.socket)?;
                }
            }
        }
        self.handled += 1;
        self.last_end_ns = None;
        Ok(PoolState::There)
    }

    fn load_job(&mut self, code: File, spec: JobSpec) -> Result<(), String> {
        self.log_bytes = spec.log_bytes;
        self.files.truncate(spec.file_count);
        self.guest.load(code, spec, &self.files, self.stdio.take(), &self.directories)?;
        if self.sandbox != Sandbox::Off && !self.code_is_closed {
            let missing: Vec<MissingLayer> = sandbox::close_code(&self.directories).err().into_iter().collect();
            self.admit(&missing).map_err(|error| error.to_string())?;
            self.code_is_closed = true;
        }
        Ok(())
    }

    fn run_task(&mut self, task: &TaskSlot, payload: &[u8], result: &mut TaskResult) -> io::Result<()> {
        let start_ns = self.last_end_ns.take().unwrap_or_else(monotonic_ns);
        self.ring.begin(task.ticket, start_ns);
        self.guest.run(task, payload, &self.files, result);
        let is_small = |output: &mut MappedOutput| output.len <= INLINE_MAX_BYTES as u64;
        if let Some(MappedOutput { file, len }) = result.output_file.take_if(is_small) {
            // A small output is cheaper to copy than to send as a file.
            result.output.resize(len as usize, 0);
            file.read_exact_at(&mut result.output, 0)?;
        }
        result.complete(self.log_bytes);
        let end_ns = monotonic_ns();
        let done = result.done(task.ticket, start_ns, end_ns);
        if self.send(done, result)? {
            ToPool::<File>::Wake.send(&self.socket)?;
        } else if result.output_file.is_none() {
            self.last_end_ns = Some(end_ns);
        }
        Ok(())
    }

    /// Sends a completion. Returns whether the pool must be woken.
    fn send(&mut self, done: DoneSlot, result: &mut TaskResult) -> io::Result<bool> {
        if result.output_file.is_none() {
            let parts = result.parts();
            if self.ring.has_room(parts.iter().map(|part| part.len()).sum()) {
                return Ok(self.ring.finish(done, &parts));
            }
        }
        let sent = result.write_file().and_then(|file| ToPool::Payload { file: file.as_fd() }.send(&self.socket));
        match sent {
            Ok(()) => Ok(self.ring.finish_with_file(done)),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error),
            Err(_) if done.status != Status::Ok && result.drop_output() => {
                let message_len = result.parts()[2].len() as u32;
                self.send(DoneSlot { output_len: 0, message_len, ..done }, result)
            }
            Err(error) => {
                let why = format!("its result of {} bytes cannot be handed over: {error}", done.output_len);
                let mut message = Vec::new();
                Failure::new(why).encode(&mut message);
                let failed = DoneSlot {
                    status: Status::Limit,
                    setting: None,
                    output_len: 0,
                    message_len: message.len() as u32,
                    backtrace_len: 0,
                    log_len: 0,
                    ..done
                };
                while !self.ring.has_room(message.len()) {
                    // The pool reads completions whenever its caller asks for outcomes.
                    std::thread::yield_now();
                }
                Ok(self.ring.finish(failed, &[&message]))
            }
        }
    }
}

fn read_spec(file: &File) -> Result<JobSpec, String> {
    let mut bytes = vec![0; memory_file::len(file).map_err(|error| error.to_string())? as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|error| format!("cannot read the job: {error}"))?;
    postcard::from_bytes(&bytes).map_err(|error| format!("cannot read the job: {error}"))
}

/// How often the ring is polled before the worker goes to sleep: about as long as waking it would take.
const SPINS: u32 = 200;
