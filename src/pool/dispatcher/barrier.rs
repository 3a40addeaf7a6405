//! Holds tasks back while too many results wait for an earlier one.
//!
//! No more tasks are taken then, but workers may hold thousands that they have not begun, and each may have a result as long as is
//! allowed. So these are taken back, and only the task that all wait for may start.

use std::cmp::Reverse;

use super::Dispatcher;
use crate::pool::record::Pending;
use crate::pool::stop::StopLevel;

impl Dispatcher<'_> {
    /// Lets no task after `last` (its tag) start; `None` lets all start again.
    pub fn hold_after(&mut self, last: Option<u64>) {
        if self.barrier.is_none() && last.is_some() && self.stopped == StopLevel::Running {
            self.take_back();
        }
        self.barrier = last;
    }

    /// Takes back the tasks that workers have not begun.
    pub(super) fn take_back(&mut self) {
        let mut taken_back = self.executor.take_back();
        // The last one first, because each goes to the front.
        taken_back.sort_unstable_by_key(|pending| Reverse(pending.tag()));
        taken_back.into_iter().for_each(|pending| self.waiting.push_front(pending));
    }

    /// The next waiting task that may start.
    pub(super) fn next_waiting(&mut self) -> Option<Pending> {
        match self.barrier {
            None => self.waiting.pop_front(),
            Some(last) => {
                let at = self.waiting.iter().position(|pending| pending.tag() <= last)?;
                self.waiting.remove(at)
            }
        }
    }
}
