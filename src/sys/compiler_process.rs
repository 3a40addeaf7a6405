//! The process that compiles a module: waiting for it with a time limit, and what it does to itself first.
//!
//! Sources: pidfd_open(2), poll(2), setrlimit(2), prctl(2) `PR_SET_PDEATHSIG`, close_range(2).
#![expect(unsafe_code, reason = "close_range(2)")]

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, setrlimit};

/// Waits for the end of `child`; kills it when `timeout` is over, and then gives `None`. The child is reaped either way.
pub fn wait_or_kill(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let ended = wait_for_end(child, timeout);
    if !matches!(ended, Ok(true)) {
        // The child is not reaped yet, so its number cannot belong to another process.
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(ended?.then_some(status))
}

/// Whether `child` ended before `timeout` was over.
fn wait_for_end(child: &Child, timeout: Duration) -> io::Result<bool> {
    let pidfd: OwnedFd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    // A limit beyond what the clock can say is no limit.
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

/// What a compiler process does first: it dies with its parent, keeps no descriptor but 0, 1 and 2, gains no
/// privileges, leaves no core file, and limits its own memory and the size of what it writes.
///
/// The memory limit is `RLIMIT_DATA`, which counts private writable memory (since Linux 4.7), and not `RLIMIT_AS`: the
/// address space also holds what wasmtime and malloc merely reserve, which is many GiB and costs nothing.
pub fn confine(parent: u32, memory_bytes: u64, output_bytes: u64) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above; this process then belongs to another one already.
    let current = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(current) != Ok(parent) {
        return Err(io::Error::other("its parent process is gone"));
    }
    // SAFETY: this is the start of the process: no object of ours owns a descriptor above 2 yet.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    rustix::thread::set_no_new_privs(true)?;
    for (resource, bytes) in [(Resource::Data, memory_bytes), (Resource::Fsize, output_bytes), (Resource::Core, 0)] {
        // A limit that was lower from outside stays.
        let limit = rustix::process::getrlimit(resource).maximum.map_or(bytes, |maximum| maximum.min(bytes));
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}
