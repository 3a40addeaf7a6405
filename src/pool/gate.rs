//! Decides whether tasks may start, by the memory and processor time that the machine has to spare.

use std::time::{Duration, Instant};

use crate::job::{Admission, Shortage};

/// The time between two measurements of the machine.
const MEASURE_INTERVAL: Duration = Duration::from_millis(100);

/// Whether tasks may start, as of the last measurement.
#[derive(Debug, Default)]
pub(super) struct Gate {
    admission: Admission,
    measured_at: Option<Instant>,
    /// What holds tasks up, as last measured.
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

    /// The time until the next measurement; `None` if nothing depends on it.
    pub fn next_measurement(&self) -> Option<Duration> {
        (!self.admission.is_none()).then_some(MEASURE_INTERVAL)
    }

    /// Whether memory is so short that a running task has to be stopped to free its own.
    pub fn wants_memory_back(&self) -> bool {
        matches!(self.shortage, Some(Shortage::Memory { dire: true, .. }))
    }

    /// Measures the machine if the job asks for it and the last measurement is old enough. Returns whether it measured.
    pub fn measure(&mut self) -> bool {
        let now = Instant::now();
        if self.admission.is_none() || self.measured_at.is_some_and(|at| now < at + MEASURE_INTERVAL) {
            return false;
        }
        self.measured_at = Some(now);
        self.shortage = self.admission.shortage();
        true
    }

    /// What holds tasks up, if anything does.
    pub fn shortage(&self) -> Option<&Shortage> {
        self.shortage.as_ref()
    }
}
