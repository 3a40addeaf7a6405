//! The tree of merges: which results are merged together, and when.

use std::collections::{HashMap, VecDeque};

use crate::Output;

/// How many results one merge task gets.
const FAN_IN: u64 = 8;

/// Where a result stands in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub level: u64,
    pub position: u64,
}

impl Node {
    const LEVEL_SHIFT: u32 = 56;

    pub fn tag(self) -> u64 {
        self.level << Self::LEVEL_SHIFT | self.position
    }

    pub fn from_tag(tag: u64) -> Node {
        Node { level: tag >> Self::LEVEL_SHIFT, position: tag & ((1 << Self::LEVEL_SHIFT) - 1) }
    }

    /// The node of the merge of this result and its neighbours.
    fn parent(self) -> Node {
        Node { level: self.level + 1, position: self.position / FAN_IN }
    }
}

/// What became of a node.
#[derive(Clone, Debug)]
struct Arrived {
    /// Its result; `None` if all items below it failed.
    output: Option<Output>,
    /// Whether the merge function made it.
    is_merged: bool,
}

/// Neighbours that are merged together, as far as they have arrived.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    arrived: [Option<Arrived>; FAN_IN as usize],
}

/// A merge whose results are all there.
#[derive(Debug)]
pub(super) struct Merge {
    /// The node of its result.
    pub node: Node,
    pub outputs: Vec<Output>,
}

/// Results that wait for their neighbours.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By the node of the merge's result.
    groups: HashMap<Node, Group>,
    /// Merges whose results are all there.
    pub ready: VecDeque<Merge>,
    /// How many results wait in groups.
    pub waiting: usize,
    /// How many items there are, once that is known.
    total: Option<u64>,
    pub root: Option<Output>,
}

impl Tree {
    /// Adds a result.
    pub fn put(&mut self, node: Node, output: Output) {
        self.arrive(node, Arrived { output: Some(output), is_merged: node.level > 0 });
    }

    /// Leaves out an item, which failed.
    pub fn leave_out(&mut self, item: u64) {
        self.arrive(Node { level: 0, position: item }, Arrived { output: None, is_merged: false });
    }

    fn arrive(&mut self, node: Node, arrived: Arrived) {
        if self.total.is_some_and(|total| node.level == root_level(total)) {
            self.arrive_at_root(node, arrived);
            return;
        }
        let parent = node.parent();
        let group = self.groups.entry(parent).or_default();
        self.waiting += usize::from(arrived.output.is_some());
        group.arrived[(node.position % FAN_IN) as usize] = Some(arrived);
        group.count += 1;
        self.complete(parent);
    }

    /// The merge function runs at least once.
    fn arrive_at_root(&mut self, node: Node, arrived: Arrived) {
        match arrived {
            Arrived { output: Some(output), is_merged: false } => {
                self.ready.push_back(Merge { node, outputs: vec![output] });
            }
            Arrived { output: Some(output), is_merged: true } => self.root = Some(output),
            Arrived { output: None, .. } => {}
        }
    }

    /// Sets the number of items, now that it is known.
    pub fn finish(&mut self, total: u64) {
        if self.total.replace(total).is_some() {
            return;
        }
        if total == 0 {
            self.ready.push_back(Merge { node: Node { level: 1, position: 0 }, outputs: Vec::new() });
            return;
        }
        // Only the last group of a level can have been waiting for neighbours that do not exist. The loop goes from the leaves
        // up, because a result without neighbours moves up unmerged.
        for level in 1..=root_level(total) {
            self.complete(Node { level, position: (count(total, level - 1) - 1) / FAN_IN });
        }
        // The root may have arrived before it was known to be the root, and waits for neighbours that do not exist.
        let above = Node { level: root_level(total) + 1, position: 0 };
        if let Some(root) = self.groups.remove(&above).and_then(|group| group.arrived.into_iter().flatten().next()) {
            self.waiting -= usize::from(root.output.is_some());
            self.arrive_at_root(Node { level: root_level(total), position: 0 }, root);
        }
    }

    /// Makes the merge at `node` ready if all its results are there.
    fn complete(&mut self, node: Node) {
        let Some(group) = self.groups.get(&node) else { return };
        let wanted = match self.total {
            None => FAN_IN,
            Some(total) => (count(total, node.level - 1) - node.position * FAN_IN).min(FAN_IN),
        };
        if group.count < wanted {
            return;
        }
        let Some(group) = self.groups.remove(&node) else { return };
        let mut there: Vec<Arrived> = group.arrived.into_iter().flatten().filter(|one| one.output.is_some()).collect();
        self.waiting -= there.len();
        match there.pop() {
            None => self.arrive(node, Arrived { output: None, is_merged: false }),
            // There is nothing to merge it with.
            Some(only) if there.is_empty() => self.arrive(node, only),
            last => {
                there.extend(last);
                let outputs = there.into_iter().filter_map(|one| one.output).collect();
                self.ready.push_back(Merge { node, outputs });
            }
        }
    }
}

/// How many results a level has.
fn count(total: u64, level: u64) -> u64 {
    (0..level).fold(total, |count, _| count.div_ceil(FAN_IN))
}

/// The level of the root: the lowest level of merges that has a single result.
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

    /// Merges results by writing down which ones were merged, and returns that text.
    fn shape(total: u64, order: impl Iterator<Item = u64>, late_end: bool) -> String {
        shape_without(total, &[], order, late_end).expect("a root")
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

    /// Merges all of `total` items but those in `failed`, and writes down which were merged.
    fn shape_without(total: u64, failed: &[u64], order: impl Iterator<Item = u64>, late_end: bool) -> Option<String> {
        let mut tree = Tree::default();
        if !late_end {
            tree.finish(total);
        }
        let merge = |tree: &mut Tree| {
            while let Some(Merge { node, outputs }) = tree.ready.pop_front() {
                let parts: Vec<_> = outputs.iter().map(|output| String::from_utf8_lossy(output).into_owned()).collect();
                tree.put(node, format!("({})", parts.join(" ")).into_bytes().into());
            }
        };
        for item in order {
            match failed.contains(&item) {
                true => tree.leave_out(item),
                false => tree.put(Node { level: 0, position: item }, item.to_string().into_bytes().into()),
            }
            merge(&mut tree);
        }
        tree.finish(total);
        merge(&mut tree);
        assert_eq!((tree.waiting, tree.groups.len()), (0, 0), "{total} {failed:?}");
        tree.root.map(|root| String::from_utf8_lossy(&root).into_owned())
    }

    #[test]
    fn items_that_are_left_out_leave_the_others_where_they_are() {
        let shape = |total: u64, failed: &[u64]| {
            let forward = shape_without(total, failed, 0..total, true);
            assert_eq!(shape_without(total, failed, (0..total).rev(), true), forward);
            assert_eq!(shape_without(total, failed, (0..total).rev(), false), forward);
            assert_eq!(shape_without(total, failed, 0..total, false), forward);
            forward
        };
        assert_eq!(shape(3, &[1]).as_deref(), Some("(0 2)"));
        assert_eq!(shape(9, &[0, 8]).as_deref(), Some("(1 2 3 4 5 6 7)"));
        for (total, only) in [(1, 0), (2, 1), (8, 3), (9, 8), (100, 77)] {
            let failed: Vec<u64> = (0..total).filter(|item| *item != only).collect();
            assert_eq!(shape(total, &failed), Some(format!("({only})")), "the merge function runs at least once");
        }
        let sevens: Vec<u64> = (0..600).filter(|item| item % 7 > 0).collect();
        let merged = shape(600, &sevens).expect("a result");
        let numbers: Vec<u64> =
            merged.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers, (0..600).step_by(7).collect::<Vec<_>>());
        for total in [1, 7, 8, 9, 64, 65] {
            assert_eq!(shape(total, &(0..total).collect::<Vec<_>>()), None);
        }
    }

    #[test]
    fn nodes_come_back_as_they_were() {
        for node in [Node { level: 0, position: 7 }, Node { level: 9, position: (1 << 56) - 1 }] {
            assert_eq!(Node::from_tag(node.tag()), node);
        }
    }
}
