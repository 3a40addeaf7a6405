//! The result of a finished task, as a worker sends it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::host_error::LimitReached;
use crate::ipc::Setting;
use crate::ipc::wire::{DoneSlot, Failure, MAX_BACKTRACE_BYTES, Payload, WindowBytes, encode_log_line, max_text_bytes};
use crate::result::Status;
use crate::sys::memory_file;

/// The longest hint, in bytes.
const MAX_HINT_BYTES: usize = 4 << 10;

/// The largest buffer that is kept for the next task, in bytes.
const KEPT_BYTES: usize = 1 << 20;

/// The result of one task. Its buffers are reused for the next one.
#[derive(Debug)]
pub(crate) struct TaskResult {
    pub status: Status,
    /// What to change so that the task gets what it was refused.
    pub setting: Option<Setting>,
    /// The result's bytes, unless they are in a file; of a failed task, its core dump.
    pub output: Vec<u8>,
    /// The memory file that the task wrote its result to directly.
    pub output_file: Option<MappedOutput>,
    /// Why it failed; for [`Status::InputFault`] an encoded [`InputFault`](crate::ipc::wire::InputFault).
    pub message: Vec<u8>,
    /// What there is to add to the guest's own words.
    pub hint: String,
    /// The code that a program exited with; 0 also if it did not exit.
    pub exit_code: u8,
    /// What a program wrote to standard output before it failed.
    pub stdout: Vec<u8>,
    /// What a program wrote to standard error.
    pub stderr: Vec<u8>,
    /// The message of the completion: standard error, or an encoded [`Failure`].
    encoded: Vec<u8>,
    pub backtrace: String,
    pub log: LogBuffer,
    /// Units of fuel that it used, if the code counts fuel.
    pub fuel: u64,
    /// Bytes that its windows mapped and copied.
    pub windows: WindowBytes,
    /// Its peak memory, in bytes.
    pub peak_memory_bytes: u64,
    /// What it would have had with the memory that it was refused last, in bytes; 0 if none was refused.
    pub refused_memory_bytes: u64,
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
            hint: String::new(),
            exit_code: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            encoded: Vec::new(),
            backtrace: String::new(),
            log: LogBuffer::default(),
            fuel: 0,
            windows: WindowBytes::default(),
            peak_memory_bytes: 0,
            refused_memory_bytes: 0,
        }
    }

    /// Clears what the last task left.
    pub fn clear(&mut self) {
        self.status = Status::Ok;
        self.setting = None;
        self.output.clear();
        self.output_file = None;
        self.message.clear();
        self.hint.clear();
        self.exit_code = 0;
        self.stdout.clear();
        self.stderr.clear();
        self.backtrace.clear();
        self.log.clear();
    }

    /// The completion of the task with this ticket, which ran from `start_ns` to `end_ns`.
    pub fn done(&mut self, ticket: u64, start_ns: u64, end_ns: u64) -> DoneSlot {
        DoneSlot {
            ticket,
            status: self.status,
            setting: self.setting,
            exit_code: self.exit_code,
            payload: Payload::File,
            output_len: self
                .output_file
                .as_ref()
                .map_or((self.output.len() + self.stdout.len()) as u64, |mapped| mapped.len),
            message_len: self.encoded.len() as u32,
            backtrace_len: self.backtrace.len() as u32,
            log_len: self.log.finish().len() as u32,
            start_ns,
            duration_ns: end_ns - start_ns,
            fuel: self.fuel,
            windows: self.windows,
            peak_memory_bytes: self.peak_memory_bytes,
            refused_memory_bytes: self.refused_memory_bytes,
        }
    }

    /// The bytes of a completion: the output in two parts, message, backtrace, log.
    pub fn parts(&mut self) -> [&[u8]; 5] {
        [&self.output, &self.stdout, &self.encoded, self.backtrace.as_bytes(), self.log.finish()]
    }

    /// A sealed memory file with all these bytes.
    pub fn write_file(&mut self) -> io::Result<File> {
        let (file, mut at) = match self.output_file.take() {
            Some(MappedOutput { file, len }) => (file, len),
            None => {
                let file = memory_file::output(0)?;
                file.write_all_at(&self.output, 0)?;
                file.write_all_at(&self.stdout, self.output.len() as u64)?;
                (file, (self.output.len() + self.stdout.len()) as u64)
            }
        };
        for part in &self.parts()[2..] {
            file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        memory_file::seal(&file)?;
        Ok(file)
    }

    /// Prepares the result for its completion: limits texts to what the pool accepts, and buffers to what a worker may keep.
    pub fn complete(&mut self, log_bytes: u64) {
        self.message.truncate(max_text_bytes(log_bytes));
        self.stderr.truncate(max_text_bytes(log_bytes));
        self.hint.truncate(self.hint.floor_char_boundary(MAX_HINT_BYTES));
        self.encoded.clear();
        match self.status {
            Status::Ok => std::mem::swap(&mut self.encoded, &mut self.stderr),
            _ => self.encode_failure(),
        }
        let end = self.backtrace.floor_char_boundary(MAX_BACKTRACE_BYTES);
        self.backtrace.truncate(end);
        if self.output.len() <= KEPT_BYTES && self.output.capacity() > KEPT_BYTES {
            self.output.shrink_to(KEPT_BYTES);
        }
    }

    fn encode_failure(&mut self) {
        let failure = Failure {
            message: std::mem::take(&mut self.message),
            hint: std::mem::take(&mut self.hint),
            stderr: std::mem::take(&mut self.stderr),
            stdout_len: self.stdout.len() as u64,
        };
        failure.encode(&mut self.encoded);
    }

    /// Drops the core dump and what the program printed: why it failed matters more.
    ///
    /// Returns whether there was anything to drop.
    pub fn drop_output(&mut self) -> bool {
        let had_some = !self.output.is_empty() || !self.stdout.is_empty();
        self.output.clear();
        self.stdout.clear();
        if let Some(failure) = Failure::decode(&self.encoded) {
            self.encoded.clear();
            Failure { stdout_len: 0, ..failure }.encode(&mut self.encoded);
        }
        had_some
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

    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.dropped_lines, self.dropped_bytes) = (0, 0);
    }
}
