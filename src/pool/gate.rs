//! Whether tasks may start, as far as the machine has memory and processors to spare.

use std::time::{Duration, Instant};

use crate::job::{Admission, Shortage};

/// The time between two looks at the machine.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whether tasks may start now, as of the last look.
#[derive(Debug, Default)]
pub(super) struct Gate {
    admission: Admission,
    looked_at: Option<Instant>,
    /// What holds tasks up.
    shortage: Option<Shortage>,
}

impl Gate {
    pub fn new(admission: Admission) -> Gate {
        Gate { admission, ..Gate::default() }
    }

    /// Whether tasks may start.
    pub fn is_open(&self) -> bool {
        self.shortage.is_none()
    }

    /// The time until the machine is to be looked at again; `None` if nothing depends on it.
    pub fn next_look(&self) -> Option<Duration> {
        (!self.admission.is_none()).then_some(LOOK_AGAIN)
    }

    /// Whether memory is so short that a task that runs has to give its own back.
    pub fn wants_memory_back(&self) -> bool {
        matches!(self.shortage, Some(Shortage::Memory { dire: true, .. }))
    }

    /// Looks at the machine, if that is asked for and the last look is some time ago; says whether it did.
    pub fn look(&mut self) -> bool {
        let now = Instant::now();
        if self.admission.is_none() || self.looked_at.is_some_and(|at| now < at + LOOK_AGAIN) {
            return false;
        }
        self.looked_at = Some(now);
        self.shortage = self.admission.shortage();
        true
    }

    /// What holds tasks up now.
    pub fn shortage(&self) -> Option<&Shortage> {
        self.shortage.as_ref()
    }
}
