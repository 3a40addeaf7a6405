//! A worker that lies, for tests: it takes a task and then breaks the protocol.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ipc::channel::{MAX_BYTES, ToPool, ToWorker};
use crate::ipc::ring::forge::Forge;
use crate::ipc::ring::{INLINE_MAX_BYTES, SLOTS, WorkerRing};
use crate::ipc::wire::{DoneSlot, Failure, Payload, TaskSlot, WindowBytes};
use crate::result::Status;
use crate::sandbox::{Layer, MissingLayer};
use crate::sys::memory_file;
use crate::sys::process::{become_worker, monotonic_ns, stop_this_process};
use crate::sys::socket::{Socket, SocketWait};

/// The environment variable that makes a worker lie: `LIE in DIRECTORY`, where the directory is for the traces that it leaves.
pub(crate) const LIE: &str = "WRUN_TEST_LIE";

/// What a lying worker has at hand.
pub(super) struct Liar<'a> {
    pub socket: Socket,
    pub ring: WorkerRing,
    pub forge: Forge,
    pub task: TaskSlot,
    /// The task's argument.
    pub payload: Vec<u8>,
    pub traces: &'a Path,
}

/// The lie's name, and what the worker does with its first task.
pub(super) type Lie = (&'static str, fn(&mut Liar<'_>));

/// Indices of words in a completion's slot.
const STATUS: usize = 1;
const POSITION: usize = 2;
const OUTPUT: usize = 3;
const TEXTS: usize = 4;

/// Does not even read its greeting.
pub(super) const SILENT: &str = "never gets ready";
/// Exits before it does anything.
pub(super) const ENDS: &str = "exits at once";
/// Leaves a helper that keeps its socket open after it ends.
pub(super) const HIDES: &str = "hides its end";
/// The helper's role.
const HOLDER: &str = "holds a socket";

/// Lies that leave the task without an end, so that only its time limit ends it.
pub(super) const ENDLESS: &[Lie] = &[
    ("stops", |_| stop_this_process()),
    ("stops in the middle of a completion", |liar| {
        let slot = liar.done().encode();
        liar.forge.write(0, &[slot[0], slot[1], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        liar.forge.announce(0);
        stop_this_process();
    }),
    ("floods its socket with wake-ups", |liar| while ToPool::<File>::Wake.send(&liar.socket).is_ok() {}),
    ("says that its task starts in the future", |liar| liar.ring.begin(liar.task.ticket, u64::MAX)),
    ("runs a task that it does not have", |liar| liar.ring.begin(u64::MAX - 1, monotonic_ns())),
    ("stops without saying what it runs", |liar| {
        liar.forge.take_all();
        stop_this_process();
    }),
];

/// Lies that are detected at once, or do no harm.
pub(super) const LIES: &[Lie] = &[
    ("says that its task started long ago", |liar| {
        liar.ring.begin(liar.task.ticket, 0);
        liar.answer();
        liar.leave();
    }),
    ("writes garbage", |liar| liar.forge.write(0, &std::array::from_fn(|word| 0x9e37_79b9_7f4a_7c15 << word))),
    ("writes a status that there is not", |liar| liar.forged(STATUS, 9)),
    ("says that its task was cancelled", |liar| {
        let done = DoneSlot { status: Status::Cancelled, ..liar.done() };
        liar.forge.write(0, &done.encode());
    }),
    ("reports a fault that makes no sense", |liar| {
        let done = DoneSlot { status: Status::InputFault, ..liar.done() };
        liar.forge.write(0, &done.encode());
    }),
    ("reports a fault in an input that there is not", |liar| {
        let words = [u64::from(u32::MAX), 1, u64::MAX].map(u64::to_le_bytes).concat();
        liar.fail(Status::InputFault, &Failure::new(words));
        liar.leave();
    }),
    ("reports a failure that makes no sense", |liar| {
        let done = DoneSlot { status: Status::Error, message_len: 8, ..liar.done() };
        let _ = liar.ring.finish(done, &[&[0xff; 8]]);
        liar.leave();
    }),
    ("says that it printed more than it sends", |liar| {
        liar.fail(Status::Error, &Failure { stdout_len: 1 << 40, ..Failure::new("no") });
        liar.leave();
    }),
    ("sends a result beyond the limit", |liar| liar.forged(OUTPUT, 65 << 20)),
    ("sends a result beyond its ring", |liar| {
        let slot = liar.done().encode();
        liar.forge.write(0, &[slot[0], slot[1], (1 << 20) - 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }),
    ("places its result anywhere", |liar| {
        // The pool wraps it to a position within the ring.
        liar.forged(POSITION, u64::MAX);
        liar.leave();
    }),
    ("sends texts beyond the limit", |liar| liar.forged(TEXTS, u64::MAX)),
    ("sends lengths whose sum is no number", |liar| {
        let slot = liar.done().encode();
        liar.forge.write(0, &[slot[0], u64::from(u32::MAX) << 32, 0, u64::MAX, u64::MAX, 0, 0, 0, 0, 0, 0, 0]);
    }),
    ("ends a task that it does not have", |liar| {
        liar.task.ticket += 1_000_000;
        liar.answer();
    }),
    ("ends its task twice", |liar| {
        liar.answer();
        liar.answer();
    }),
    ("ends everything again and again", |liar| {
        liar.answer();
        (0..10 * SLOTS as u64).for_each(|position| liar.forge.announce(position));
    }),
    ("announces more than there can be", |liar| liar.forge.announce(u64::MAX)),
    ("takes an announcement back", |liar| {
        liar.answer();
        let _ = ToPool::<File>::Wake.send(&liar.socket);
        // The pool may not have looked yet; then it sees a task that was not completed.
        liar.forge.announce(0);
        liar.leave();
    }),
    ("consumes tasks that were not given", |liar| {
        liar.forge.consume(u64::MAX);
        liar.leave();
    }),
    ("takes all tasks and ends", |liar| {
        liar.forge.take_all();
        liar.leave();
    }),
    ("announces a file and sends none", |liar| liar.announce_file(10)),
    ("sends a file that can change", |liar| {
        let file = memory_file::output(4096).expect("memory");
        liar.send_file(&[file.as_fd()]);
    }),
    ("sends a file that is too short", |liar| {
        let file = memory_file::output(5).expect("memory");
        memory_file::seal(&file).expect("sealed");
        liar.send_file(&[file.as_fd()]);
    }),
    ("sends a longer file than announced", |liar| {
        let file = memory_file::output(1 << 20).expect("memory");
        file.write_all_at(&[b'x'; 10], 0).expect("written");
        memory_file::seal(&file).expect("sealed");
        liar.send_file(&[file.as_fd()]);
        liar.leave();
    }),
    ("sends its own socket", |liar| liar.send_file(&[liar.socket.as_fd()])),
    ("sends a directory", |liar| liar.send_file(&[File::open("/").expect("a directory").as_fd()])),
    ("sends a device", |liar| liar.send_file(&[File::open("/dev/zero").expect("a device").as_fd()])),
    ("sends too many files", |liar| {
        let file = memory_file::output(10).expect("memory");
        memory_file::seal(&file).expect("sealed");
        liar.send_file(&[file.as_fd(); 16]);
    }),
    ("sends files for tasks that it does not have", |liar| {
        let file = memory_file::output(10).expect("memory");
        memory_file::seal(&file).expect("sealed");
        while (ToPool::Payload { file: file.as_fd() }).send(&liar.socket).is_ok() {}
    }),
    ("sends an empty message", |liar| liar.say(&[])),
    ("sends a message that is too long", |liar| liar.say(&[7; 8 * MAX_BYTES])),
    ("sends a message of an unknown kind", |liar| liar.say(&[250, 1, 2, 3])),
    ("sends a message that ends too early", |liar| liar.say(&[7, 1, 2])),
    ("sends a message of a pool", |liar| liar.say(&[1, 3, 0, 0, 0])),
    ("refuses its job", |liar| {
        let refusal = ToPool::<File>::JobRefused { job: 1, reason: "\u{1b}[2J".repeat(500) };
        while refusal.send(&liar.socket).is_ok() {}
    }),
    ("refuses a job that there is not", |liar| {
        let refusal = ToPool::<File>::JobRefused { job: u64::MAX, reason: String::new() };
        (0..1000).for_each(|_| drop(refusal.send(&liar.socket)));
        liar.answer();
        liar.leave();
    }),
    ("says again and again that it is not confined", |liar| {
        let missing = Layer::ALL.map(|layer| MissingLayer::new(layer, "\u{1b}]0;x\u{7}".repeat(30)));
        let missing = ToPool::<File>::Unconfined { missing: missing.to_vec() };
        (0..1000).for_each(|_| drop(missing.send(&liar.socket)));
        liar.answer();
        liar.leave();
    }),
    ("closes its socket and lives on", |liar| {
        let (other, _) = Socket::pair().expect("a pair");
        liar.socket = other;
        stop_this_process();
    }),
    ("says impossible times", |liar| {
        let argument = std::mem::take(&mut liar.payload);
        let done = DoneSlot {
            start_ns: u64::MAX,
            duration_ns: u64::MAX,
            windows: WindowBytes { mapped: u64::MAX, copied: u64::MAX },
            peak_memory_bytes: u64::MAX,
            ..liar.done()
        };
        let _ = liar.ring.finish(DoneSlot { output_len: argument.len() as u64, ..done }, &[&argument]);
        liar.leave();
    }),
    ("crashes", |_| std::process::abort()),
];

/// Changes its shared memory while the pool reads it.
pub(super) const FLIPS: &str = "changes its memory all the time";

/// The main function of a process that was started as a liar.
pub(crate) fn main(parent: u32, lie: &str) -> ! {
    let (lie, traces) = lie.rsplit_once(" in ").expect("a lie and a directory");
    let traces = Path::new(traces);
    if lie == HOLDER {
        hold();
    }
    let leave_trace = || drop(File::create(traces.join("lied")));
    let socket = become_worker(parent).expect("started by a pool");
    match lie {
        SILENT => {
            leave_trace();
            stop_this_process();
        }
        ENDS => {
            leave_trace();
            std::process::exit(0);
        }
        _ => {}
    }
    let Ok(Some(ToWorker::Hello { ring, .. })) = ToWorker::receive(&socket, SocketWait::Block) else {
        std::process::exit(1)
    };
    let file = File::from(ring);
    let (mut ring, forge) = (WorkerRing::map(&file).expect("a ring"), Forge::map(&file).expect("a ring"));
    ring.say_ready();
    let mut payload = Vec::new();
    let task = next(&socket, &mut ring, &mut payload);
    ring.begin(task.ticket, monotonic_ns());
    let mut liar = Liar { socket, ring, forge, task, payload, traces };
    leave_trace();
    match lie {
        HIDES => liar.hide(),
        FLIPS => liar.flip(),
        _ => {
            let (_, act) = LIES.iter().chain(ENDLESS).find(|(name, _)| *name == lie).expect("a lie");
            act(&mut liar);
        }
    }
    let _ = ToPool::<File>::Wake.send(&liar.socket);
    // It stays silent until it is killed or its pool is gone.
    while let Ok(Some(_)) = ToWorker::receive(&liar.socket, SocketWait::Block) {}
    std::process::exit(0)
}

/// The next task.
fn next(socket: &Socket, ring: &mut WorkerRing, payload: &mut Vec<u8>) -> TaskSlot {
    loop {
        if let Some(task) = ring.take(payload) {
            return task;
        }
        if ring.fall_asleep() && !matches!(ToWorker::receive(socket, SocketWait::Block), Ok(Some(_))) {
            std::process::exit(0);
        }
        ring.awake();
    }
}

/// Keeps the socket on its standard input open until the other end is closed.
fn hold() -> ! {
    let socket = Socket::from_fd(std::io::stdin().as_fd().try_clone_to_owned().expect("a socket"));
    while let Ok(Some(_)) = ToWorker::receive(&socket, SocketWait::Block) {}
    std::process::exit(0)
}

impl Liar<'_> {
    /// An honest completion with an empty result.
    fn done(&self) -> DoneSlot {
        DoneSlot { payload: Payload::Ring(0), start_ns: monotonic_ns(), ..DoneSlot::ok(self.task.ticket, 0) }
    }

    /// The right answer: the argument.
    fn answer(&mut self) {
        let done = DoneSlot { output_len: self.payload.len() as u64, ..self.done() };
        let _ = self.ring.finish(done, &[&self.payload]);
    }

    /// A completion with this failure.
    fn fail(&mut self, status: Status, failure: &Failure) {
        let mut message = Vec::new();
        failure.encode(&mut message);
        let done = DoneSlot { status, message_len: message.len() as u32, ..self.done() };
        let _ = self.ring.finish(done, &[&message]);
    }

    /// Writes a completion with one word replaced.
    fn forged(&self, word: usize, value: u64) {
        let mut slot = self.done().encode();
        slot[word] = value;
        self.forge.write(0, &slot);
    }

    fn announce_file(&self, output_len: u64) {
        let done = DoneSlot { payload: Payload::File, output_len, ..self.done() };
        self.forge.write(0, &done.encode());
    }

    /// Sends these descriptors as the file of a ten-byte result, and announces it.
    fn send_file(&self, fds: &[BorrowedFd<'_>]) {
        let kind_of_a_payload = [6];
        self.socket.send_anything(&kind_of_a_payload, fds, SocketWait::Block).expect("sent");
        self.announce_file(10);
    }

    fn say(&self, message: &[u8]) {
        self.socket.send_anything(message, &[], SocketWait::Block).expect("sent");
    }

    /// Wakes its pool and exits.
    fn leave(&self) -> ! {
        let _ = ToPool::<File>::Wake.send(&self.socket);
        std::process::exit(0)
    }

    /// Exits, while a helper keeps the socket open.
    fn hide(&self) -> ! {
        let socket: OwnedFd = self.socket.as_fd().try_clone_to_owned().expect("a copy");
        let mut holder = Command::new("/proc/self/exe");
        holder.args([crate::sys::self_exe::HIDDEN_ARGUMENT, "holder"]);
        holder.env(LIE, format!("{HOLDER} in {}", self.traces.display()));
        let holder = holder.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pid = holder.expect("a helper").id();
        std::fs::write(self.traces.join("holder"), pid.to_string()).expect("a trace");
        std::process::exit(0)
    }

    /// Completes its tasks correctly, while another thread changes the shared memory at random.
    fn flip(&mut self) {
        std::thread::scope(|scope| {
            let forge = &self.forge;
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15u64;
                loop {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    forge.flip(random);
                }
            });
            loop {
                let argument = self.payload.len().min(INLINE_MAX_BYTES);
                while !self.ring.has_room(argument) {}
                let done = DoneSlot { duration_ns: 1, ..DoneSlot::ok(self.task.ticket, argument as u64) };
                if self.ring.finish(done, &[&self.payload[..argument]]) {
                    let _ = ToPool::<File>::Wake.send(&self.socket);
                }
                self.task = next(&self.socket, &mut self.ring, &mut self.payload);
            }
        });
    }
}
