//! Checks what workers report at the end of attempts, and makes outcomes of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::crew::timed_out_message;
use super::prepared_job::PreparedJob;
use super::record::{Ended, Pending};
use crate::Task;
use crate::ipc::ring::{TaskMemory, Violation};
use crate::ipc::stack_trace::StackTrace;
use crate::ipc::wire::{
    DoneSlot, Failure, InputFault, InputFaultKind, MAX_BACKTRACE_BYTES, Mapped, Payload, decode_log, max_message_bytes,
    max_text_bytes,
};
use crate::result::{LogLine, Output, Status, TaskError, TaskStats, TaskUsage};
use crate::sys::process::monotonic_ns;
use crate::sys::{memory_file, rlimit};

/// The end of a task that exceeded its time limit, with the stack trace that its worker left, if any.
pub(super) fn timed_out(
    job: &PreparedJob,
    mut pending: Pending,
    limit: Duration,
    trace: Option<StackTrace>,
    worker: u32,
) -> Ended {
    let attempts = pending.count_attempt();
    let StackTrace { summary, frames } = trace.unwrap_or_default();
    let mut message = timed_out_message(job.limits.timeout, limit);
    if !summary.is_empty() {
        message = format!("{message} {summary}");
    }
    let start = SystemTime::now().checked_sub(limit).unwrap_or(UNIX_EPOCH);
    let stats = TaskStats::new(start, limit).worker(worker).attempts(attempts);
    let backtrace = (!frames.is_empty()).then_some(frames);
    pending.end(Err(TaskError::new(Status::Timeout, message).backtrace(backtrace)), Vec::new(), stats)
}

/// A completion that no honest worker sends, and the task that it is about.
#[derive(Debug)]
pub(super) struct Lie {
    pub violation: Violation,
    pub pending: Pending,
}

impl Lie {
    fn about(pending: Pending, what: &'static str) -> Box<Lie> {
        Box::new(Lie { violation: Violation(what), pending })
    }
}

/// The Unix time at the monotonic clock's zero.
pub(super) fn clock_zero() -> Duration {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    unix.saturating_sub(Duration::from_nanos(monotonic_ns()))
}

/// Reads a completion from an untrusted worker. If it lies, the task is returned.
pub(super) fn complete(
    job: &PreparedJob,
    worker: u32,
    done: &DoneSlot,
    mut pending: Pending,
    payload: &[u8],
    sent: Option<SentResult>,
    clock_zero: Duration,
) -> Result<Ended, Box<Lie>> {
    let attempts = pending.count_attempt();
    let stats = TaskStats {
        start: UNIX_EPOCH + clock_zero.saturating_add(Duration::from_nanos(done.start_ns)).min(MAX_TIME),
        duration: Duration::from_nanos(done.duration_ns),
        worker,
        attempts,
        fuel: job.module.counts_fuel().then_some(done.fuel),
        cached: false,
        usage: usage(done, pending.task()),
    };
    if matches!(done.status, Status::Timeout | Status::WorkerLost | Status::Cancelled) {
        return Err(Lie::about(pending, "it reported a status that only its pool can decide"));
    }
    let longest_text = max_text_bytes(job.limits.log_bytes) as u64;
    let most_output = match done.status {
        Status::Ok => job.limits.output_bytes,
        _ => job.core_dump_bytes().saturating_add(job.limits.output_bytes),
    };
    let too_long = done.output_len > most_output
        || u64::from(done.message_len) > max_message_bytes(job.limits.log_bytes) as u64
        || u64::from(done.log_len) > longest_text
        || done.backtrace_len as usize > MAX_BACKTRACE_BYTES;
    if too_long {
        return Err(Lie::about(pending, "it sent more than its limits allow"));
    }
    let rest_len = u64::from(done.message_len) + u64::from(done.backtrace_len) + u64::from(done.log_len);
    let (rest_of_file, copied);
    let (output, rest) = match sent {
        None => {
            let (output, rest) = payload.split_at(done.output_len as usize);
            (OutputBytes::Bytes(output), rest)
        }
        Some(SentResult::Lost(error)) => {
            let message = format!("its result of {} bytes cannot be received: {error}", done.output_len);
            return Ok(pending.end(Err(TaskError::new(Status::Limit, message)), Vec::new(), stats));
        }
        Some(SentResult::Copied(mut bytes)) => {
            if (bytes.len() as u64) < done.output_len.saturating_add(rest_len) {
                return Err(Box::new(Lie { violation: SHORTER, pending }));
            }
            rest_of_file = bytes.split_off(done.output_len as usize);
            copied = bytes;
            (OutputBytes::Bytes(&copied), &rest_of_file[..rest_len as usize])
        }
        Some(SentResult::File(file)) => {
            rest_of_file = match read_file(&file, done.output_len, rest_len) {
                Ok(rest) => rest,
                Err(violation) => return Err(Box::new(Lie { violation, pending })),
            };
            (OutputBytes::File(file), &rest_of_file[..])
        }
    };
    let (message, rest) = rest.split_at(done.message_len as usize);
    let (backtrace, log) = rest.split_at(done.backtrace_len as usize);
    let mut stderr = Vec::new();
    let result = match done.status {
        Status::Ok => {
            stderr.extend_from_slice(message);
            output.whole(done.output_len).map_err(|error| {
                let message = format!("its result of {} bytes cannot be mapped: {error}", done.output_len);
                TaskError::new(Status::Limit, message)
            })
        }
        _ => match failure(job, &pending, done, message, &mut stderr) {
            Ok((mut error, stdout_len)) => {
                let dump_len = done.output_len - stdout_len;
                if stdout_len == 0 {
                    error.core_dump = optional(output.whole(dump_len));
                } else if dump_len == 0 {
                    error.stdout = optional(output.whole(stdout_len));
                } else {
                    error.core_dump = optional(output.part(0..dump_len));
                    error.stdout = optional(output.part(dump_len..done.output_len));
                }
                Err(error.backtrace(text(backtrace)))
            }
            Err(what) => return Err(Lie::about(pending, what)),
        },
    };
    let log = decode_log(log).into_iter().map(LogLine::from_wire).collect();
    let exit_code = Some(i32::from(done.exit_code)).filter(|code| *code != 0);
    Ok(pending.end(result, log, stats).of_program(stderr, exit_code))
}

/// Decodes a failure; `stderr` gets what the task wrote to standard error. Returns as well how many bytes of the output are what a
/// program wrote to standard output.
fn failure(
    job: &PreparedJob,
    pending: &Pending,
    done: &DoneSlot,
    encoded: &[u8],
    stderr: &mut Vec<u8>,
) -> Result<(TaskError, u64), &'static str> {
    let no_sense = "it reported a failure that makes no sense";
    let failure = Failure::decode(encoded).ok_or(no_sense)?;
    if failure.stdout_len > done.output_len || (!job.core_dumps && failure.stdout_len < done.output_len) {
        return Err(no_sense);
    }
    let message = match done.status {
        Status::InputFault => {
            let fault = InputFault::decode(&failure.message).ok_or("it reported a fault that makes no sense")?;
            fault_message(job, pending, &fault)
        }
        _ => text(&failure.message).unwrap_or_else(|| "failed without a message".into()),
    };
    *stderr = failure.stderr;
    let error = TaskError::new(done.status, message)
        .setting(done.setting)
        .hint(Some(failure.hint).filter(|hint| !hint.is_empty()));
    Ok((error, failure.stdout_len))
}

/// The output of a completion, where it came.
enum OutputBytes<'a> {
    Bytes(&'a [u8]),
    File(File),
}

impl OutputBytes<'_> {
    /// The whole output, which has `len` bytes.
    fn whole(self, len: u64) -> io::Result<Output> {
        match self {
            OutputBytes::Bytes(bytes) => Ok(Output::from(bytes)),
            // A copy costs memory, but holds no descriptor while the result waits.
            OutputBytes::File(file) if rlimit::is_high(&file) => copy(&file, 0..len),
            OutputBytes::File(file) => Output::from_sealed(file, len),
        }
    }

    /// A copy of a part of the output.
    fn part(&self, range: Range<u64>) -> io::Result<Output> {
        match self {
            _ if range.is_empty() => Ok(Output::default()),
            OutputBytes::Bytes(bytes) => Ok(Output::from(&bytes[range.start as usize..range.end as usize])),
            OutputBytes::File(file) => copy(file, range),
        }
    }
}

/// Bytes that a failure may lack.
fn optional(output: io::Result<Output>) -> Option<Box<Output>> {
    output.ok().filter(|output| !output.is_empty()).map(Box::new)
}

/// What a task used. The pool knows for itself how the argument and the result travelled. The rest is the worker's claim, and only
/// the summary relies on it.
fn usage(done: &DoneSlot, task: &Task) -> TaskUsage {
    let (result_mapped, result_copied) = match done.payload {
        Payload::File => (done.output_len, 0),
        Payload::Ring(_) => (0, done.output_len),
    };
    TaskUsage {
        mapped_bytes: done.windows.mapped.saturating_add(result_mapped),
        copied_bytes: done.windows.copied.saturating_add(result_copied).saturating_add(task.argument.len() as u64),
        peak_memory_bytes: done.peak_memory_bytes,
        refused_memory_bytes: Some(done.refused_memory_bytes).filter(|bytes| *bytes > 0),
    }
}

/// What a task used whose worker was killed or died. More memory than the limit is a lie, and so is a refusal of less.
pub(super) fn usage_of_killed(memory: TaskMemory, limit_bytes: u64) -> TaskUsage {
    let TaskMemory { peak_bytes, refused_bytes } = memory;
    TaskUsage {
        peak_memory_bytes: if peak_bytes <= limit_bytes { peak_bytes } else { 0 },
        refused_memory_bytes: Some(refused_bytes).filter(|bytes| *bytes > limit_bytes),
        ..TaskUsage::default()
    }
}

/// Later start times are clamped to this one, in the year 2554.
const MAX_TIME: Duration = Duration::from_secs(u64::MAX / 1_000_000_000);

/// The payload of a completion that came through the socket, in a memory file that its worker sealed.
#[derive(Debug)]
pub(super) enum SentResult {
    File(File),
    /// The file's bytes: this process had no descriptor to keep it.
    Copied(Vec<u8>),
    /// This process had no descriptor for it.
    Lost(io::Error),
}

impl SentResult {
    /// Checks a file that a worker sent. This must be done at once: a descriptor of the worker's own end of the socket, say, would hide
    /// its death.
    pub fn new(file: File) -> Result<SentResult, Violation> {
        match memory_file::is_immutable(&file) {
            Ok(true) => Ok(SentResult::File(file)),
            _ => Err(Violation("it sent a result that is not a memory file, or can still change")),
        }
    }

    /// Copies the file and closes it. It may have `most` bytes.
    pub fn copied(self, most: u64) -> Result<SentResult, Violation> {
        let SentResult::File(file) = self else { return Ok(self) };
        let len = memory_file::len(&file).map_err(|_| Violation("it sent a result that is not a memory file"))?;
        if len > most {
            return Err(Violation("it sent more than its limits allow"));
        }
        Ok(read_range(&file, 0..len).map_or_else(SentResult::Lost, SentResult::Copied))
    }
}

const SHORTER: Violation = Violation("it sent a result that is shorter than announced");

/// The bytes after the output in a completion's file, which must be immutable and at least as long as announced.
fn read_file(file: &File, output_len: u64, rest_len: u64) -> Result<Vec<u8>, Violation> {
    let lie = |_| Violation("it sent a result that is not a memory file");
    if file.metadata().map_err(lie)?.len() < output_len.saturating_add(rest_len) {
        return Err(SHORTER);
    }
    let mut rest = vec![0; rest_len as usize];
    file.read_exact_at(&mut rest, output_len).map_err(lie)?;
    Ok(rest)
}

/// A range of a file's bytes, which must be there.
fn copy(file: &File, range: Range<u64>) -> io::Result<Output> {
    read_range(file, range).map(Output::from)
}

/// Reads a range of a file. A worker's file costs it nothing if it is sparse, so there may be no memory for its bytes.
fn read_range(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(len, 0);
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn fault_message(job: &PreparedJob, pending: &Pending, fault: &InputFault) -> String {
    let (name, cannot) = match fault.of {
        Mapped::Input(index) => {
            (format!("input {:?}", job.input_name(&pending.task().inputs, index as usize)), "cannot be read")
        }
        Mapped::Region(index) => (
            job.region_name(pending.call(), index as usize),
            "cannot be read or written (its disk is full, or has an error)",
        ),
    };
    match fault.kind {
        InputFaultKind::Write { offset } => format!("wrote to read-only {name} at offset {offset:#x}"),
        InputFaultKind::Truncated { file_len } => format!("{name} was truncated to {file_len} bytes while mapped"),
        InputFaultKind::Unreadable { offset } => format!("{name} {cannot} at offset {offset:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_numbers_of_a_dead_worker_are_not_reported() {
        let usage = |peak_bytes, refused_bytes| {
            let usage = usage_of_killed(TaskMemory { peak_bytes, refused_bytes }, 100);
            (usage.peak_memory_bytes, usage.refused_memory_bytes)
        };
        assert_eq!(usage(0, 0), (0, None));
        assert_eq!(usage(100, 101), (100, Some(101)));
        assert_eq!(usage(101, 100), (0, None));
        assert_eq!(usage(u64::MAX, u64::MAX), (0, Some(u64::MAX)));
    }
}
