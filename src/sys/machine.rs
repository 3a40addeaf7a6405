//! Measures how much memory this process may still use, and how busy the machine is.
//!
//! Sources: proc_meminfo(5), proc_loadavg(5), cgroups(7) and the kernel's cgroup-v2.rst for `memory.*`.

use std::fs;
use std::path::{Path, PathBuf};

use procfs_core::{FromRead, LoadAverage, Meminfo};

/// What a machine has to spare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Available memory in bytes.
    pub free_memory_bytes: u64,
    /// How many threads are running or ready to run, not counting the one that measures.
    pub load: f64,
}

/// Measures this machine. What cannot be read is assumed to be plentiful.
pub fn measure() -> Machine {
    let meminfo = Meminfo::from_file("/proc/meminfo");
    let available = meminfo.ok().and_then(|meminfo| meminfo.mem_available).unwrap_or(u64::MAX);
    // This thread is one of the running ones.
    let load = LoadAverage::from_file("/proc/loadavg").map_or(0.0, |load| f64::from(load.cur.saturating_sub(1)));
    // The limits of ancestors apply as well.
    let left = own_groups().iter().filter_map(|group| left_in_group(group)).min();
    Machine { free_memory_bytes: available.min(left.unwrap_or(u64::MAX)), load }
}

/// The memory that this machine has, or that the limits of its control groups allow, in bytes.
pub fn memory_bytes() -> Option<u64> {
    let machine = Meminfo::from_file("/proc/meminfo").ok().map(|meminfo| meminfo.mem_total);
    let limits = own_groups().into_iter().filter_map(|group| number(&group, "memory.max"));
    limits.chain(machine).min()
}

/// The directories of this process's control group and its ancestors.
fn own_groups() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return Vec::new() };
    Path::new(group).ancestors().map(|group| Path::new("/sys/fs/cgroup").join(group)).collect()
}

fn number(group: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()
}

/// The memory that the limit of a control group leaves, in bytes. Page cache can be dropped, so it does not count as used.
fn left_in_group(group: &Path) -> Option<u64> {
    let (most, used) = (number(group, "memory.max")?, number(group, "memory.current")?);
    let stat = fs::read_to_string(group.join("memory.stat")).ok()?;
    let bytes = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok()).unwrap_or(0);
    // Memory files count as files too, but cannot be dropped.
    let droppable = bytes("file ").saturating_sub(bytes("shmem "));
    Some(most.saturating_sub(used.saturating_sub(droppable)))
}
