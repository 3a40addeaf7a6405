//! The pool's side of the file in which tasks have slices: it grows ahead of them, and what failed is taken out.
//!
//! Room on the disk is allocated before a task starts, so that a full disk is the failure of a task with a clear message, and not a
//! signal at whichever store comes first. Small slices are allocated many at a time; at the end the file is cut to what was
//! needed.

use super::dispatcher::Dispatcher;
use super::held::{Ended, Pending};
use crate::error::Kind;
use crate::ipc::wire::InputRange;
use crate::result::Status;
use crate::sys::allocate;
use crate::{OutputFile, Result};

/// A job's output file while a run writes it.
#[derive(Debug)]
pub(super) struct SliceFile {
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

impl SliceFile {
    pub fn new(out: &OutputFile) -> SliceFile {
        let len_before = out.file().metadata().map_or(0, |metadata| metadata.len());
        SliceFile { out: out.clone(), len_before, allocated: 0, asked: 0, needed: 0 }
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
    fn finish(&self) -> Result<()> {
        let failed = |error| Kind::file("cannot finish output file", self.out.name().as_ref(), error);
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

impl Dispatcher<'_> {
    /// Makes room for the slice of a task that is to be given to a worker; ends one that cannot have any.
    pub(super) fn make_slice(&mut self, pending: Pending) -> Option<Pending> {
        let Some(slices) = &mut self.slices else { return Some(pending) };
        let (function, index) = (pending.function(), pending.index());
        if let Some(input) = pending.task().inputs.iter().find(|input| slices.out.is_file_of(input)) {
            let message =
                format!("its input {:?} is the output file; give another file for one of them", input.label());
            self.end(pending.fail(Status::Error, message, 0));
            return None;
        }
        let made = match self.job.slice(function, index) {
            Some(slice) => slices.make_room(slice),
            None if function != super::prepare::MAP => Ok(()),
            None => Err(format!(
                "its slice would lie behind the end of every file: {index} times {}",
                slices.out.slice_bytes()
            )),
        };
        match made {
            Ok(()) => Some(pending),
            Err(message) => {
                self.end(pending.fail(Status::Limit, message, 0));
                None
            }
        }
    }

    /// Deals with the slice of an attempt that has ended: of one that failed, its message says what has become of it.
    pub(super) fn end_slice(&mut self, ended: &mut Ended) {
        let Some(slices) = &mut self.slices else { return };
        let Some(slice) = self.job.slice(ended.function, ended.outcome.index) else { return };
        if let Err(error) = &mut ended.outcome.result {
            let what = slices.give_up(slice);
            error.message = format!("{} ({what})", error.message);
        }
    }

    /// Deals with the slice of a task that had begun, and begins once more without that being an attempt.
    pub(super) fn reset_slice(&self, pending: &Pending) {
        if let (Some(slices), Some(slice)) = (&self.slices, self.job.slice(pending.function(), pending.index())) {
            slices.give_up(slice);
        }
    }

    /// Notes that a task of the run has ended and its slice is part of the file.
    pub(super) fn count_slice(&mut self, ended: &Ended) {
        let Some(slices) = &mut self.slices else { return };
        if let Some(slice) = self.job.slice(ended.function, ended.outcome.index)
            && ended.outcome.status() != Status::Cancelled
            && slice.offset + slice.len <= slices.allocated
        {
            slices.needed = slices.needed.max(slice.offset + slice.len);
        }
    }

    /// Leaves the output file as long as it has to be.
    ///
    /// # Errors
    ///
    /// Where somebody else has cut it, or the system refuses.
    pub(super) fn finish_slices(&mut self) -> Result<()> {
        self.slices.take().map_or(Ok(()), |slices| slices.finish())
    }
}
