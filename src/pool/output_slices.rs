//! The file that holds tasks' output slices, while a run writes it: it grows ahead of the tasks, and failed slices are zeroed.
//!
//! Disk space is allocated before a task starts, so that a full disk fails a task with a clear message instead of raising a signal
//! at an arbitrary store. Small slices are allocated many at a time; at the end the file is truncated to what was needed.

use super::record::{Ended, Pending};
use crate::backend::Call;
use crate::error::Repr;
use crate::ipc::wire::{InputRange, Slices};
use crate::result::Status;
use crate::sys::allocate;
use crate::{OutputFile, Result, Task};

/// A job's output file while a run writes it.
#[derive(Debug)]
pub(super) struct OutputSlices {
    out: OutputFile,
    /// The file's length before the run, in bytes.
    len_before: u64,
    /// The file is allocated up to this offset.
    allocated: u64,
    /// The highest offset up to which space was requested; a request that failed may have allocated a part of it.
    asked: u64,
    /// The end offset of the last slice whose task ran.
    needed: u64,
}

/// The least that is allocated at a time if the disk has it, in bytes.
const AHEAD_BYTES: u64 = 1 << 20;

impl OutputSlices {
    pub fn new(out: &OutputFile) -> OutputSlices {
        let len_before = out.file().metadata().map_or(0, |metadata| metadata.len());
        OutputSlices { out: out.clone(), len_before, allocated: 0, asked: 0, needed: 0 }
    }

    /// The slice of a task; `None` for merges, and if it would lie beyond the largest offset that a file can have.
    fn slice_of(&self, call: Call, index: u64) -> Option<InputRange> {
        // The file's number in a worker's table means nothing here.
        let slices = Slices { file: 0, slice_bytes: self.out.slice_bytes() };
        (call == Call::Map).then(|| slices.range(index))?
    }

    /// Checks that a task does not read this file.
    ///
    /// # Errors
    ///
    /// If it does: the task's error message.
    pub fn check(&self, task: &Task) -> Result<(), String> {
        match task.inputs.iter().find(|input| self.out.is_file_of(input)) {
            None => Ok(()),
            Some(input) => {
                Err(format!("its input {:?} is the output file; give another file for one of them", input.label()))
            }
        }
    }

    /// Allocates the slice of a task that is about to be given to a worker.
    ///
    /// # Errors
    ///
    /// If the task cannot have its slice: the task's error message.
    pub fn make_room_for(&mut self, pending: &Pending) -> Result<(), String> {
        match self.slice_of(pending.call(), pending.index()) {
            Some(slice) => self.make_room(slice),
            None if pending.call() == Call::Merge => Ok(()),
            None => Err(format!(
                "its slice would lie beyond the largest offset of a file: {} times {} bytes",
                pending.index(),
                self.out.slice_bytes()
            )),
        }
    }

    /// Deals with the slice of an attempt that has ended. If the attempt failed, adds to its message what the slice now holds.
    pub fn end_attempt(&self, ended: &mut Ended) {
        let Some(slice) = self.slice_of(ended.call, ended.outcome.index) else { return };
        if let Err(error) = &mut ended.outcome.result {
            let what = self.give_up(slice);
            error.message = format!("{} ({what})", error.message);
        }
    }

    /// Deals with the slice of a task that had begun and will begin again, without the first start counting as an attempt.
    pub fn reset(&self, pending: &Pending) {
        if let Some(slice) = self.slice_of(pending.call(), pending.index()) {
            self.give_up(slice);
        }
    }

    /// Notes that a task has ended for good, so that its slice is part of the file.
    pub fn count(&mut self, ended: &Ended) {
        if let Some(slice) = self.slice_of(ended.call, ended.outcome.index)
            && ended.outcome.status() != Status::Cancelled
            && slice.offset + slice.len <= self.allocated
        {
            self.needed = self.needed.max(slice.offset + slice.len);
        }
    }

    /// Allocates a slice, and some space for those that follow.
    ///
    /// # Errors
    ///
    /// If there is no space: the error message of the slice's task.
    fn make_room(&mut self, slice: InputRange) -> Result<(), String> {
        let end = slice.offset + slice.len;
        if end <= self.allocated {
            return Ok(());
        }
        let start = self.allocated.max(slice.offset);
        let mut made = Err(std::io::ErrorKind::StorageFull.into());
        for end in [end.max(start.saturating_add(AHEAD_BYTES)), end] {
            self.asked = self.asked.max(end);
            made = allocate::allocate(self.out.file(), start, end - start);
            if made.is_ok() {
                self.allocated = end;
                break;
            }
        }
        made.map_err(|error| format!("there is no room for its slice, {}: {error}", self.bytes(slice)))
    }

    /// Names a slice in a message: `bytes 0..8 of "out.bin"`.
    fn bytes(&self, InputRange { offset, len, .. }: InputRange) -> String {
        format!("bytes {offset}..{} of {:?}", offset + len, self.out.name())
    }

    /// Zeroes the slice of a failed attempt, or leaves it as the job wishes; returns a message about it. No worker maps the slice
    /// any more.
    fn give_up(&self, slice: InputRange) -> String {
        let bytes = self.bytes(slice);
        if self.out.keeps_failed() {
            return format!("{bytes} are as it left them");
        }
        let zeroed = allocate::zero(self.out.file(), slice.offset, slice.len);
        // Allocated again for another attempt; this fails if there is no space left.
        let zeroed = zeroed.and_then(|()| allocate::allocate(self.out.file(), slice.offset, slice.len));
        match zeroed {
            Ok(()) => format!("{bytes} are zeros"),
            Err(error) => format!("{bytes} could not be zeroed: {error}"),
        }
    }

    /// Cuts off what was allocated but not needed.
    ///
    /// # Errors
    ///
    /// If somebody else has truncated the file, or a system call on it fails.
    pub fn finish(&self) -> Result<()> {
        let failed = |error| Repr::file("cannot finish output file", self.out.name().as_ref(), error);
        let file_len = self.out.file().metadata().map_err(failed)?.len();
        let needed = self.needed.max(self.len_before);
        if file_len < self.needed {
            let message = format!("it was truncated to {file_len} bytes while tasks wrote it, and results are lost");
            return Err(failed(std::io::Error::other(message)).into());
        }
        // If it is longer than we made it, somebody else is writing to it as well.
        if file_len > needed && file_len <= self.asked {
            self.out.file().set_len(needed).map_err(failed)?;
        }
        Ok(())
    }
}
