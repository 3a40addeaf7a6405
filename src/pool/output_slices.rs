//! The file that holds tasks' output slices, while a run writes it: it grows ahead of the tasks, and failed slices are zeroed.
//!
//! Disk space is allocated before a task starts, so that a full disk fails a task with a clear message instead of raising a signal
//! at an arbitrary store. Small slices are allocated many at a time; at the end the file is truncated to what was needed.

use std::io;

use super::record::{Ended, Pending};
use crate::backend::Call;
use crate::error::Repr;
use crate::ipc::wire::{InputRange, Slices};
use crate::job::Reservation;
use crate::result::Status;
use crate::sys::allocate;
use crate::{OutputFile, Result, Task};

/// A job's output file while a run writes it.
#[derive(Debug)]
pub(super) struct OutputSlices {
    file: Reservation,
    /// The file's length before the run, in bytes.
    len_before: u64,
    /// Whether it had a name then.
    had_name: bool,
    /// The file is allocated up to this offset.
    allocated: u64,
    /// The highest offset up to which space was requested; a request that failed may have allocated a part of it.
    asked: u64,
    /// The end offset of the last slice whose task ran.
    needed: u64,
    /// The length to which somebody else has truncated the file.
    truncated_to: Option<u64>,
}

/// The least that is allocated at a time if the disk has it, in bytes.
const AHEAD_BYTES: u64 = 1 << 20;

impl OutputSlices {
    /// Reserves the file for this run.
    ///
    /// # Errors
    ///
    /// If another run writes it, or a system call on it fails.
    pub fn new(out: &OutputFile) -> Result<OutputSlices> {
        let file = out.reserve()?;
        let failed = |error| Repr::file("cannot use output file", out.name(), error);
        let (len_before, had_name) = out.state().map_err(failed)?;
        let (allocated, asked, needed, truncated_to) = (0, 0, 0, None);
        Ok(OutputSlices { file, len_before, had_name, allocated, asked, needed, truncated_to })
    }

    fn out(&self) -> &OutputFile {
        self.file.out()
    }

    /// The slice of a task; `None` for merges, and if it would lie beyond the largest offset that a file can have.
    fn slice_of(&self, call: Call, index: u64) -> Option<InputRange> {
        // The file's number in a worker's table means nothing here.
        let slices = Slices { file: 0, slice_bytes: self.out().slice_bytes() };
        (call == Call::Map).then(|| slices.range(index))?
    }

    /// Checks that a task does not read this file.
    ///
    /// # Errors
    ///
    /// If it does: the task's error message.
    pub fn check(&self, task: &Task) -> Result<(), String> {
        match task.inputs.iter().find(|input| self.out().is_file_of(input)) {
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
                self.out().slice_bytes()
            )),
        }
    }

    /// Deals with the slice of an attempt that has ended. If the attempt failed, adds to its message what the slice now holds.
    pub fn end_attempt(&mut self, ended: &mut Ended) {
        let Some(slice) = self.slice_of(ended.call, ended.outcome.index) else { return };
        if let Err(error) = &mut ended.outcome.result {
            let what = self.give_up(slice);
            error.message = format!("{} ({what})", error.message);
        }
    }

    /// Deals with the slice of a task that had begun and will begin again, without the first start counting as an attempt.
    pub fn reset(&mut self, pending: &Pending) {
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
        self.look_for_truncation();
        if let Some(len) = self.truncated_to {
            return Err(format!("{:?} was truncated to {len} bytes while tasks wrote it", self.out().name()));
        }
        let start = self.allocated.max(slice.offset);
        let ahead = if self.out().is_concurrent() { 0 } else { AHEAD_BYTES };
        let mut made = Err(std::io::ErrorKind::StorageFull.into());
        for end in [end.max(start.saturating_add(ahead)), end] {
            self.asked = self.asked.max(end);
            made = allocate::allocate(self.out().file(), start, end - start);
            if made.is_ok() {
                self.allocated = end;
                break;
            }
        }
        made.map_err(|error| format!("there is no room for its slice, {}: {error}", self.bytes(slice)))
    }

    /// Notes it if the file is shorter than it was made. Growing it again would hide that.
    fn look_for_truncation(&mut self) {
        if let Ok((len, _)) = self.out().state()
            && len < self.allocated
        {
            self.truncated_to.get_or_insert(len);
        }
    }

    /// Names a slice in a message: `bytes 0..8 of "out.bin"`.
    fn bytes(&self, InputRange { offset, len, .. }: InputRange) -> String {
        format!("bytes {offset}..{} of {:?}", offset + len, self.out().name())
    }

    /// Zeroes the slice of a failed attempt, or leaves it as the job wishes; returns a message about it. No worker maps the slice
    /// any more.
    fn give_up(&mut self, slice: InputRange) -> String {
        let bytes = self.bytes(slice);
        if self.out().keeps_failed() {
            return format!("{bytes} are as it left them");
        }
        self.look_for_truncation();
        if let Some(len) = self.truncated_to {
            return format!("{bytes} are lost: the file was truncated to {len} bytes");
        }
        let zeroed = allocate::zero(self.out().file(), slice.offset, slice.len);
        // Allocated again for another attempt; this fails if there is no space left.
        let zeroed = zeroed.and_then(|()| allocate::allocate(self.out().file(), slice.offset, slice.len));
        match zeroed {
            Ok(()) => format!("{bytes} are zeros"),
            Err(error) => format!("{bytes} could not be zeroed: {error}"),
        }
    }

    /// Cuts off what was allocated but not needed.
    ///
    /// # Errors
    ///
    /// If somebody else has truncated or removed the file, or a system call on it fails.
    pub fn finish(mut self) -> Result<()> {
        self.look_for_truncation();
        let failed = |error| Repr::file("cannot finish output file", self.out().name(), error);
        let (file_len, has_name) = self.out().state().map_err(failed)?;
        let lost = match self.truncated_to {
            Some(len) => Some(format!("it was truncated to {len} bytes while tasks wrote it, and results are lost")),
            None if self.had_name && !has_name && self.needed > 0 => {
                Some("it was removed while tasks wrote it, and results are lost".to_owned())
            }
            None => None,
        };
        if let Some(message) = lost {
            return Err(failed(io::Error::other(message)).into());
        }
        let needed = self.needed.max(self.len_before);
        // If it is longer than we made it, somebody else is writing to it as well.
        if file_len > needed && file_len <= self.asked && !self.out().is_concurrent() {
            self.out().file().set_len(needed).map_err(failed)?;
        }
        Ok(())
    }
}
