//! Starts nothing while the machine is short of memory or busy, and gives memory back where it runs out.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::crew::End;
use super::dispatcher::Dispatcher;
use super::held::Pending;
use super::stop::Stop;
use crate::job::{Admission, Shortage};

/// The time between two looks at the machine.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Whether tasks may start now, as of the last look.
#[derive(Debug, Default)]
pub(super) struct Gate {
    admission: Admission,
    looked_at: Option<Instant>,
    /// What holds tasks up.
    pub shortage: Option<Shortage>,
    /// That has not been told.
    pub news: Option<Shortage>,
}

impl Gate {
    pub fn new(admission: Admission) -> Gate {
        Gate { admission, ..Gate::default() }
    }

    /// Whether tasks may start.
    pub fn is_open(&self) -> bool {
        self.shortage.is_none()
    }

    /// Whether there is anything to look at.
    pub fn is_guarded(&self) -> bool {
        !self.admission.is_none()
    }
}

impl Dispatcher<'_> {
    /// Looks at the machine, where that is asked for and the last look is some time ago.
    pub(super) fn heed_machine(&mut self) {
        let gate = &mut self.gate;
        if !gate.is_guarded() {
            return;
        }
        let now = Instant::now();
        if gate.looked_at.is_some_and(|at| now < at + LOOK) {
            return;
        }
        gate.looked_at = Some(now);
        let was_open = gate.is_open();
        gate.shortage = gate.admission.shortage();
        if was_open && !gate.is_open() {
            gate.news.clone_from(&gate.shortage);
        }
        if self.gate.is_open() || self.stopped != Stop::No {
            return;
        }
        let mut taken_back: Vec<Pending> = Vec::new();
        for worker in self.pool.workers.iter_mut().flatten() {
            taken_back.extend(std::iter::from_fn(|| worker.take_back()));
        }
        // The last one first, as each goes to the front.
        taken_back.sort_unstable_by_key(|pending| Reverse(pending.tag()));
        taken_back.into_iter().for_each(|pending| self.waiting.push_front(pending));
        if matches!(self.gate.shortage, Some(Shortage::Memory { dire: true, .. })) {
            self.end_youngest();
        }
    }

    /// Kills the worker whose task began last, unless that is the only task that runs, and lets the task wait for better times.
    fn end_youngest(&mut self) {
        let busy = self.pool.workers.iter().enumerate().filter_map(|(index, worker)| {
            worker
                .as_ref()
                .filter(|worker| worker.can_be_killed() && !worker.held.is_empty())
                .map(|w| (w.front_since, index))
        });
        let (count, youngest) = busy.fold((0, None), |(count, best), one| (count + 1, best.max(Some(one))));
        let Some((_, index)) = youngest.filter(|_| count > 1) else { return };
        // What it has ended meanwhile counts.
        self.read_completions();
        let Some((mut worker, _)) = self.pool.take_worker(index, End::Killed) else { return };
        while let Some(held) = worker.held.pop_back() {
            self.requeued.push((index as u32, held.pending.index()));
            let pending = worker.release(held);
            self.reset_slice(&pending);
            self.waiting.push_front(pending);
        }
        // There is room for a successor.
        self.full = false;
    }
}
