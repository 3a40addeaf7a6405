//! A descriptor in reserve, for a result that comes when this process may open no more files; and how many are left for all else.

use std::fs::File;
use std::os::fd::AsFd;

use crate::sys::{memory_file, rlimit};

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

/// Whether enough descriptors are left besides those of a worker whose newest one is `fd`.
pub(super) fn are_left(fd: impl AsFd) -> bool {
    rlimit::above(fd) >= OTHER_DESCRIPTORS
}

/// A worker is not started beside others if fewer descriptors than this would be left: its process takes three, and a job's
/// description, the arguments and results of tasks need some.
const OTHER_DESCRIPTORS: u64 = 6;

/// An empty memory file, which costs next to nothing but its descriptor.
fn take() -> Option<File> {
    memory_file::growing("wrun-spare").ok()
}
