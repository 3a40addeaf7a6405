//! For how long to wait.

use std::time::Duration;

/// For how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until something happens, and no longer than this.
    AtMost(Duration),
    /// Until something happens.
    Event,
}

impl Wait {
    /// Not at all.
    pub const NO: Wait = Wait::AtMost(Duration::ZERO);

    /// Until something happens, and no longer than it takes for an observer to want to redraw.
    pub const TICK: Wait = Wait::AtMost(Duration::from_millis(100));

    /// The longest time to wait, if there is one.
    pub fn at_most(self) -> Option<Duration> {
        match self {
            Wait::AtMost(time) => Some(time),
            Wait::Event => None,
        }
    }

    /// No longer than `time`.
    pub fn shortened(self, time: Duration) -> Wait {
        Wait::AtMost(self.at_most().map_or(time, |at_most| at_most.min(time)))
    }
}
