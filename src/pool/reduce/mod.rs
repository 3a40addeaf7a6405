//! Merges all results of a run into one, by a tree of merge tasks.
//!
//! ```text
//! level 2                                 [0..10)
//!                           /                         \
//! level 1             [0..8)                          [8..10)
//!              / / / / | \ \ \                           /  \
//! level 0     0 1 2 3 4 5 6 7                           8    9     results of the items
//! ```
//!
//! The tree's shape depends on the number of results alone, so the merged result does not depend on timing or on the number of
//! workers, even if the merge is not exactly associative (as sums of floats are not).

mod tree;

use std::time::{Duration, SystemTime};

use tree::{Merge, Node, Tree};

use super::prepared_job::merge_entry;
use super::record::Pending;
use super::run::Run;
use crate::backend::Call;
use crate::ipc::ring::INLINE_MAX_BYTES;
use crate::outcome::{Outcome, RunStats};
use crate::result::{Output, Status, TaskStats};
use crate::{Error, Input, Result, Source, Task};

/// The alignment in bytes of results that are merged, so that numbers in them can be read in place: the widest that `.npy` and
/// Arrow files use.
const RESULT_ALIGN: usize = 64;
/// How many results may wait for a merge.
const MAX_WAITING: usize = 4096;

impl<S: Source> Run<'_, S> {
    /// Merges all results into one with the task function `function`, which gets results as its inputs, in item order. Its own
    /// results are merged again, so they must have the same form. Order is preserved, so merging need not be commutative.
    ///
    /// `function` runs at least once: with one result as its input, or with none if there were no items. The final outcome is
    /// that of the last merge. `on_failed` gets failed outcomes as they come. If a task fails there is nothing to merge, and the final
    /// outcome is `cancelled`, with a message that says how many tasks failed. With [`leave_out_failed`](Self::leave_out_failed) the
    /// other results are merged, and that happens only if all tasks failed. Only the observer sees outcomes of tasks that passed.
    ///
    /// # Errors
    ///
    /// If the module has no such task, or the run ends early.
    pub fn reduce(mut self, function: &str, mut on_failed: impl FnMut(Outcome)) -> Result<Outcome> {
        let feed = &mut self.feed;
        if feed.stats.taken > 0 {
            return Err(Error::request("a run whose outcomes have been asked for can no longer be reduced"));
        }
        let entry = merge_entry(&self.module, function)?;
        feed.dispatcher.merge_with(function)?;
        if let Some(results) = &mut feed.results {
            results.add_function(&entry);
        }
        let leaves_out = self.leaves_out_failed;
        let mut tree = Tree::default();
        let mut failed_merge = None;
        loop {
            while let Some(ended) = feed.next_ended() {
                feed.scarce = false;
                let node = Node::from_tag(ended.tag);
                let outcome = feed.spare.outcome(ended);
                if node.level == 0 {
                    feed.count(&outcome);
                } else {
                    feed.count_merge(&outcome);
                }
                match &outcome.result {
                    Ok(_) if feed.stats.failed > 0 && !leaves_out => {}
                    Ok(output) => tree.put(node, output.clone()),
                    Err(_) if node.level == 0 => {
                        match leaves_out {
                            true => tree.leave_out(node.position),
                            // There will be nothing to merge, so no results are kept.
                            false => tree = Tree::default(),
                        }
                        on_failed(outcome);
                    }
                    Err(_) => failed_merge = Some(outcome),
                }
            }
            feed.take_some(|_| tree.waiting < MAX_WAITING);
            if feed.is_exhausted() && feed.stats.done == feed.stats.taken {
                let RunStats { done, failed, .. } = feed.stats;
                let is_hopeless = failed > 0 && (!leaves_out || failed == done);
                if is_hopeless || feed.dispatcher.is_stopped() {
                    break;
                }
                tree.finish(feed.stats.taken);
            }
            if failed_merge.is_some() || tree.root.is_some() {
                break;
            }
            while (leaves_out || feed.stats.failed == 0)
                && let Some(Merge { node, outputs }) = tree.ready.pop_front()
            {
                let task = Task { inputs: as_inputs(&outputs)?, ..Task::default() };
                feed.submit(node.tag(), node.position, Call::Merge, task);
            }
            feed.turn();
        }
        let mut outcome = match (tree.root, failed_merge) {
            (Some(output), _) => merged(Ok(output)),
            (None, Some(outcome)) => outcome,
            (None, None) if feed.stats.failed > 0 => {
                merged(Err(format!("not merged: {} of {} tasks failed", feed.stats.failed, feed.stats.done)))
            }
            (None, None) => merged(Err("not merged: the run was stopped".into())),
        };
        let RunStats { done, cached, merged, merged_cached, .. } = self.finish()?;
        outcome.stats.cached = (done, merged) == (cached, merged_cached);
        Ok(outcome)
    }
}

/// The outcome of the whole reduction.
fn merged(result: Result<Output, String>) -> Outcome {
    let mut pending = Pending::new(0, 0, Call::Merge, Task::default());
    pending.count_attempt();
    let stats = TaskStats::new(SystemTime::now(), Duration::ZERO).attempts(1);
    match result {
        Ok(output) => pending.end(Ok(output), Vec::new(), stats).into_outcome(),
        Err(message) => pending.fail(Status::Cancelled, message, 0).into_outcome(),
    }
}

/// The results as inputs of a merge. Large ones are mapped as they are; the others go into one memory file together, each starting
/// at a multiple of [`RESULT_ALIGN`]. A small result never gets a mapping of its own, even if it arrived in a file for lack of
/// room in the ring: a guest could tell the difference by the address.
fn as_inputs(outputs: &[Output]) -> Result<Vec<Input>> {
    let large = |output: &Output| output.as_input().filter(|_| output.len() > INLINE_MAX_BYTES).cloned();
    let mut bytes = Vec::new();
    for output in outputs.iter().filter(|output| large(output).is_none()) {
        bytes.extend_from_slice(output);
        bytes.resize(bytes.len().next_multiple_of(RESULT_ALIGN), 0);
    }
    let together = Input::from_bytes("results", &bytes)?;
    let mut at = 0;
    outputs
        .iter()
        .map(|output| match large(output) {
            Some(input) => Ok(input),
            None => {
                let start = at;
                at += output.len().next_multiple_of(RESULT_ALIGN) as u64;
                together.slice(start..start + output.len() as u64)
            }
        })
        .collect()
}
