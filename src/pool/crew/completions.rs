//! Reads workers' completions.

use super::Ending;
use super::deaths::Fault;
use super::receive::SocketState;
use super::run::{CrewRun, MIN_DEPTH};
use crate::backend::Call;
use crate::ipc::ring::{SLOTS, TaskMemory, Violation};
use crate::ipc::wire::DoneSlot;
use crate::pool::completion::{complete, timed_out, usage_of_killed};
use crate::pool::record::{Ended, Pending};
use crate::result::Status;

/// How much work a worker is given ahead of time, in nanoseconds.
const AHEAD_NS: u64 = 2_000_000;

/// What reading one worker's completions found.
#[derive(Default)]
struct ReadCompletions {
    count: u32,
    /// What it did that no honest worker does.
    violation: Option<Violation>,
    /// The task that it lied about.
    lied_about: Option<Pending>,
}

impl CrewRun<'_> {
    /// Reads the completions of all workers.
    pub(super) fn read_completions(&mut self) {
        for index in 0..self.crew.workers.len() {
            self.read_completions_of(index);
        }
    }

    fn read_completions_of(&mut self, index: usize) {
        let ReadCompletions { count, violation, lied_about } = self.pop_completions(index);
        if count > 0 {
            self.note_completions(index, violation.is_none());
        }
        let Some(violation) = violation else { return };
        self.condemn(index, Some(Fault::Lie(violation)), Ending::Killed);
        // The task ends only now, when its worker is dead and can no longer write to it.
        if let Some(pending) = lied_about {
            let message = format!("its worker broke the protocol: {}", violation.0);
            self.report_end(pending.fail(Status::WorkerLost, message, index as u32));
        }
    }

    /// Takes the completions out of a worker's ring, up to the first impossible one.
    fn pop_completions(&mut self, index: usize) -> ReadCompletions {
        let mut read = ReadCompletions::default();
        let mut payload = std::mem::take(&mut self.payload);
        while let Some(worker) = &mut self.crew.workers[index] {
            match worker.next_done(&mut payload, &mut self.crew.spare) {
                Ok(None) => break,
                Err(violation) => {
                    read.violation = Some(violation);
                    break;
                }
                Ok(Some((done, pending, sent))) => {
                    read.count += 1;
                    if worker.killed_for.ticket() == Some(done.ticket) {
                        // Its time limit expired before it ended.
                        let (limit, trace) = (worker.killed_for.limit(), worker.stack_trace(done.ticket));
                        let DoneSlot { peak_memory_bytes: peak_bytes, refused_memory_bytes: refused_bytes, .. } = done;
                        let memory = TaskMemory { peak_bytes, refused_bytes };
                        let usage = usage_of_killed(memory, self.job.limits.memory_bytes);
                        let ended = timed_out(&self.job, pending, limit, trace, index as u32).usage(usage);
                        self.report_end(ended);
                        continue;
                    }
                    let ended = complete(&self.job, index as u32, &done, pending, &payload, sent, self.clock_zero);
                    self.note_duration(&done);
                    match ended {
                        Ok(ended) => {
                            self.note_time(&ended);
                            self.report_end(ended);
                        }
                        Err(lie) => {
                            read.violation = Some(lie.violation);
                            read.lied_about = Some(lie.pending);
                            break;
                        }
                    }
                }
            }
        }
        self.payload = payload;
        read
    }

    /// Updates the mean duration of tasks.
    fn note_duration(&mut self, done: &DoneSlot) {
        self.mean_ns = match self.mean_ns {
            0 => done.duration_ns.max(1),
            mean => (mean / 8 * 7).saturating_add(done.duration_ns / 8).max(1),
        };
    }

    /// Takes the duration of a task that passed into account.
    fn note_time(&mut self, ended: &Ended) {
        let has_passed = ended.call == Call::Map && ended.outcome.result.is_ok();
        if has_passed && self.times.passed(ended.outcome.stats.duration) {
            self.crew.set_times(self.times.timeout(), true);
        }
    }

    /// Notes that a worker has completed tasks.
    fn note_completions(&mut self, index: usize, is_honest: bool) {
        (self.startup_deaths, self.startup_kills) = (0, 0);
        self.refusals = 0;
        if is_honest {
            self.lost_in_a_row = 0;
        }
        if let Some(worker) = &mut self.crew.workers[index] {
            if !std::mem::replace(&mut worker.proven, true) {
                // Its message about its confinement was sent before its first completion, so it is there to be read.
                self.ready.push(index);
            }
            worker.note_front();
            worker.free_done();
        }
        let ahead = usize::try_from(AHEAD_NS.checked_div(self.mean_ns).unwrap_or(0)).unwrap_or(SLOTS);
        self.depth = (1 + ahead).clamp(MIN_DEPTH, SLOTS - 1);
    }

    /// Reads what a worker has sent through its socket.
    pub(super) fn read_socket(&mut self, index: usize) {
        let Some(worker) = &mut self.crew.workers[index] else { return };
        match worker.read_socket(&mut self.crew.spare) {
            SocketState::Open => {}
            SocketState::Gone(violation) => {
                // Tasks that it completed before its end count.
                self.read_completions();
                let ending = if violation.is_some() { Ending::Killed } else { Ending::ByItself };
                self.condemn(index, violation.map(Fault::Lie), ending);
            }
        }
    }
}
