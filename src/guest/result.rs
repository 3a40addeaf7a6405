//! What a worker says of a finished task.

use std::fs::File;

use crate::event::Status;
use crate::ipc::wire::{MAX_BACKTRACE_BYTES, WindowBytes, encode_log_line, max_text_bytes};

/// Bytes of buffers that are kept for the next task.
const KEPT_BYTES: usize = 1 << 20;

/// The result of one task. The buffers are used again for the next one.
#[derive(Debug)]
pub(crate) struct TaskResult {
    pub status: Status,
    /// The result's bytes, where they are not in a file.
    pub output: Vec<u8>,
    /// A memory file that the task wrote its result to directly, and the result's length.
    pub output_file: Option<(File, u64)>,
    /// Why it failed; for [`Status::InputFault`] an encoded [`InputFault`](crate::ipc::wire::InputFault).
    pub message: Vec<u8>,
    pub backtrace: String,
    pub log: Log,
    /// Units of fuel that it used, where the code counts them.
    pub fuel: u64,
    /// What its windows took.
    pub windows: WindowBytes,
    /// The most memory that it had at a time.
    pub peak_memory_bytes: u64,
}

impl TaskResult {
    pub fn new() -> Self {
        TaskResult {
            status: Status::Ok,
            output: Vec::new(),
            output_file: None,
            message: Vec::new(),
            backtrace: String::new(),
            log: Log::default(),
            fuel: 0,
            windows: WindowBytes::default(),
            peak_memory_bytes: 0,
        }
    }

    /// Forgets the last task.
    pub fn clear(&mut self) {
        self.status = Status::Ok;
        self.output.clear();
        self.output_file = None;
        self.message.clear();
        self.backtrace.clear();
        self.log.clear();
    }

    /// Keeps texts within what the pool accepts, and buffers within what a worker may keep.
    pub fn bound(&mut self, log_bytes: u64) {
        self.message.truncate(max_text_bytes(log_bytes));
        let end = self.backtrace.floor_char_boundary(MAX_BACKTRACE_BYTES);
        self.backtrace.truncate(end);
        if self.output.len() <= KEPT_BYTES && self.output.capacity() > KEPT_BYTES {
            self.output.shrink_to(KEPT_BYTES);
        }
    }

    /// Notes a failure; the result's bytes are dropped.
    pub fn fail(&mut self, status: Status, message: impl Into<Vec<u8>>) {
        self.status = status;
        self.output.clear();
        self.output_file = None;
        self.message = message.into();
    }
}

/// A task's log lines, as they travel, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct Log {
    bytes: Vec<u8>,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl Log {
    /// Adds a line, unless the lines together would then be longer than `limit_bytes`.
    pub fn push(&mut self, level: u8, text: &str, limit_bytes: u64) {
        if (self.bytes.len() + text.len()) as u64 > limit_bytes {
            self.dropped_lines += 1;
            self.dropped_bytes += text.len() as u64;
        } else {
            encode_log_line(level, text, &mut self.bytes);
        }
    }

    /// The lines' bytes, with a last line that says how much was dropped.
    pub fn finish(&mut self) -> &[u8] {
        if self.dropped_lines > 0 {
            let text = format!("{} more log lines ({} bytes) were dropped", self.dropped_lines, self.dropped_bytes);
            encode_log_line(2, &text, &mut self.bytes);
            (self.dropped_lines, self.dropped_bytes) = (0, 0);
        }
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.dropped_lines, self.dropped_bytes) = (0, 0);
    }
}
