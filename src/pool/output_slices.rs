//! The file in which tasks have output slices, while a run writes it: it grows ahead of them, and what failed is taken out.
//!
//! Room on the disk is allocated before a task starts, so that a full disk is the failure of a task with a clear message, and not a
//! signal at whichever store comes first. Small slices are allocated many at a time; at the end the file is cut to what was
//! needed.

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
    /// Bytes of the file before the run.
    len_before: u64,
    /// Slices up to here have room.
    allocated: u64,
    /// The end of all that room was asked for: where there was none, a part of it may have been made.
    asked: u64,
    /// The end of the last slice of a task that ran.
    needed: u64,
}

/// Bytes that are allocated at a time, at least, where the disk has them.
const AHEAD_BYTES: u64 = 1 << 20;

impl OutputSlices {
    pub fn new(out: &OutputFile) -> OutputSlices {
        let len_before = out.file().metadata().map_or(0, |metadata| metadata.len());
        OutputSlices { out: out.clone(), len_before, allocated: 0, asked: 0, needed: 0 }
    }

    /// The slice of a task; `None` for merges, and where it would lie behind the end of every file.
    fn slice_of(&self, call: Call, index: u64) -> Option<InputRange> {
        // Its number in a worker's table means nothing here.
        let slices = Slices { file: 0, slice_bytes: self.out.slice_bytes() };
        (call == Call::Map).then(|| slices.range(index))?
    }

    /// Whether a task can run beside this file.
    ///
    /// # Errors
    ///
    /// A text for the task that cannot.
    pub fn check(&self, task: &Task) -> Result<(), String> {
        match task.inputs.iter().find(|input| self.out.is_file_of(input)) {
            None => Ok(()),
            Some(input) => {
                Err(format!("its input {:?} is the output file; give another file for one of them", input.label()))
            }
        }
    }

    /// Makes room for the slice of a task that is about to be given to a worker.
    ///
    /// # Errors
    ///
    /// A text for the task that cannot have it.
    pub fn make_room_for(&mut self, pending: &Pending) -> Result<(), String> {
        match self.slice_of(pending.call(), pending.index()) {
            Some(slice) => self.make_room(slice),
            None if pending.call() == Call::Merge => Ok(()),
            None => Err(format!(
                "its slice would lie behind the end of every file: {} times {}",
                pending.index(),
                self.out.slice_bytes()
            )),
        }
    }

    /// Deals with the slice of an attempt that has ended: of one that failed, its message says what has become of it.
    pub fn end_attempt(&self, ended: &mut Ended) {
        let Some(slice) = self.slice_of(ended.call, ended.outcome.index) else { return };
        if let Err(error) = &mut ended.outcome.result {
            let what = self.give_up(slice);
            error.message = format!("{} ({what})", error.message);
        }
    }

    /// Deals with the slice of a task that had begun, and begins once more without that being an attempt.
    pub fn reset(&self, pending: &Pending) {
        if let Some(slice) = self.slice_of(pending.call(), pending.index()) {
            self.give_up(slice);
        }
    }

    /// Notes that a task has ended for good, and its slice is part of the file.
    pub fn count(&mut self, ended: &Ended) {
        if let Some(slice) = self.slice_of(ended.call, ended.outcome.index)
            && ended.outcome.status() != Status::Cancelled
            && slice.offset + slice.len <= self.allocated
        {
            self.needed = self.needed.max(slice.offset + slice.len);
        }
    }

    /// Makes room for a slice, and some for those that follow.
    ///
    /// # Errors
    ///
    /// A text for the task that cannot have it.
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

    /// `bytes 0..8 of "out.bin"`.
    fn bytes(&self, InputRange { offset, len, .. }: InputRange) -> String {
        format!("bytes {offset}..{} of {:?}", offset + len, self.out.name())
    }

    /// Decides over the slice of an attempt that failed; says what has become of it. No worker maps it any more.
    fn give_up(&self, slice: InputRange) -> String {
        let bytes = self.bytes(slice);
        if self.out.keeps_failed() {
            return format!("{bytes} are as it left them");
        }
        let zeroed = allocate::zero(self.out.file(), slice.offset, slice.len);
        // For another attempt; where there is no room any more, that fails.
        let zeroed = zeroed.and_then(|()| allocate::allocate(self.out.file(), slice.offset, slice.len));
        match zeroed {
            Ok(()) => format!("{bytes} are zeros"),
            Err(error) => format!("{bytes} could not be made zeros: {error}"),
        }
    }

    /// Cuts off what was allocated and not needed.
    ///
    /// # Errors
    ///
    /// Somebody else has cut the file, or the system refuses.
    pub fn finish(&self) -> Result<()> {
        let failed = |error| Repr::file("cannot finish output file", self.out.name().as_ref(), error);
        let file_len = self.out.file().metadata().map_err(failed)?.len();
        let needed = self.needed.max(self.len_before);
        if file_len < self.needed {
            let message = format!("it was truncated to {file_len} bytes while tasks wrote it, and results are lost");
            return Err(failed(std::io::Error::other(message)).into());
        }
        // If it is longer than we made it, somebody else writes it as well.
        if file_len > needed && file_len <= self.asked {
            self.out.file().set_len(needed).map_err(failed)?;
        }
        Ok(())
    }
}
