//! A task's descriptors: which file of its own, or which descriptor of wasmtime-wasi's context, each of its numbers stands for.

use wasmtime_wasi::p1::types::Errno;

use crate::guest::files::NodeId;

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Descriptor {
    /// A standard stream: this descriptor of the context. Several descriptors may stand for one stream, so it is never closed.
    Stream(u32),
    /// A directory that is there from the start, by its position: the granted ones, and the task's own root behind them.
    Preopen(usize),
    /// Something in a granted directory: this descriptor of the context.
    Granted(u32),
    /// A directory of the task's own, and the descriptor of the granted one that stands behind it.
    Directory { node: NodeId, granted: Option<u32> },
    /// A file of the task's own.
    File(OpenFile),
}

/// A file of the task's own that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenFile {
    pub node: NodeId,
    pub position: u64,
    pub reads: bool,
    pub writes: bool,
    pub appends: bool,
    pub is_nonblocking: bool,
}

/// The number of standard streams.
const STREAMS: usize = 3;

/// Descriptors by number. A new one gets the lowest number that is free.
#[derive(Debug)]
pub(super) struct Descriptors {
    by_number: Vec<Option<Descriptor>>,
    /// How many there are, but for directories that are there from the start.
    counted: usize,
}

impl Descriptors {
    /// Those of a new task: standard streams and `preopens` directories.
    pub fn new(preopens: usize) -> Descriptors {
        let streams = (0..STREAMS as u32).map(Descriptor::Stream);
        let all = streams.chain((0..preopens).map(Descriptor::Preopen));
        Descriptors { by_number: all.map(Some).collect(), counted: STREAMS }
    }

    /// # Errors
    ///
    /// If there is no such descriptor.
    pub fn get(&self, number: u32) -> Result<&Descriptor, Errno> {
        self.by_number.get(number as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// Checks that a descriptor may be a directory's. The context knows its own.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn directory(&self, number: u32) -> Result<(), Errno> {
        match self.get(number)? {
            Descriptor::Stream(_) | Descriptor::File(_) => Err(Errno::Badf),
            Descriptor::Preopen(_) | Descriptor::Granted(_) | Descriptor::Directory { .. } => Ok(()),
        }
    }

    /// # Errors
    ///
    /// If it is no file of the task's own.
    pub fn file_mut(&mut self, number: u32) -> Result<&mut OpenFile, Errno> {
        match self.by_number.get_mut(number as usize) {
            Some(Some(Descriptor::File(file))) => Ok(file),
            _ => Err(Errno::Badf),
        }
    }

    /// Adds a descriptor and returns its number.
    pub fn add(&mut self, descriptor: Descriptor) -> u32 {
        self.counted += cost(&descriptor);
        match self.by_number.iter().position(Option::is_none) {
            Some(free) => {
                self.by_number[free] = Some(descriptor);
                free as u32
            }
            None => {
                self.by_number.push(Some(descriptor));
                self.by_number.len() as u32 - 1
            }
        }
    }

    /// Removes a descriptor.
    ///
    /// # Errors
    ///
    /// If there is no such descriptor.
    pub fn remove(&mut self, number: u32) -> Result<Descriptor, Errno> {
        let removed = self.by_number.get_mut(number as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.counted -= cost(&removed);
        Ok(removed)
    }

    /// Gives the descriptor `from` the number `to`, which must be free.
    pub fn renumber(&mut self, from: u32, to: u32) {
        debug_assert!(self.get(from).is_ok() && self.get(to).is_err());
        self.by_number.swap(from as usize, to as usize);
    }

    /// Whether a task that may open this many files may open so many more.
    pub fn has_room(&self, limit: usize, more: usize) -> bool {
        self.counted + more <= STREAMS + limit
    }
}

/// How much a descriptor counts.
fn cost(descriptor: &Descriptor) -> usize {
    match descriptor {
        Descriptor::Preopen(_) => 0,
        Descriptor::Directory { granted: Some(_), .. } => 2,
        Descriptor::Stream(_) | Descriptor::Granted(_) | Descriptor::Directory { .. } | Descriptor::File(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_given() {
        let mut descriptors = Descriptors::new(1);
        assert_eq!([descriptors.add(Descriptor::Granted(9)), descriptors.add(Descriptor::Granted(8))], [4, 5]);
        assert!(descriptors.remove(1).is_ok() && descriptors.remove(4).is_ok());
        assert_eq!(descriptors.add(Descriptor::Stream(0)), 1);
        assert!(descriptors.has_room(2, 1) && !descriptors.has_room(2, 2), "streams count as well");
        descriptors.renumber(5, 4);
        assert!(descriptors.get(5).is_err() && descriptors.remove(5).is_err());
        assert!(matches!(descriptors.get(4), Ok(Descriptor::Granted(8))));
        assert!(descriptors.get(u32::MAX).is_err());
    }
}
