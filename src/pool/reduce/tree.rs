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

/// Neighbours that are merged together, as far as they have arrived.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    outputs: [Option<Output>; FAN_IN as usize],
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
        if self.total.is_some_and(|total| node.level == root_level(total)) {
            self.root = Some(output);
            return;
        }
        let parent = node.parent();
        let group = self.groups.entry(parent).or_default();
        group.outputs[(node.position % FAN_IN) as usize] = Some(output);
        group.count += 1;
        self.waiting += 1;
        self.complete(parent);
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
        if let Some(group) = self.groups.remove(&Node { level: root_level(total) + 1, position: 0 }) {
            self.waiting -= 1;
            self.root = group.outputs.into_iter().flatten().next();
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
        let mut outputs: Vec<Output> = group.outputs.into_iter().flatten().collect();
        self.waiting -= outputs.len();
        let is_first_merge_of_all = self.total == Some(1) && node.level == 1;
        match outputs.pop() {
            // There is nothing to merge it with.
            Some(output) if outputs.is_empty() && !is_first_merge_of_all => self.put(node, output),
            last => {
                outputs.extend(last);
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
            tree.put(Node { level: 0, position: item }, item.to_string().into_bytes().into());
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
    fn nodes_come_back_as_they_were() {
        for node in [Node { level: 0, position: 7 }, Node { level: 9, position: (1 << 56) - 1 }] {
            assert_eq!(Node::from_tag(node.tag()), node);
        }
    }
}
