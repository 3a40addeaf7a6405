//! Starts worker processes and watches for their end; and what a worker process does to itself first.
//!
//! Sources: pidfd_open(2), prctl(2) `PR_SET_PDEATHSIG`, close_range(2).
#![expect(unsafe_code, reason = "close_range(2) and dup2(2)")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::time::{ClockId, clock_gettime};

use super::children;
use super::memory_file;
use super::socket::Socket;

/// How many bytes of a worker's standard error are kept: enough for a panic message.
const STDERR_BYTES: u64 = 16 << 10;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: Arc<OwnedFd>,
    stderr: File,
}

impl Process {
    /// Starts `exe` with `args`, an empty environment, `socket` as standard input, no standard output (`/dev/null`), a bounded memory
    /// file as standard error, and no signals but those of [`children::spawn`].
    pub fn start(exe: &Path, args: &[&str], socket: Socket) -> io::Result<Process> {
        let stderr = memory_file::fixed("wrun-stderr", STDERR_BYTES)?;
        let mut command = Command::new(exe);
        command.args(args).env_clear().stdin(socket.into_fd()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
        let (child, pidfd) = children::spawn(&mut command)?;
        Ok(Process { child, pidfd, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A handle with which another thread can kill it.
    pub fn killer(&self) -> Killer {
        Killer(self.pidfd.clone())
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        poll(&mut [PollFd::new(&*self.pidfd, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
    }

    /// Sends SIGKILL. It is not an error if the process is already gone.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&*self.pidfd, Signal::KILL);
    }

    /// Gives the process a moment to end by itself, so that its own exit status is seen and not that of [`Process::kill`].
    pub fn wait_a_moment(&self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // An error (a signal, say) only makes the moment shorter.
        let _ = poll(&mut [PollFd::new(&*self.pidfd, PollFlags::IN)], Some(&moment));
    }

    /// Waits for the process to end and returns how it ended: `was killed by SIGKILL`, `exited with code 3: text on stderr`.
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

/// Kills a process, with no risk of hitting a later one with the same number.
#[derive(Debug)]
pub struct Killer(Arc<OwnedFd>);

impl Killer {
    /// Sends SIGKILL. It is not an error if the process is already gone.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&*self.0, Signal::KILL);
    }

    /// Whether the process, a child of this one, is stopped (by SIGSTOP, for example). This leaves its state for whoever waits for it.
    pub fn is_stopped(&self) -> bool {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::PidFd(self.0.as_fd()), options), Ok(Some(_)))
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

/// What every process that this program starts of itself does first: from then on it dies with `parent`, which started it, and has
/// no descriptors other than 0, 1 and 2.
pub fn cut_off(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the parent died before that call, no signal will come.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
        return Err(io::Error::other("its parent process is gone"));
    }
    // SAFETY: this is the start of the process: no object of ours owns a descriptor above 2 yet.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The first thing that a worker does: from then on it dies with its parent and has no inherited descriptors other than 0, 1 and 2.
/// It takes descriptor 0 over as its socket, and puts `/dev/null` in its place.
pub fn become_worker(parent: u32) -> io::Result<Socket> {
    cut_off(parent)?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    // SAFETY: no handler of ours is replaced. A result that exceeds the file size limit is then an error (EFBIG, setrlimit(2)) and
    // does not kill this process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let null = File::open("/dev/null")?;
    // SAFETY: both are open descriptors, and nothing reads standard input as a Rust object.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Socket::from_fd(socket))
}

/// Stops this process until it is continued or killed.
#[cfg(test)]
pub fn stop_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
}

/// Nanoseconds on the clock that all processes of this machine share (`CLOCK_MONOTONIC`).
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// The same as of the last tick of the system's timer, which was up to 1 to 10 ms ago, at a fraction of the cost
/// (`CLOCK_MONOTONIC_COARSE`).
pub fn last_tick_ns() -> u64 {
    nanoseconds(ClockId::MonotonicCoarse)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
