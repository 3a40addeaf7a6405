//! Starting worker processes, noticing their end, and what a worker does to itself first.
//!
//! Sources: pidfd_open(2), prctl(2) `PR_SET_PDEATHSIG`, close_range(2).
#![expect(unsafe_code, reason = "close_range(2) and dup2(2)")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};

use super::memory_file;
use super::socket::Socket;

/// Bytes of a worker's standard error that are kept: enough for a panic message.
const STDERR_BYTES: u64 = 16 << 10;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: OwnedFd,
    stderr: File,
}

impl Process {
    /// Starts `exe` with `args`, an empty environment, `socket` as standard input, nothing as standard output, a
    /// bounded memory file as standard error, and a process group of its own.
    pub fn start(exe: &Path, args: &[&str], socket: Socket) -> io::Result<Process> {
        let stderr = memory_file::fixed("wrun-stderr", STDERR_BYTES)?;
        let mut child = Command::new(exe)
            .args(args)
            .env_clear()
            .stdin(socket.into_fd())
            .stdout(Stdio::null())
            .stderr(stderr.try_clone()?)
            .process_group(0)
            .spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Process { child, pidfd, stderr }),
            Err(error) => {
                // Without the descriptor nobody could watch it.
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A second handle by which another thread may kill it.
    pub fn killer(&self) -> io::Result<Killer> {
        Ok(Killer(self.pidfd.as_fd().try_clone_to_owned()?))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
    }

    /// Sends SIGKILL. That the process is gone already is no error.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Gives the process a moment to end by itself, so that its own end is seen and not that by [`Process::kill`].
    pub fn wait_a_moment(&self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // An error (a signal, say) only makes the moment shorter.
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&moment));
    }

    /// Waits for the process's end and says how it ended: `was killed by SIGKILL`, `exited with code 3: last words`.
    pub fn wait(mut self) -> String {
        let end = match self.child.wait() {
            Err(error) => format!("cannot be waited for: {error}"),
            Ok(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("was killed by {}", signal_name(signal)),
                (None, code) => format!("exited with code {}", code.unwrap_or_default()),
            },
        };
        match memory_file::text(&self.stderr) {
            words if words.is_empty() => end,
            words => format!("{end}: {words}"),
        }
    }
}

/// The descriptor becomes readable when the process ends.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Kills a process, without the danger of hitting a later one with the same number.
#[derive(Debug)]
pub struct Killer(OwnedFd);

impl Killer {
    /// Sends SIGKILL. That the process is gone already is no error.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGKILL => "SIGKILL (out of memory?)".into(),
        libc::SIGSEGV => "SIGSEGV".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGABRT => "SIGABRT".into(),
        libc::SIGILL => "SIGILL".into(),
        libc::SIGFPE => "SIGFPE".into(),
        libc::SIGTERM => "SIGTERM".into(),
        libc::SIGSYS => "SIGSYS (a forbidden system call)".into(),
        other => format!("signal {other}"),
    }
}

/// What every process of ours that is started again does first: it dies with `parent`, which started it, and holds no
/// descriptor but 0, 1 and 2.
pub fn cut_off(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before that call sends no signal any more.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
        return Err(io::Error::other("its parent process is gone"));
    }
    // SAFETY: this is the start of the process: no object of ours owns a descriptor above 2 yet.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The first thing a worker does: it dies with its parent, holds no descriptor but 0, 1 and 2, and takes over descriptor 0 as its
/// socket (`/dev/null` stands there afterwards).
pub fn become_worker(parent: u32) -> io::Result<Socket> {
    cut_off(parent)?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    // SAFETY: no handler of ours is replaced. A result that is larger than the system lets files be is then an error
    // (EFBIG, setrlimit(2)) and not this process's end.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let null = File::open("/dev/null")?;
    // SAFETY: both are open descriptors, and nothing reads standard input as a Rust object.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Socket::from_fd(socket))
}

/// Stops this process until it is told to go on, or killed.
#[cfg(test)]
pub fn stop_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
}

/// Nanoseconds of the clock that all processes of this machine share (`CLOCK_MONOTONIC`).
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// The same, as of the last tick of the system's timer, 1 to 10 ms ago: for a fraction of the cost (`CLOCK_MONOTONIC_COARSE`).
pub fn last_tick_ns() -> u64 {
    nanoseconds(ClockId::MonotonicCoarse)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
