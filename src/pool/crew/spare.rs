//! A descriptor in reserve, for a result that comes when this process may open no more files.

use std::fs::File;

use crate::sys::memory_file;

/// Holds a descriptor, to give it up when it is needed.
#[derive(Debug)]
pub(super) struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    /// Takes one. If there is none to be had, there may be one later.
    pub fn new() -> SpareDescriptor {
        SpareDescriptor(take())
    }

    /// Leaves its descriptor to `act`, which must give it back.
    pub fn lend<R>(&mut self, act: impl FnOnce() -> R) -> R {
        self.0 = None;
        let done = act();
        self.0 = take();
        done
    }
}

/// An empty memory file, which costs next to nothing but its descriptor.
fn take() -> Option<File> {
    memory_file::growing("wrun-spare").ok()
}
