//! Files, directories and links by number, and the names that lead to them.
//!
//! Nodes are either *fixed*, which the task finds when it begins and can only read, or its own, which stand in scratch directories and
//! take [`Space`]. A node goes away when it has neither a name nor an open descriptor.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contents::Contents;
use super::space::{NODE_BYTES, Space};
use crate::guest::open_files::GuestInput;

/// The number of a node in its tree. Numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::guest) struct NodeId(pub(super) u32);

impl NodeId {
    /// The directory in which paths begin.
    pub const ROOT: NodeId = NodeId(0);
}

/// What a node is.
#[derive(Debug)]
pub(in crate::guest) enum Kind {
    Directory(Directory),
    /// A range of a file, as the task's input with this index.
    Input {
        input: GuestInput,
        index: u32,
    },
    File(Contents),
    /// A symbolic link, and what it says.
    Link(Box<str>),
    Device(Device),
}

/// A file that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Device {
    /// Takes everything, gives nothing.
    Null,
    /// A standard stream of the task: 0, 1 or 2.
    Stream(u32),
}

/// The names in a directory.
#[derive(Debug, Default)]
pub(in crate::guest) struct Directory {
    entries: BTreeMap<Arc<str>, Entry>,
    /// The names in the order in which they were made. A listing that goes on later neither repeats nor misses a name.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    /// The directory that has it; `None` for the root, and for one that was removed.
    pub(super) parent: Option<NodeId>,
    /// Whether the task may change it.
    pub is_scratch: bool,
    /// The descriptor of the granted directory that stands here.
    pub granted: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    position: u64,
}

/// When a node was used, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Times {
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

impl Times {
    /// All of them now.
    pub fn at(now: u64) -> Times {
        Times { accessed: now, modified: now, changed: now }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    /// Unlike a `NodeId`, it is never used again.
    number: u64,
    pub kind: Kind,
    names: u32,
    descriptors: u32,
    pub is_fixed: bool,
    pub times: Times,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct Stat<'a> {
    /// Tells it from all other nodes that the task has seen.
    pub number: u64,
    pub kind: &'a Kind,
    pub names: u32,
    /// In bytes.
    pub len: u64,
    pub times: Times,
}

/// All nodes of a task.
#[derive(Debug)]
pub(in crate::guest) struct Tree {
    pub(super) nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    next_number: u64,
    pub(super) space: Space,
}

impl Tree {
    /// A tree of a root alone, with this much space for the task's own nodes, in bytes.
    pub fn new(space_bytes: u64, now: u64) -> Tree {
        let mut tree = Tree { nodes: Vec::new(), free: Vec::new(), next_number: 1, space: Space::new(space_bytes) };
        tree.insert(Kind::Directory(Directory::default()), true, now);
        tree
    }

    pub(super) fn insert(&mut self, kind: Kind, is_fixed: bool, now: u64) -> NodeId {
        let number = self.next_number;
        self.next_number += 1;
        let node = Node { number, kind, names: 0, descriptors: 0, is_fixed, times: Times::at(now) };
        match self.free.pop() {
            Some(id) => {
                self.nodes[id.0 as usize] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                NodeId(self.nodes.len() as u32 - 1)
            }
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.0 as usize].as_ref().expect("nodes stay while something refers to them")
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.0 as usize].as_mut().expect("nodes stay while something refers to them")
    }

    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    pub fn stat(&self, id: NodeId) -> Stat<'_> {
        let Node { number, kind, names, times, is_fixed, .. } = self.node(id);
        let len = match kind {
            Kind::Input { input, .. } => input.len,
            Kind::File(contents) => contents.len(),
            Kind::Link(target) => target.len() as u64,
            Kind::Directory(_) | Kind::Device(_) => 0,
        };
        // An input may stand under several names of wrun's choice, which are no links to the task.
        let names = if *is_fixed { 1 } else { *names };
        Stat { number: *number, kind, names, len, times: *times }
    }

    /// Whether the task may change the node itself.
    pub fn is_fixed(&self, id: NodeId) -> bool {
        self.node(id).is_fixed
    }

    /// Whether space was refused.
    pub fn is_full(&self) -> bool {
        self.space.is_refused()
    }

    /// The directory with this number; `None` if it is something else.
    pub fn directory(&self, id: NodeId) -> Option<&Directory> {
        match &self.node(id).kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn directory_mut(&mut self, id: NodeId) -> Option<&mut Directory> {
        match &mut self.node_mut(id).kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// The node with this name in a directory.
    pub fn child(&self, directory: NodeId, name: &str) -> Option<NodeId> {
        self.directory(directory)?.entries.get(name).map(|entry| entry.node)
    }

    /// Whether a directory has names.
    pub fn has_names(&self, directory: NodeId) -> bool {
        self.directory(directory).is_some_and(|directory| !directory.entries.is_empty())
    }

    /// The names of a directory and their nodes, from this position on, with the position after each.
    pub fn list(&self, directory: NodeId, from: u64) -> impl Iterator<Item = (u64, &str, NodeId)> {
        let directory = self.directory(directory);
        directory.into_iter().flat_map(move |directory| {
            directory.order.range(from..).filter_map(|(position, name)| {
                directory.entries.get(name).map(|entry| (position + 1, &**name, entry.node))
            })
        })
    }

    /// Adds a node that the task finds when it begins. If the name is taken, nothing happens. Returns the node with the name.
    pub fn fix(&mut self, directory: NodeId, name: &str, kind: Kind) -> NodeId {
        if let Some(there) = self.child(directory, name) {
            return there;
        }
        let now = self.node(directory).times.modified;
        let node = self.insert(kind, true, now);
        self.add_name(directory, name, node);
        node
    }

    /// Makes a fixed directory the task's to change.
    pub fn make_scratch(&mut self, id: NodeId) {
        if let Some(directory) = self.directory_mut(id) {
            directory.is_scratch = true;
        }
    }

    /// Sets what stands behind a directory.
    pub fn mount(&mut self, id: NodeId, granted: u32) {
        if let Some(directory) = self.directory_mut(id) {
            directory.granted = Some(granted);
        }
    }

    /// Gives a node a name, which must not be taken.
    pub fn add_name(&mut self, directory: NodeId, name: &str, node: NodeId) {
        let there = self.directory_mut(directory).expect("names stand in directories");
        let (name, position): (Arc<str>, u64) = (name.into(), there.next);
        there.next += 1;
        there.order.insert(position, name.clone());
        there.entries.insert(name, Entry { node, position });
        if let Some(child) = self.directory_mut(node) {
            child.parent = Some(directory);
        }
        self.node_mut(node).names += 1;
    }

    pub(super) fn remove_name(&mut self, directory: NodeId, name: &str) -> Option<NodeId> {
        let there = self.directory_mut(directory)?;
        let entry = there.entries.remove(name)?;
        there.order.remove(&entry.position);
        self.node_mut(entry.node).names -= 1;
        Some(entry.node)
    }

    /// Whether a directory was removed, and is still open.
    pub fn is_removed(&self, id: NodeId) -> bool {
        let node = self.node(id);
        !node.is_fixed && node.names == 0
    }

    /// Keeps a node, for a descriptor.
    pub fn open(&mut self, id: NodeId) {
        self.node_mut(id).descriptors += 1;
    }

    /// Ends what [`Tree::open`] began.
    pub fn close(&mut self, id: NodeId) {
        self.node_mut(id).descriptors -= 1;
        self.release(id);
    }

    /// Removes a node that nothing refers to.
    pub(super) fn release(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.is_fixed || node.names > 0 || node.descriptors > 0 {
            return;
        }
        let bytes = match &node.kind {
            Kind::File(contents) => contents.space(),
            Kind::Link(target) => target.len() as u64,
            Kind::Directory(_) | Kind::Input { .. } | Kind::Device(_) => 0,
        };
        self.space.give_back(NODE_BYTES + bytes);
        self.nodes[id.0 as usize] = None;
        self.free.push(id);
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
