//! What a task may change in its tree.

use super::error::FileError;
use super::space::{NAME_BYTES, NODE_BYTES};
use super::tree::{Kind, NodeId, Times, Tree};

impl Tree {
    /// Checks that the task may add and remove names in a directory.
    fn writable(&self, id: NodeId) -> Result<(), FileError> {
        match self.directory(id) {
            Some(directory) if directory.is_scratch => Ok(()),
            Some(_) => Err(FileError::ReadOnly),
            None => Err(FileError::NotDirectory),
        }
    }

    /// Adds a node of the task's own.
    ///
    /// # Errors
    ///
    /// If the name is taken, the directory is not the task's to change, or there is no space.
    pub fn create(&mut self, directory: NodeId, name: &str, mut kind: Kind, now: u64) -> Result<NodeId, FileError> {
        self.check_name(directory, name)?;
        if self.child(directory, name).is_some() {
            return Err(FileError::Exists);
        }
        self.writable(directory)?;
        let target = if let Kind::Link(target) = &kind { target.len() } else { 0 };
        self.space.take(NODE_BYTES + NAME_BYTES + (target + name.len()) as u64)?;
        if let Kind::Directory(directory) = &mut kind {
            directory.is_scratch = true;
        }
        let node = self.insert(kind, false, now);
        self.add_name(directory, name, node);
        self.touch(directory, now);
        Ok(node)
    }

    /// Gives a node another name.
    ///
    /// # Errors
    ///
    /// As [`Tree::create`], and if the node is a directory or not the task's own.
    pub fn link(&mut self, node: NodeId, directory: NodeId, name: &str, now: u64) -> Result<(), FileError> {
        self.check_name(directory, name)?;
        if self.child(directory, name).is_some() {
            return Err(FileError::Exists);
        }
        self.writable(directory)?;
        if self.directory(node).is_some() {
            return Err(FileError::NotPermitted);
        }
        if self.is_fixed(node) {
            return Err(FileError::CrossDevice);
        }
        self.space.take(NAME_BYTES + name.len() as u64)?;
        self.add_name(directory, name, node);
        self.touch(directory, now);
        self.node_mut(node).times.changed = now;
        Ok(())
    }

    /// Removes a name of something that is no directory.
    ///
    /// # Errors
    ///
    /// If there is no such name, it is a directory's, or not the task's to change.
    pub fn unlink(&mut self, directory: NodeId, name: &str, now: u64) -> Result<(), FileError> {
        self.check_name(directory, name)?;
        let node = self.child(directory, name).ok_or(FileError::NoEntry)?;
        if self.directory(node).is_some() {
            return Err(FileError::IsDirectory);
        }
        self.remove(directory, name, node, now)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// If there is no such name, it is no directory's, the directory is not empty, or not the task's to change.
    pub fn remove_directory(&mut self, directory: NodeId, name: &str, now: u64) -> Result<(), FileError> {
        self.check_name(directory, name)?;
        let node = self.child(directory, name).ok_or(FileError::NoEntry)?;
        self.directory(node).ok_or(FileError::NotDirectory)?;
        if self.has_names(node) {
            return Err(FileError::NotEmpty);
        }
        self.remove(directory, name, node, now)
    }

    fn remove(&mut self, directory: NodeId, name: &str, node: NodeId, now: u64) -> Result<(), FileError> {
        self.writable(directory)?;
        if self.is_fixed(node) {
            return Err(FileError::ReadOnly);
        }
        self.remove_name(directory, name);
        self.space.give_back(NAME_BYTES + name.len() as u64);
        self.touch(directory, now);
        self.node_mut(node).times.changed = now;
        if let Some(removed) = self.directory_mut(node) {
            removed.parent = None;
        }
        self.release(node);
        Ok(())
    }

    /// Moves a name, and replaces what has the new one.
    ///
    /// # Errors
    ///
    /// As rename(2) has them.
    pub fn rename(
        &mut self,
        (from, old): (NodeId, &str),
        (to, new): (NodeId, &str),
        now: u64,
    ) -> Result<(), FileError> {
        if new.contains('\0') {
            return Err(FileError::Invalid);
        }
        self.check_name(from, old)?;
        let node = self.child(from, old).ok_or(FileError::NoEntry)?;
        self.check_name(to, new)?;
        let replaced = self.child(to, new);
        let is_directory = self.directory(node).is_some();
        if is_directory && self.is_within(to, node) {
            return Err(FileError::Invalid);
        }
        if replaced.is_some_and(|replaced| self.is_within(from, replaced)) {
            return Err(FileError::NotEmpty);
        }
        if let Some(replaced) = replaced {
            match self.directory(replaced) {
                Some(_) if !is_directory => return Err(FileError::IsDirectory),
                None if is_directory => return Err(FileError::NotDirectory),
                _ => {}
            }
        }
        self.writable(from)?;
        self.writable(to)?;
        if self.is_fixed(node) || replaced.is_some_and(|replaced| self.is_fixed(replaced)) {
            return Err(FileError::ReadOnly);
        }
        if replaced == Some(node) {
            return Ok(());
        }
        if let Some(replaced) = replaced
            && self.has_names(replaced)
        {
            return Err(FileError::NotEmpty);
        }
        if let Some(replaced) = replaced {
            self.remove(to, new, replaced, now)?;
        }
        self.space.take((new.len() as u64).saturating_sub(old.len() as u64))?;
        self.space.give_back((old.len() as u64).saturating_sub(new.len() as u64));
        self.remove_name(from, old);
        self.add_name(to, new, node);
        self.touch(from, now);
        self.touch(to, now);
        self.node_mut(node).times.changed = now;
        Ok(())
    }

    /// Whether `inner` is `outer`, or lies in it.
    fn is_within(&self, inner: NodeId, outer: NodeId) -> bool {
        std::iter::successors(Some(inner), |id| self.directory(*id)?.parent).any(|id| id == outer)
    }

    /// Notes that a directory's names have changed.
    fn touch(&mut self, directory: NodeId, now: u64) {
        let times = &mut self.node_mut(directory).times;
        (times.modified, times.changed) = (now, now);
    }

    /// Writes to a scratch file. Returns how many bytes there was space for.
    ///
    /// # Errors
    ///
    /// If it is no scratch file, or there is no space.
    pub fn write(&mut self, id: NodeId, at: u64, bytes: &[u8], now: u64) -> Result<usize, FileError> {
        let Tree { nodes, space, .. } = self;
        let node = nodes[id.0 as usize].as_mut().expect("nodes stay while something refers to them");
        let Kind::File(contents) = &mut node.kind else { return Err(FileError::BadDescriptor) };
        let count = contents.write(space, at, bytes)?;
        (node.times.modified, node.times.changed) = (now, now);
        Ok(count)
    }

    /// Cuts a scratch file off, or adds a hole to it.
    ///
    /// # Errors
    ///
    /// If it is no scratch file, or that is too long.
    pub fn set_len(&mut self, id: NodeId, len: u64, now: u64) -> Result<(), FileError> {
        let Tree { nodes, space, .. } = self;
        let node = nodes[id.0 as usize].as_mut().expect("nodes stay while something refers to them");
        let Kind::File(contents) = &mut node.kind else { return Err(FileError::Invalid) };
        contents.set_len(space, len)?;
        (node.times.modified, node.times.changed) = (now, now);
        Ok(())
    }

    /// Sets when a node was used.
    ///
    /// # Errors
    ///
    /// If it is not the task's to change.
    pub fn set_times(
        &mut self,
        id: NodeId,
        accessed: Option<u64>,
        modified: Option<u64>,
        now: u64,
    ) -> Result<(), FileError> {
        let node = self.node_mut(id);
        let is_scratch = matches!(&node.kind, Kind::Directory(directory) if directory.is_scratch);
        if node.is_fixed && !is_scratch {
            return Err(FileError::ReadOnly);
        }
        let Times { accessed: last_accessed, modified: last_modified, .. } = node.times;
        node.times = Times {
            accessed: accessed.unwrap_or(last_accessed),
            modified: modified.unwrap_or(last_modified),
            changed: now,
        };
        Ok(())
    }
}
