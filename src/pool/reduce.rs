//! Merging all results of a run to one, by a tree of merge tasks.
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
//! workers, even where the merge is not exactly associative (sums of floats).

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::held::Pending;
use super::prepare::REDUCE;
use super::run::Run;
use crate::ipc::ring::INLINE_MAX_BYTES;
use crate::outcome::{Outcome, RunStats};
use crate::result::{Output, Status, TaskStats};
use crate::{Error, Input, Result, Source, Task};

/// Results that one merge task gets.
const FAN_IN: u64 = 8;
/// What results that are merged are aligned to, in bytes, so that numbers in them can be read in place; the widest that `.npy` and
/// Arrow files align to.
const RESULT_ALIGN: usize = 64;
/// Results that may wait for a merge.
const MAX_WAITING: usize = 4096;

impl<S: Source> Run<'_, S> {
    /// Merges all results to one by the task function `function`, which gets results as its inputs, in item order. Its own
    /// results are merged again, so they must have the same form; the order is kept, so merging need not be commutative.
    ///
    /// `function` runs at least once: with one result as its input, or with none where there were no items. The final
    /// outcome is that of the last merge. Where a task failed there is nothing to merge: `on_failed` gets the failed
    /// outcomes as they come, and the final outcome is `cancelled` and says how many failed.
    ///
    /// # Errors
    ///
    /// Where the module has no such task, or the run ends early.
    pub fn reduce(mut self, function: &str, mut on_failed: impl FnMut(Outcome)) -> Result<Outcome> {
        let feed = &mut self.feed;
        if feed.stats.taken > 0 {
            return Err(Error::request("a run whose outcomes have been asked for can no longer be reduced"));
        }
        let entry = feed.dispatcher.add_reduce(function)?;
        feed.results.iter_mut().for_each(|results| results.add_function(&entry));
        let mut tree = Tree::default();
        let mut failed_merge = None;
        loop {
            while let Some(ended) = feed.next_ended() {
                feed.scarce = false;
                let place = Place::from_tag(ended.tag);
                let outcome = feed.spare.outcome(ended);
                if place.level == 0 {
                    feed.count(&outcome);
                } else {
                    feed.count_merge(&outcome);
                }
                match &outcome.result {
                    Ok(_) if feed.stats.failed > 0 => {}
                    Ok(output) => tree.put(place, output.clone()),
                    Err(_) if place.level == 0 => {
                        // There will be nothing to merge, so nothing is kept for it.
                        tree = Tree::default();
                        on_failed(outcome);
                    }
                    Err(_) => failed_merge = Some(outcome),
                }
            }
            feed.take_some(|_| tree.waiting < MAX_WAITING);
            if feed.is_exhausted() && feed.stats.done == feed.stats.taken {
                if feed.stats.failed > 0 || feed.dispatcher.is_stopped() {
                    break;
                }
                tree.finish(feed.stats.taken);
            }
            if failed_merge.is_some() || tree.root.is_some() {
                break;
            }
            while feed.stats.failed == 0
                && let Some((place, outputs)) = tree.ready.pop_front()
            {
                let task = Task { inputs: as_inputs(&outputs)?, ..Task::default() };
                feed.submit(place.tag(), place.position, REDUCE, task);
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
    let mut pending = Pending::new(0, 0, REDUCE, Task::default());
    pending.count_attempt();
    let stats = TaskStats {
        start: SystemTime::now(),
        duration: Default::default(),
        worker: 0,
        attempts: 1,
        fuel: None,
        cached: false,
        usage: Default::default(),
    };
    match result {
        Ok(output) => pending.end(Ok(output), Vec::new(), stats).into_outcome(),
        Err(message) => pending.fail(Status::Cancelled, message, 0).into_outcome(),
    }
}

/// The results as inputs of a merge: large ones that are mapped as they are, the others together in one memory file, in which each
/// begins at a multiple of [`RESULT_ALIGN`]. Small ones never are on their own, even where they came so for lack of room: a guest
/// could tell by the address.
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

/// Where a result stands in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    level: u64,
    position: u64,
}

impl Place {
    const LEVEL_SHIFT: u32 = 56;

    fn tag(self) -> u64 {
        self.level << Self::LEVEL_SHIFT | self.position
    }

    fn from_tag(tag: u64) -> Place {
        Place { level: tag >> Self::LEVEL_SHIFT, position: tag & ((1 << Self::LEVEL_SHIFT) - 1) }
    }

    /// Where the merge of this result and its neighbours stands.
    fn parent(self) -> Place {
        Place { level: self.level + 1, position: self.position / FAN_IN }
    }
}

/// Neighbours that are merged together, as far as they are there, and how many there are.
type Group = (usize, [Option<Output>; FAN_IN as usize]);

/// Results that wait for their neighbours.
#[derive(Debug, Default)]
struct Tree {
    /// By the place (level and position) of their merge's result.
    groups: HashMap<(u64, u64), Group>,
    /// Merges that can be done: the place of the result, and what to merge.
    ready: VecDeque<(Place, Vec<Output>)>,
    /// How many results wait in groups.
    waiting: usize,
    /// How many results of items there are, once that is known.
    total: Option<u64>,
    root: Option<Output>,
}

impl Tree {
    /// Takes a result in.
    fn put(&mut self, place: Place, output: Output) {
        if self.total.is_some_and(|total| place.level == root_level(total)) {
            self.root = Some(output);
            return;
        }
        let parent = place.parent();
        let (count, outputs) = self.groups.entry((parent.level, parent.position)).or_default();
        outputs[(place.position % FAN_IN) as usize] = Some(output);
        *count += 1;
        self.waiting += 1;
        self.complete(parent);
    }

    /// Learns that there are no more than `total` items.
    fn finish(&mut self, total: u64) {
        if self.total.replace(total).is_some() {
            return;
        }
        if total == 0 {
            self.ready.push_back((Place { level: 1, position: 0 }, Vec::new()));
            return;
        }
        // Only the last group of a level can have been waiting for neighbours that do not exist; from the leaves up,
        // because a lone result goes up by itself.
        for level in 1..=root_level(total) {
            self.complete(Place { level, position: (count(total, level - 1) - 1) / FAN_IN });
        }
        // The root may have come before it was known to be the root, and waits for neighbours of its own.
        if let Some((_, outputs)) = self.groups.remove(&(root_level(total) + 1, 0)) {
            self.waiting -= 1;
            self.root = outputs.into_iter().flatten().next();
        }
    }

    /// Lets the merge at `place` be done if all that it merges is there.
    fn complete(&mut self, place: Place) {
        let Some((count_now, _)) = self.groups.get(&(place.level, place.position)) else { return };
        let wanted = match self.total {
            None => FAN_IN,
            Some(total) => (count(total, place.level - 1) - place.position * FAN_IN).min(FAN_IN),
        };
        if (*count_now as u64) < wanted {
            return;
        }
        let Some((_, outputs)) = self.groups.remove(&(place.level, place.position)) else { return };
        let mut outputs: Vec<Output> = outputs.into_iter().flatten().collect();
        self.waiting -= outputs.len();
        let is_first_merge_of_all = self.total == Some(1) && place.level == 1;
        match outputs.pop() {
            // Nothing to merge it with.
            Some(output) if outputs.is_empty() && !is_first_merge_of_all => self.put(place, output),
            last => {
                outputs.extend(last);
                self.ready.push_back((place, outputs));
            }
        }
    }
}

/// How many results a level has.
fn count(total: u64, level: u64) -> u64 {
    (0..level).fold(total, |count, _| count.div_ceil(FAN_IN))
}

/// The level with one result, which is a merge's.
fn root_level(total: u64) -> u64 {
    let mut level = 1;
    while count(total, level) > 1 {
        level += 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges by writing down what is merged.
    fn shape(total: u64, order: impl Iterator<Item = u64>, late_end: bool) -> String {
        let mut tree = Tree::default();
        if !late_end {
            tree.finish(total);
        }
        let merge = |tree: &mut Tree| {
            while let Some((place, outputs)) = tree.ready.pop_front() {
                let parts: Vec<_> = outputs.iter().map(|output| String::from_utf8_lossy(output).into_owned()).collect();
                tree.put(place, format!("({})", parts.join(" ")).into_bytes().into());
            }
        };
        for item in order {
            tree.put(Place { level: 0, position: item }, item.to_string().into_bytes().into());
            merge(&mut tree);
        }
        tree.finish(total);
        merge(&mut tree);
        assert_eq!((tree.waiting, tree.groups.len()), (0, 0));
        String::from_utf8_lossy(&tree.root.expect("a root")).into_owned()
    }

    #[test]
    fn small_trees_have_the_expected_shapes() {
        assert_eq!(shape(0, 0..0, true), "()");
        assert_eq!(shape(1, 0..1, true), "(0)");
        assert_eq!(shape(3, 0..3, true), "(0 1 2)");
        assert_eq!(shape(8, 0..8, true), "(0 1 2 3 4 5 6 7)");
        assert_eq!(shape(9, 0..9, true), "((0 1 2 3 4 5 6 7) 8)");
        assert_eq!(shape(10, 0..10, true), "((0 1 2 3 4 5 6 7) (8 9))");
    }

    #[test]
    fn the_shape_depends_on_the_number_alone() {
        for total in (0..=80).chain([511, 512, 513, 600]) {
            let forward = shape(total, 0..total, true);
            assert_eq!(shape(total, (0..total).rev(), true), forward);
            assert_eq!(shape(total, (0..total).rev(), false), forward);
            assert_eq!(shape(total, 0..total, false), forward);
            let numbers: Vec<u64> = forward
                .split(|c: char| !c.is_ascii_digit())
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().expect("a number"))
                .collect();
            assert_eq!(numbers, (0..total).collect::<Vec<_>>(), "every result once, in order");
        }
    }

    #[test]
    fn places_come_back_as_they_were() {
        for place in [Place { level: 0, position: 7 }, Place { level: 9, position: (1 << 56) - 1 }] {
            assert_eq!(Place::from_tag(place.tag()), place);
        }
    }
}
