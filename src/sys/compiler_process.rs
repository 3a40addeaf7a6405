//! The process that compiles a module: how it is awaited with a time limit, and how it confines itself.
//!
//! Sources: pidfd_open(2), poll(2), setrlimit(2).

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::process;
use super::rlimit::{self, Limit, Resource};

/// Waits for `child` to end. If it is still running after `timeout`, kills it and returns `None`. The child is reaped either way.
pub fn wait_or_kill(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let ended = wait_for_end(child, timeout);
    if !matches!(ended, Ok(true)) {
        // The child is not reaped yet, so its number cannot belong to another process.
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(ended?.then_some(status))
}

/// Whether `child` ends within `timeout`.
fn wait_for_end(child: &Child, timeout: Duration) -> io::Result<bool> {
    let pidfd: OwnedFd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    // A limit beyond what the clock can represent is no limit.
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a compiler process does first: from then on it dies with its parent, has no descriptors other than 0, 1 and 2, can gain no
/// privileges, leaves no core file, and is limited in its memory and in the size of the files that it writes.
///
/// The memory limit is `RLIMIT_DATA`, which counts private writable memory (since Linux 4.7), rather than `RLIMIT_AS`: the address
/// space also holds what wasmtime and malloc merely reserve, which is many GiB and costs nothing.
pub fn confine(parent: u32, memory_bytes: u64, output_bytes: u64) -> io::Result<()> {
    process::cut_off(parent)?;
    rlimit::no_new_privileges()?;
    rlimit::limit(&[
        Limit { resource: Resource::Data, most: memory_bytes },
        Limit { resource: Resource::Fsize, most: output_bytes },
        Limit { resource: Resource::Core, most: 0 },
    ])?;
    Ok(())
}
