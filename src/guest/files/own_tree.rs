//! What a task finds when it begins: its inputs, its scratch directory, devices, and the places of granted directories.

use super::tree::{Device, Directory, Kind, NodeId, Tree};
use crate::guest::open_files::GuestInput;

/// The files of a task that has not used them yet.
#[derive(Debug)]
pub(in crate::guest) struct OwnFiles<'a> {
    /// The task's own inputs, and the path of the first one.
    pub own_inputs: &'a [GuestInput],
    pub item_path: Option<&'a str>,
    /// The inputs of the job, by name.
    pub inputs: Vec<(&'a str, &'a GuestInput)>,
    /// Bytes of the scratch directory; 0 for none.
    pub scratch_bytes: u64,
    /// The granted directories.
    pub mounts: Vec<Mount<'a>>,
    /// Whether the root is a granted directory that has a `tmp` of its own.
    pub root_has_tmp: bool,
    /// When the task began, in nanoseconds since 1970.
    pub now: u64,
}

/// A granted directory.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct Mount<'a> {
    pub guest_path: &'a str,
    pub descriptor: u32,
}

const INPUTS: &str = "in";
const SCRATCH: &str = "tmp";
const DEVICES: &str = "dev";

impl Mount<'_> {
    /// Whether it is where all paths begin.
    pub fn is_root(&self) -> bool {
        names(self.guest_path).is_empty()
    }
}

impl OwnFiles<'_> {
    /// Makes the tree, and returns it with the node of each granted directory.
    ///
    /// The item's file comes first: if it has the name of something else, it has precedence.
    pub fn tree(&self) -> (Tree, Vec<NodeId>) {
        let mut tree = Tree::new(self.scratch_bytes, self.now);
        if let (Some(path), Some(input)) = (self.item_path, self.own_inputs.first()) {
            add(&mut tree, path, || Kind::Input { input: input.clone(), index: 0 });
        }
        let own_count = self.own_inputs.len() as u32;
        for ((name, input), index) in self.inputs.iter().zip(own_count..) {
            add(&mut tree, &format!("{INPUTS}/{name}"), || Kind::Input { input: (*input).clone(), index });
        }
        for (input, index) in self.own_inputs.iter().zip(0..) {
            add(&mut tree, &format!("{INPUTS}/{index}"), || Kind::Input { input: input.clone(), index });
        }
        for (name, device) in [
            ("null", Device::Null),
            ("stdin", Device::Stream(0)),
            ("stdout", Device::Stream(1)),
            ("stderr", Device::Stream(2)),
        ] {
            add(&mut tree, &format!("{DEVICES}/{name}"), || Kind::Device(device));
        }
        let mut nodes = Vec::with_capacity(self.mounts.len());
        let mut has_tmp = self.root_has_tmp;
        for Mount { guest_path, descriptor } in &self.mounts {
            let node = directory(&mut tree, names(guest_path));
            if tree.directory(node).is_some() {
                tree.mount(node, *descriptor);
            }
            has_tmp |= names(guest_path) == [SCRATCH];
            nodes.push(node);
        }
        if self.scratch_bytes > 0 && !has_tmp {
            let tmp = directory(&mut tree, vec![SCRATCH]);
            make_scratch(&mut tree, tmp);
        }
        (tree, nodes)
    }
}

/// Adds a file, if its path is one, and what stands there is not the way to something else.
fn add(tree: &mut Tree, path: &str, kind: impl FnOnce() -> Kind) {
    let names_file = !path.ends_with('/') && !path.ends_with("/.") && !path.ends_with("/..");
    let is_possible = path.len() < super::MAX_PATH_BYTES
        && path.split('/').all(|name| name.len() <= 255 && !name.contains('\0'))
        && names_file;
    let mut names_of_way = way(path);
    let Some(name) = names_of_way.pop().filter(|name| is_possible && *name != "..") else { return };
    let parent = directory(tree, names_of_way);
    if tree.directory(parent).is_some() {
        tree.fix(parent, name, kind());
    }
}

/// The directory at the end of these names, which is made if there is none. `..` leads back, at most to the root.
fn directory(tree: &mut Tree, names: Vec<&str>) -> NodeId {
    let mut way = vec![NodeId::ROOT];
    for name in names {
        if name == ".." {
            way.truncate(1.max(way.len() - 1));
            continue;
        }
        let here = way.last().copied().unwrap_or(NodeId::ROOT);
        if tree.directory(here).is_none() {
            return here;
        }
        way.push(tree.fix(here, name, Kind::Directory(Directory::default())));
    }
    way.last().copied().unwrap_or(NodeId::ROOT)
}

/// Makes a directory, and all directories in it, the task's to change.
fn make_scratch(tree: &mut Tree, top: NodeId) {
    let mut to_do = vec![top];
    while let Some(node) = to_do.pop() {
        let Some(directory) = tree.directory(node) else { continue };
        if directory.granted.is_some() {
            continue;
        }
        to_do.extend(tree.list(node, 0).map(|(_, _, child)| child));
        tree.make_scratch(node);
    }
}

/// The names of a path, without those that lead nowhere else.
fn way(path: &str) -> Vec<&str> {
    path.split('/').filter(|name| !matches!(*name, "" | ".")).collect()
}

/// The names that a path comes down to, with `..` taken away.
fn names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in way(path) {
        match name {
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    names
}
