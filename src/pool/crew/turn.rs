//! What a crew does at each turn of its run.

use super::Ending;
use super::run::CrewRun;
use super::worker::Worker;
use crate::pool::executor::Evicted;
use crate::pool::record::Pending;
use crate::pool::report::Report;
use crate::pool::stop::StopLevel;

impl CrewRun<'_> {
    /// Does everything that can be done without waiting.
    pub fn turn(&mut self) {
        self.crew.note_all_started();
        self.read_completions();
        self.end_silent();
        self.end_unready();
        self.find_slow();
    }

    /// Handles what workers report besides completions, as far as the last wait found it.
    pub fn handle_workers(&mut self) {
        for index in std::mem::take(&mut self.ready) {
            self.read_socket(index);
        }
        for index in std::mem::take(&mut self.ended_workers) {
            self.remove_ended(index);
        }
        self.handle_messages();
    }

    /// Returns the tasks that have not begun and, at [`StopLevel::Now`], ends those that run.
    pub fn stop(&mut self, level: StopLevel) {
        self.stopped = level;
        for pending in self.take_back() {
            self.report(Report::Returned { pending, began: false });
        }
        if level == StopLevel::Now {
            self.condemn_busy();
        }
    }

    /// Ends everything under way.
    pub fn end(&mut self) {
        self.stop(StopLevel::Now);
    }

    /// Takes back the tasks that have not begun, the last one of each worker first.
    pub fn take_back(&mut self) -> Vec<Pending> {
        let mut taken = Vec::new();
        for worker in self.crew.workers.iter_mut().flatten() {
            taken.extend(std::iter::from_fn(|| worker.take_back()));
        }
        taken
    }

    /// Kills the worker whose task began last, unless that is the only running task. Returns the tasks that it held, the last one
    /// first.
    pub fn evict_youngest(&mut self) -> Vec<Evicted> {
        let can_give = |worker: &&Worker| worker.can_be_killed() && !worker.held.is_empty();
        let busy =
            self.crew.workers.iter().enumerate().filter_map(|(index, worker)| {
                worker.as_ref().filter(can_give).map(|worker| (worker.front_since, index))
            });
        let (count, youngest) = busy.fold((0, None), |(count, best), one| (count + 1, best.max(Some(one))));
        let Some((_, index)) = youngest.filter(|_| count > 1) else { return Vec::new() };
        // Tasks that it has completed in the meantime count.
        self.read_completions();
        let Some((mut worker, _)) = self.crew.take_worker(index, Ending::Killed) else { return Vec::new() };
        // There is room for a successor.
        self.is_full = false;
        let mut evicted = Vec::new();
        while let Some(held) = worker.held.pop_back() {
            evicted.push(Evicted { worker: index as u32, pending: worker.release(held) });
        }
        evicted
    }
}
