//! The process that compiles a module: how it is awaited with a time limit, and how it confines itself.
//!
//! Sources: pidfd_open(2), poll(2), setrlimit(2).

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::children;
use super::process::{self, monotonic_ns};
use super::rlimit::{self, Limit, Resource};
use super::running_time::RunningTime;

/// A running compiler process.
#[derive(Debug)]
pub struct Compiling {
    child: Child,
    pidfd: Arc<OwnedFd>,
}

impl Compiling {
    /// Starts the process, which gets no interrupts from the terminal: they are for this process, with which it ends.
    pub fn start(command: &mut Command) -> io::Result<Compiling> {
        children::spawn(command).map(|(child, pidfd)| Compiling { child, pidfd })
    }

    /// Waits for the process to end. If it is still running after `timeout`, kills it and returns `None`. It is reaped either way.
    pub fn wait_or_kill(mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let ended = self.wait_for_end(timeout);
        if !matches!(ended, Ok(true)) {
            // It is not reaped yet, so its number cannot belong to another process.
            self.child.kill()?;
        }
        let status = match self.child.wait() {
            // The program that uses this library ignores SIGCHLD, so the system has reaped the process (wait(2)). What it has written
            // says how it ended.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => ExitStatus::default(),
            status => status?,
        };
        Ok(ended?.then_some(status))
    }

    /// Whether the process ends within `timeout`, not counting pauses of this process: both are usually paused together.
    fn wait_for_end(&self, timeout: Duration) -> io::Result<bool> {
        let mut time = RunningTime::start();
        let mut left_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        loop {
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(time.until_tick(left_ns).subsec_nanos()) };
            match poll(&mut [PollFd::new(&*self.pidfd, PollFlags::IN)], Some(&wait)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
            left_ns = left_ns.saturating_sub(time.tick(monotonic_ns()));
            if left_ns == 0 {
                return Ok(false);
            }
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
    limit(memory_bytes, output_bytes)
}

/// The second half of [`confine`], for a process that has cut itself off already.
pub fn limit(memory_bytes: u64, output_bytes: u64) -> io::Result<()> {
    rlimit::no_new_privileges()?;
    rlimit::limit(&[
        Limit { resource: Resource::Data, most: memory_bytes },
        Limit { resource: Resource::Fsize, most: output_bytes },
        Limit { resource: Resource::Core, most: 0 },
    ])?;
    Ok(())
}
