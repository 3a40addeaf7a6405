//! How long to wait.

use std::time::Duration;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until something happens, but no longer than this.
    AtMost(Duration),
    /// Until something happens.
    Event,
}

impl Wait {
    /// Not at all.
    pub const NO: Wait = Wait::AtMost(Duration::ZERO);

    /// Until something happens, but no longer than an observer may want to go without redrawing.
    pub const TICK: Wait = Wait::AtMost(Duration::from_millis(100));

    /// The longest time to wait, if it is limited.
    pub fn at_most(self) -> Option<Duration> {
        match self {
            Wait::AtMost(time) => Some(time),
            Wait::Event => None,
        }
    }

    /// The same, but no longer than `time`.
    pub fn shortened(self, time: Duration) -> Wait {
        Wait::AtMost(self.at_most().map_or(time, |at_most| at_most.min(time)))
    }
}
