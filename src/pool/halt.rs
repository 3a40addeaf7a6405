//! Decides whether failures end a run early.

use super::stop::StopLevel;
use crate::job::{Halt, Halted};

/// Counts ended tasks, as [`Halt`] needs.
#[derive(Debug, Default)]
pub(super) struct HaltRule {
    halt: Halt,
    /// Tasks from the source that have ended, not counting those that were cancelled or had ended in an earlier run.
    ended: u64,
    failed: u64,
    /// Why the run ends itself early.
    halted: Option<Halted>,
    is_reported: bool,
}

impl HaltRule {
    pub fn new(halt: Halt) -> HaltRule {
        HaltRule { halt, ..HaltRule::default() }
    }

    /// Counts a task that has ended. If that stops the run, returns the level and the reason.
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

    /// Ends the run; only the first reason counts.
    pub fn halt(&mut self, why: Halted) {
        self.halted.get_or_insert(why);
    }

    /// Whether the run ends itself early.
    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// Why the run ends itself early; returned only once.
    pub fn take_unreported(&mut self) -> Option<&Halted> {
        let halted = self.halted.as_ref()?;
        (!std::mem::replace(&mut self.is_reported, true)).then_some(halted)
    }
}
