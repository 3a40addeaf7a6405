//! Whether failures end a run early.

use super::stop::StopLevel;
use crate::job::{Halt, Halted};

/// Counts the tasks that have ended, for [`Halt`].
#[derive(Debug, Default)]
pub(super) struct HaltRule {
    halt: Halt,
    /// Tasks of the source that have ended, without those that were cancelled or had ended before.
    ended: u64,
    failed: u64,
    /// Why the run ends early by itself.
    halted: Option<Halted>,
    is_reported: bool,
}

impl HaltRule {
    pub fn new(halt: Halt) -> HaltRule {
        HaltRule { halt, ..HaltRule::default() }
    }

    /// Counts a task that has ended; says how far that stops the run, and why.
    #[must_use]
    pub fn count(&mut self, failed: bool) -> Option<(StopLevel, Halted)> {
        self.ended += 1;
        self.failed += u64::from(failed);
        let HaltRule { halt, ended, failed: all_failed, .. } = *self;
        let level = match halt {
            Halt::Never => return None,
            Halt::Soon(_) => StopLevel::Soon,
            Halt::Now(_) => StopLevel::Now,
        };
        let is_reached = failed && halt.at().is_some_and(|at| at.is_reached(all_failed, ended));
        is_reached.then_some((level, Halted::Failures { failed: all_failed, ended, halt }))
    }

    /// Ends the run; the first reason counts.
    pub fn halt(&mut self, why: Halted) {
        self.halted.get_or_insert(why);
    }

    /// Whether the run ends early by itself.
    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// Why the run ends early by itself; reported once.
    pub fn take_unreported(&mut self) -> Option<&Halted> {
        let halted = self.halted.as_ref()?;
        (!std::mem::replace(&mut self.is_reported, true)).then_some(halted)
    }
}
