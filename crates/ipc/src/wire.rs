//! The byte layouts of what a pool and a worker exchange. Nothing else knows them.

use crate::confinement::{Access, MissingLayer, Sandbox};
pub use crate::failure::Failure;
pub use crate::fault::{InputFault, InputFaultKind, Mapped};
pub use crate::job_spec::{JobSpec, Slices};
pub use crate::range::InputRange;
use crate::setting::Setting;
use crate::status::Status;

/// Changes whenever anything in this module or the ring changes; the worker checks it first.
pub const PROTOCOL_VERSION: u32 = 11;

/// The number of words in a task's slot.
pub const TASK_SLOT_WORDS: usize = 8;

/// The number of words in a completion's slot.
pub const DONE_SLOT_WORDS: usize = 12;

/// The index in the job of the function that map tasks call.
pub const MAP: u32 = 0;
/// The index in the job of the function that merges results, which are the only inputs that its tasks see by position.
pub const REDUCE: u32 = 1;

/// A task, as its slot carries it. Its payload is `input_count` records of [`InputRange`], followed by the argument or, if that is in a
/// file, a record of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSlot {
    /// Identifies the task between this pool and this worker.
    pub ticket: u64,
    /// The position of the item in the job.
    pub index: u64,
    /// Where the payload begins.
    pub payload: u64,
    /// The payload's length in bytes.
    pub payload_len: u32,
    /// How many inputs the task has of its own.
    pub input_count: u32,
    /// Whether the argument is a whole file in the worker's table.
    pub argument_is_file: bool,
    /// How many control messages must have been handled before the task may run.
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

/// Where a completion's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// In the ring's payload area, from this position.
    Ring(u64),
    /// In the next memfd that came through the socket.
    File,
}

/// A completed task, as its slot carries it. Its payload is the output, the message, the backtrace and the log, in this order. A task
/// that passed has its result as the output, and as the message what a program wrote to standard error. A failed one has a core dump and
/// what a program wrote to standard output as the output, and an encoded [`Failure`] as the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneSlot {
    /// The task's ticket.
    pub ticket: u64,
    /// How it ended.
    pub status: Status,
    /// What to change so that the task gets what it was refused.
    pub setting: Option<Setting>,
    /// The code that a program exited with; 0 also if it did not exit.
    pub exit_code: u8,
    /// Where its bytes are.
    pub payload: Payload,
    /// The length of the output, in bytes.
    pub output_len: u64,
    /// The length of the message, in bytes.
    pub message_len: u32,
    /// The length of the backtrace, in bytes.
    pub backtrace_len: u32,
    /// The length of the log, in bytes.
    pub log_len: u32,
    /// When it started, in nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// How long it ran, in nanoseconds.
    pub duration_ns: u64,
    /// Units of fuel that it used, if the module counts fuel.
    pub fuel: u64,
    /// How many bytes its windows mapped and copied.
    pub windows: WindowBytes,
    /// The most bytes of memories, tables and window edges that it had at the same time.
    pub peak_memory_bytes: u64,
    /// What it would have had with the memory that it was refused last; 0 if none was refused.
    pub refused_memory_bytes: u64,
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
/// Where the setting and the exit code stand in the same word.
const SETTING_SHIFT: u32 = 16;
const EXIT_CODE_SHIFT: u32 = 24;

/// The longest backtrace, in bytes.
pub const MAX_BACKTRACE_BYTES: usize = 64 << 10;

/// The longest text or log of a task whose log may have `log_bytes`, with an allowance for what wasmtime and the worker add.
pub fn max_text_bytes(log_bytes: u64) -> usize {
    usize::try_from(log_bytes).unwrap_or(usize::MAX).saturating_add(64 << 10)
}

/// The longest message of such a task: a [`Failure`] has two texts and a hint.
pub fn max_message_bytes(log_bytes: u64) -> usize {
    max_text_bytes(log_bytes).saturating_mul(3)
}

/// The longest core dump of a task whose memories may have `memory_bytes`, with an allowance for the address of each piece of memory,
/// the stack and the globals.
pub fn max_core_dump_bytes(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_add(memory_bytes / 64).saturating_add(4 << 20)
}

impl DoneSlot {
    /// The completion of a task with a result and nothing else.
    #[cfg(any(test, feature = "test-support"))]
    pub fn ok(ticket: u64, output_len: u64) -> DoneSlot {
        DoneSlot {
            ticket,
            status: Status::Ok,
            setting: None,
            exit_code: 0,
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
            refused_memory_bytes: 0,
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
            status as u64
                | flag
                | u64::from(Setting::encode(self.setting)) << SETTING_SHIFT
                | u64::from(self.exit_code) << EXIT_CODE_SHIFT
                | u64::from(self.log_len) << 32,
            position,
            self.output_len,
            u64::from(self.message_len) | u64::from(self.backtrace_len) << 32,
            self.start_ns,
            self.duration_ns,
            self.fuel,
            self.windows.mapped,
            self.windows.copied,
            self.peak_memory_bytes,
            self.refused_memory_bytes,
        ]
    }

    /// Decodes a slot that an untrusted worker wrote; `None` if it is impossible.
    #[inline]
    pub fn decode(slot: &[u64; DONE_SLOT_WORDS]) -> Option<DoneSlot> {
        Some(DoneSlot {
            ticket: slot[0],
            status: *Status::ALL.get((slot[1] & 0xff) as usize)?,
            setting: Setting::decode((slot[1] >> SETTING_SHIFT) as u8)?,
            exit_code: (slot[1] >> EXIT_CODE_SHIFT) as u8,
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
            refused_memory_bytes: slot[11],
        })
    }

    /// The length of the whole payload in bytes; `None` if the sum overflows.
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

/// Decodes a completion's log as far as it is valid: (level, text).
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

/// Encodes how a worker is to confine itself, as one byte of the greeting.
pub fn encode_sandbox(sandbox: Sandbox) -> u8 {
    match sandbox {
        Sandbox::Default => 0,
        Sandbox::Strict => 1,
        Sandbox::Off => 2,
    }
}

/// Decodes that byte; `None` if it is invalid.
pub fn decode_sandbox(byte: u8) -> Option<Sandbox> {
    [Sandbox::Default, Sandbox::Strict, Sandbox::Off].get(usize::from(byte)).copied()
}

/// Encodes what may be done in a directory, as one byte.
pub fn encode_access(access: Access) -> u8 {
    match access {
        Access::ReadOnly => 0,
        Access::ReadWrite => 1,
    }
}

/// Decodes that byte; `None` if it is invalid.
pub fn decode_access(byte: u8) -> Option<Access> {
    [Access::ReadOnly, Access::ReadWrite].get(usize::from(byte)).copied()
}

/// Encodes the layers that a worker lacks, for a message of bounded length.
pub fn encode_missing(missing: &[MissingLayer]) -> Vec<u8> {
    let short = |missing: &MissingLayer| MissingLayer {
        layer: missing.layer,
        why: missing.why[..missing.why.floor_char_boundary(MAX_WHY_BYTES)].to_owned(),
    };
    // Encoding to a vector cannot fail; if it did, the pool would refuse the empty message as invalid.
    postcard::to_stdvec(&missing.iter().map(short).collect::<Vec<_>>()).unwrap_or_default()
}

/// Decodes what an untrusted worker wrote.
pub fn decode_missing(bytes: &[u8]) -> Option<Vec<MissingLayer>> {
    postcard::from_bytes(bytes).ok()
}

/// The longest reason for a missing layer: with reasons of this length, all layers fit into one message.
const MAX_WHY_BYTES: usize = 120;

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
                    setting: Some(Setting::Stack),
                    exit_code: 125,
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
                    refused_memory_bytes: 9,
                };
                assert_eq!(DoneSlot::decode(&done.encode()), Some(done));
            }
        }
    }

    #[test]
    fn an_impossible_status_is_refused() {
        assert_eq!(DoneSlot::decode(&[0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
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
