//! The byte layouts of what a pool and a worker say to each other; the one place that knows them.

use serde::{Deserialize, Serialize};

pub use super::fault::{InputFault, InputFaultKind, Mapped};
use crate::confinement::{Access, MissingLayer, Sandbox};
use crate::entry::Entry;
use crate::status::Status;

/// Changes whenever anything in this module or the ring changes; the two sides compare it first.
pub const PROTOCOL_VERSION: u32 = 5;

/// Words of a task's slot.
pub const TASK_SLOT_WORDS: usize = 8;

/// Words of a completion's slot.
pub const DONE_SLOT_WORDS: usize = 11;

/// The function of a job's own tasks, by its index in the job.
pub const MAP: u32 = 0;
/// The function that merges results, which alone its tasks see as inputs by position.
pub const REDUCE: u32 = 1;

/// A task, as its slot carries it. Its payload is `input_count` records of [`InputRange`], then the argument or, for one that is
/// in a file, a record of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSlot {
    /// Names the task between this pool and this worker.
    pub ticket: u64,
    /// Position of the item in the job.
    pub index: u64,
    /// Where the payload begins.
    pub payload: u64,
    /// Bytes of the payload.
    pub payload_len: u32,
    /// Inputs of this task alone.
    pub input_count: u32,
    /// Whether the argument is a whole file of the worker's table.
    pub argument_is_file: bool,
    /// Control messages that must have been handled before.
    pub after: u32,
    /// Which of the job's functions to call; [`REDUCE`] merges results.
    pub function: u32,
}

impl TaskSlot {
    /// A task without inputs; its payload is its argument.
    #[cfg(any(test, feature = "test-support"))]
    pub fn plain(ticket: u64) -> TaskSlot {
        TaskSlot {
            ticket,
            index: ticket,
            payload: 0,
            payload_len: 0,
            input_count: 0,
            argument_is_file: false,
            after: 0,
            function: 0,
        }
    }

    /// The slot's words.
    #[inline]
    pub fn encode(&self) -> [u64; TASK_SLOT_WORDS] {
        [
            self.ticket,
            self.index,
            self.payload,
            u64::from(self.payload_len) | u64::from(self.input_count) << 32,
            u64::from(self.after) | u64::from(self.function) << 32,
            u64::from(self.argument_is_file),
            0,
            0,
        ]
    }

    /// Reads the words of a slot.
    #[inline]
    pub fn decode(slot: &[u64; TASK_SLOT_WORDS]) -> TaskSlot {
        TaskSlot {
            ticket: slot[0],
            index: slot[1],
            payload: slot[2],
            payload_len: low(slot[3]),
            input_count: high(slot[3]),
            argument_is_file: slot[5] != 0,
            after: low(slot[4]),
            function: high(slot[4]),
        }
    }
}

fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// A range of a file in the worker's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRange {
    /// The file's number in the table.
    pub file: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl InputRange {
    /// Bytes of one record in a task's payload.
    pub const BYTES: usize = 24;

    /// Appends the record.
    #[inline]
    pub fn encode(&self, to: &mut Vec<u8>) {
        for word in [u64::from(self.file), self.offset, self.len] {
            to.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Decodes the record at the start of `bytes`.
    ///
    /// # Panics
    ///
    /// Where there are fewer than [`InputRange::BYTES`].
    #[inline]
    pub fn decode(bytes: &[u8]) -> InputRange {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        InputRange { file: low(word(0)), offset: word(8), len: word(16) }
    }
}

/// Where a completion's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In the ring's payload area, from this position.
    Ring(u64),
    /// In the next memfd that came by the socket.
    File,
}

/// A finished task, as its slot carries it. Its payload is the output (of a failed task: its core dump, or nothing), the message, the backtrace and the log, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneSlot {
    /// The task's ticket.
    pub ticket: u64,
    /// What became of it.
    pub status: Status,
    /// Where its bytes are.
    pub payload: Payload,
    /// Bytes of the result, or of the core dump.
    pub output_len: u64,
    /// Bytes of the error message.
    pub message_len: u32,
    /// Bytes of the backtrace.
    pub backtrace_len: u32,
    /// Bytes of the log.
    pub log_len: u32,
    /// When it started, in nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// How long it ran.
    pub duration_ns: u64,
    /// Units of fuel that it used, where the module counts them.
    pub fuel: u64,
    /// Bytes of inputs that it got as windows on the file, and those of windows' edges that were copied.
    pub windows: WindowBytes,
    /// The most bytes of memories, tables and edges of windows that it had at a time.
    pub peak_memory_bytes: u64,
}

/// How the bytes of a task's windows came to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowBytes {
    /// Bytes of pages of files that were mapped.
    pub mapped: u64,
    /// Bytes at the edges of windows that were copied.
    pub copied: u64,
}

const PAYLOAD_IS_FILE: u64 = 1 << 8;

/// The longest backtrace, in bytes.
pub const MAX_BACKTRACE_BYTES: usize = 64 << 10;

/// The longest message or log of a task whose log may have `log_bytes`: what wasmtime and the worker say comes on top.
pub fn max_text_bytes(log_bytes: u64) -> usize {
    usize::try_from(log_bytes).unwrap_or(usize::MAX).saturating_add(64 << 10)
}

/// The longest core dump of a task whose memories may have `memory_bytes`: for each piece of memory it says where that
/// belongs, and it has the stack and the globals.
pub fn max_core_dump_bytes(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_add(memory_bytes / 64).saturating_add(4 << 20)
}

impl DoneSlot {
    /// The end of a task that has a result and nothing else to say.
    #[cfg(any(test, feature = "test-support"))]
    pub fn ok(ticket: u64, output_len: u64) -> DoneSlot {
        DoneSlot {
            ticket,
            status: Status::Ok,
            payload: Payload::File,
            output_len,
            message_len: 0,
            backtrace_len: 0,
            log_len: 0,
            start_ns: 0,
            duration_ns: 0,
            fuel: 0,
            windows: WindowBytes::default(),
            peak_memory_bytes: 0,
        }
    }

    /// The slot's words.
    #[inline]
    pub fn encode(&self) -> [u64; DONE_SLOT_WORDS] {
        let status = self.status as usize;
        let (flag, position) = match self.payload {
            Payload::Ring(position) => (0, position),
            Payload::File => (PAYLOAD_IS_FILE, 0),
        };
        [
            self.ticket,
            status as u64 | flag | u64::from(self.log_len) << 32,
            position,
            self.output_len,
            u64::from(self.message_len) | u64::from(self.backtrace_len) << 32,
            self.start_ns,
            self.duration_ns,
            self.fuel,
            self.windows.mapped,
            self.windows.copied,
            self.peak_memory_bytes,
        ]
    }

    /// Reads a slot that an untrusted worker wrote; `None` where it says something impossible.
    #[inline]
    pub fn decode(slot: &[u64; DONE_SLOT_WORDS]) -> Option<DoneSlot> {
        Some(DoneSlot {
            ticket: slot[0],
            status: *Status::ALL.get((slot[1] & 0xff) as usize)?,
            payload: if slot[1] & PAYLOAD_IS_FILE == 0 { Payload::Ring(slot[2]) } else { Payload::File },
            output_len: slot[3],
            message_len: low(slot[4]),
            backtrace_len: high(slot[4]),
            log_len: high(slot[1]),
            start_ns: slot[5],
            duration_ns: slot[6],
            fuel: slot[7],
            windows: WindowBytes { mapped: slot[8], copied: slot[9] },
            peak_memory_bytes: slot[10],
        })
    }

    /// Bytes of the whole payload; `None` where the sum is no number.
    #[inline]
    pub fn payload_len(&self) -> Option<u64> {
        self.output_len
            .checked_add(u64::from(self.message_len))?
            .checked_add(u64::from(self.backtrace_len))?
            .checked_add(u64::from(self.log_len))
    }
}

/// Appends one log line to a completion's log: level, length, text.
pub fn encode_log_line(level: u8, text: &str, to: &mut Vec<u8>) {
    to.push(level);
    to.extend_from_slice(&(text.len() as u32).to_le_bytes());
    to.extend_from_slice(text.as_bytes());
}

/// Reads a completion's log, as far as it makes sense: (level, text).
pub fn decode_log(mut bytes: &[u8]) -> Vec<(u8, String)> {
    let mut lines = Vec::new();
    while let [level, a, b, c, d, rest @ ..] = bytes {
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let Some((text, rest)) = rest.split_at_checked(len) else { break };
        lines.push((*level, String::from_utf8_lossy(text).into_owned()));
        bytes = rest;
    }
    lines
}

/// How a pool wants its worker confined, as one byte of the greeting.
pub fn encode_sandbox(sandbox: Sandbox) -> u8 {
    match sandbox {
        Sandbox::Default => 0,
        Sandbox::Strict => 1,
        Sandbox::Off => 2,
    }
}

/// Reads that byte; `None` where it is none.
pub fn decode_sandbox(byte: u8) -> Option<Sandbox> {
    [Sandbox::Default, Sandbox::Strict, Sandbox::Off].get(usize::from(byte)).copied()
}

/// What may be done in a directory, as one byte.
pub fn encode_access(access: Access) -> u8 {
    match access {
        Access::ReadOnly => 0,
        Access::ReadWrite => 1,
    }
}

/// Reads that byte; `None` where it is none.
pub fn decode_access(byte: u8) -> Option<Access> {
    [Access::ReadOnly, Access::ReadWrite].get(usize::from(byte)).copied()
}

/// Layers that a worker does not have, for a message of bounded length.
pub fn encode_missing(missing: &[MissingLayer]) -> Vec<u8> {
    let short = |missing: &MissingLayer| MissingLayer {
        layer: missing.layer,
        why: missing.why[..missing.why.floor_char_boundary(MAX_WHY_BYTES)].to_owned(),
    };
    // Encoding to a vector cannot fail; an empty message would be refused as one that makes no sense.
    postcard::to_stdvec(&missing.iter().map(short).collect::<Vec<_>>()).unwrap_or_default()
}

/// Reads what an untrusted worker wrote.
pub fn decode_missing(bytes: &[u8]) -> Option<Vec<MissingLayer>> {
    postcard::from_bytes(bytes).ok()
}

/// As many layers as there are, with reasons of this length, fit into a message.
const MAX_WHY_BYTES: usize = 120;

/// The file in which task `k` has the bytes from `k * slice_bytes` to `(k + 1) * slice_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slices {
    /// Its number in the table.
    pub file: u32,
    /// Bytes of a slice, at least 1.
    pub slice_bytes: u64,
}

impl Slices {
    /// The slice of the task with this index; `None` where no file reaches so far.
    pub fn range(&self, index: u64) -> Option<InputRange> {
        let offset = index.checked_mul(self.slice_bytes)?;
        let end = offset.checked_add(self.slice_bytes)?;
        (end <= i64::MAX as u64).then_some(InputRange { file: self.file, offset, len: self.slice_bytes })
    }
}

/// What a worker has to know about a job before its first task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// Names the module's code in this pool: a worker loads one only.
    pub module: u64,
    /// The module's name, which is argv\[0\] of a command.
    pub module_name: String,
    /// The job's number in its pool, for refusing it.
    pub number: u64,
    /// Files in the worker's table that belong to the job; all others are closed.
    pub file_count: u32,
    /// The functions that tasks call, by index.
    pub functions: Vec<Entry>,
    /// The inputs that all tasks share, in order, after a task's own.
    pub inputs: Vec<(String, InputRange)>,
    /// Whether tasks may write to their windows of inputs, each to a copy of its own.
    pub copy_on_write: bool,
    /// The file in which each task has a slice.
    pub slices: Option<Slices>,
    /// The writable areas that all tasks share, in order, after a task's slice.
    pub areas: Vec<(String, InputRange)>,
    /// The words of a command line in which `{}` stands for the item.
    pub argv: Option<Vec<String>>,
    /// Whether a fresh instance is made for each task.
    pub fresh_instances: bool,
    /// Whether standard input, output and error of the tasks are the descriptors that follow in a message of their own.
    pub attached: bool,
    /// Bytes of memories and tables.
    pub memory_bytes: u64,
    /// Bytes of a result.
    pub output_bytes: u64,
    /// Bytes of stack for wasm frames.
    pub stack_bytes: u64,
    /// Bytes of log lines.
    pub log_bytes: u64,
    /// Whether the module's code counts fuel.
    pub counts_fuel: bool,
    /// Units of fuel.
    pub fuel: Option<u64>,
    /// Whether the output of a task that a trap ended is a core dump.
    pub core_dumps: bool,
    /// Files that may be open at a time.
    pub open_files: u32,
    /// Bytes that one call of WASI takes over.
    pub host_call_bytes: u64,
    /// What the guest calls the worker's directories, in their order.
    pub directories: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Whether the clock is the real one.
    pub real_clock: bool,
    /// Whether random numbers are real ones.
    pub real_random: bool,
    /// What random numbers follow from where they are not.
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_as_they_were() {
        for argument_is_file in [false, true] {
            let task = TaskSlot {
                ticket: 7,
                index: u64::MAX - 1,
                payload: 1 << 40,
                payload_len: u32::MAX,
                input_count: 3,
                argument_is_file,
                after: 9,
                function: 1,
            };
            assert_eq!(TaskSlot::decode(&task.encode()), task);
        }
        for status in Status::ALL {
            for payload in [Payload::Ring(77), Payload::File] {
                let done = DoneSlot {
                    ticket: 1,
                    status,
                    payload,
                    output_len: 5 << 32,
                    message_len: 1,
                    backtrace_len: u32::MAX,
                    log_len: 17,
                    start_ns: 3,
                    duration_ns: 4,
                    fuel: 1 << 63,
                    windows: WindowBytes { mapped: 6, copied: 7 << 40 },
                    peak_memory_bytes: 8,
                };
                assert_eq!(DoneSlot::decode(&done.encode()), Some(done));
            }
        }
    }

    #[test]
    fn an_impossible_status_is_refused() {
        assert_eq!(DoneSlot::decode(&[0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn lengths_that_overflow_are_refused() {
        let mut slot = [u64::MAX; DONE_SLOT_WORDS];
        slot[1] = 0;
        assert_eq!(DoneSlot::decode(&slot).expect("a slot").payload_len(), None);
    }

    #[test]
    fn faults_and_logs_come_back_as_they_were() {
        for kind in [
            InputFaultKind::Write { offset: 64 },
            InputFaultKind::Truncated { file_len: 4096 },
            InputFaultKind::Unreadable { offset: 1 },
        ] {
            for of in [Mapped::Input(2), Mapped::Region(u32::MAX)] {
                let fault = InputFault { of, kind };
                assert_eq!(InputFault::decode(&fault.encode()), Some(fault));
                assert_eq!(InputFault::decode(&fault.encode()[..20]), None);
            }
        }
        let mut log = Vec::new();
        encode_log_line(1, "bad", &mut log);
        encode_log_line(5, "", &mut log);
        assert_eq!(decode_log(&log), [(1, "bad".to_string()), (5, String::new())]);
        assert_eq!(decode_log(&log[..7]), []);
    }

    #[test]
    fn input_ranges_come_back_as_they_were() {
        let range = InputRange { file: 5, offset: 1 << 50, len: 12 };
        let mut bytes = Vec::new();
        range.encode(&mut bytes);
        assert_eq!(bytes.len(), InputRange::BYTES);
        assert_eq!(InputRange::decode(&bytes), range);
    }
}
