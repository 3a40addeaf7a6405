//! The result of a finished task, as a worker sends it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::host_error::LimitReached;
use crate::ipc::Setting;
use crate::ipc::wire::{DoneSlot, MAX_BACKTRACE_BYTES, Payload, WindowBytes, encode_log_line, max_text_bytes};
use crate::result::Status;
use crate::sys::memory_file;

/// The largest buffer that is kept for the next task, in bytes.
const KEPT_BYTES: usize = 1 << 20;

/// The result of one task. Its buffers are reused for the next one.
#[derive(Debug)]
pub(crate) struct TaskResult {
    pub status: Status,
    /// What to change so that the task gets what it was refused.
    pub setting: Option<Setting>,
    /// The result's bytes, unless they are in a file.
    pub output: Vec<u8>,
    /// The memory file that the task wrote its result to directly.
    pub output_file: Option<MappedOutput>,
    /// Why it failed; for [`Status::InputFault`] an encoded [`InputFault`](crate::ipc::wire::InputFault).
    pub message: Vec<u8>,
    pub backtrace: String,
    pub log: LogBuffer,
    /// Units of fuel that it used, if the code counts fuel.
    pub fuel: u64,
    /// Bytes that its windows mapped and copied.
    pub windows: WindowBytes,
    /// Its peak memory, in bytes.
    pub peak_memory_bytes: u64,
}

/// A memory file that a task maps to write its result there.
#[derive(Debug)]
pub(crate) struct MappedOutput {
    pub file: File,
    /// The result's length, in bytes.
    pub len: u64,
}

impl TaskResult {
    pub fn new() -> Self {
        TaskResult {
            status: Status::Ok,
            setting: None,
            output: Vec::new(),
            output_file: None,
            message: Vec::new(),
            backtrace: String::new(),
            log: LogBuffer::default(),
            fuel: 0,
            windows: WindowBytes::default(),
            peak_memory_bytes: 0,
        }
    }

    /// Clears what the last task left.
    pub fn clear(&mut self) {
        self.status = Status::Ok;
        self.setting = None;
        self.output.clear();
        self.output_file = None;
        self.message.clear();
        self.backtrace.clear();
        self.log.clear();
    }

    /// The completion of the task with this ticket, which ran from `start_ns` to `end_ns`.
    pub fn done(&mut self, ticket: u64, start_ns: u64, end_ns: u64) -> DoneSlot {
        DoneSlot {
            ticket,
            status: self.status,
            setting: self.setting,
            payload: Payload::File,
            output_len: self.output_file.as_ref().map_or(self.output.len() as u64, |mapped| mapped.len),
            message_len: self.message.len() as u32,
            backtrace_len: self.backtrace.len() as u32,
            log_len: self.log.finish().len() as u32,
            start_ns,
            duration_ns: end_ns - start_ns,
            fuel: self.fuel,
            windows: self.windows,
            peak_memory_bytes: self.peak_memory_bytes,
        }
    }

    /// The bytes of a completion: result, message, backtrace, log.
    pub fn parts(&mut self) -> [&[u8]; 4] {
        [&self.output, &self.message, self.backtrace.as_bytes(), self.log.finish()]
    }

    /// A sealed memory file with all these bytes.
    pub fn write_file(&mut self) -> io::Result<File> {
        let (file, mut at) = match self.output_file.take() {
            Some(MappedOutput { file, len }) => (file, len),
            None => {
                let file = memory_file::output(0)?;
                file.write_all_at(&self.output, 0)?;
                (file, self.output.len() as u64)
            }
        };
        for part in &self.parts()[1..] {
            file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        memory_file::seal(&file)?;
        Ok(file)
    }

    /// Limits texts to what the pool accepts, and buffers to what a worker may keep.
    pub fn bound(&mut self, log_bytes: u64) {
        self.message.truncate(max_text_bytes(log_bytes));
        let end = self.backtrace.floor_char_boundary(MAX_BACKTRACE_BYTES);
        self.backtrace.truncate(end);
        if self.output.len() <= KEPT_BYTES && self.output.capacity() > KEPT_BYTES {
            self.output.shrink_to(KEPT_BYTES);
        }
    }

    /// Records a failure. The result's bytes are dropped.
    pub fn fail(&mut self, status: Status, message: impl Into<Vec<u8>>) {
        self.status = status;
        self.output.clear();
        self.output_file = None;
        self.message = message.into();
    }

    /// Ends the task at a limit.
    pub(super) fn fail_at(&mut self, reached: LimitReached) {
        self.fail(Status::Limit, reached.message);
        self.setting = reached.setting;
    }
}

/// A task's encoded log lines, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct LogBuffer {
    bytes: Vec<u8>,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl LogBuffer {
    /// Adds a line, unless all lines together would exceed `limit_bytes`.
    pub fn push(&mut self, level: u8, text: &str, limit_bytes: u64) {
        if (self.bytes.len() + text.len()) as u64 > limit_bytes {
            self.dropped_lines += 1;
            self.dropped_bytes += text.len() as u64;
        } else {
            encode_log_line(level, text, &mut self.bytes);
        }
    }

    /// The encoded lines. If some were dropped, a last line says how many.
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
