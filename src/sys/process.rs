//! Starts worker processes and watches for their end; and what a worker process does to itself first.
//!
//! Sources: pidfd_open(2), pidfd_send_signal(2), waitid(2), prctl(2) `PR_SET_PDEATHSIG`, close_range(2).
#![expect(unsafe_code, reason = "close_range(2) and dup2(2)")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, pidfd_send_signal, waitid};
use rustix::time::{ClockId, clock_gettime};

use super::children;
use super::memory_file;
use super::rlimit::{self, Resource};
use super::socket::Socket;

/// How many bytes of a worker's standard error are kept: enough for a panic message.
const STDERR_BYTES: u64 = 16 << 10;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    handle: Killer,
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
        let pid = Pid::from_child(&child);
        let handle = Killer(Arc::new(Handle { pidfd, pid, is_reaped: Mutex::new(false) }));
        Ok(Process { child, handle, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A handle with which another thread can kill it.
    pub fn killer(&self) -> Killer {
        self.handle.clone()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
    }

    /// Sends SIGKILL. It is not an error if the process is already gone.
    pub fn kill(&self) -> io::Result<()> {
        self.handle.kill()
    }

    /// Gives the process a moment to end by itself, so that its own exit status is seen and not that of [`Process::kill`].
    pub fn wait_a_moment(&self) {
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // An error (a signal, say) only makes the moment shorter.
        let _ = poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&moment));
    }

    /// Waits for the process to end and returns how it ended: `was killed by SIGKILL`, `exited with code 3: text on stderr`.
    pub fn wait(mut self) -> String {
        // It is reaped only once it has ended, so that nobody who wants to kill it has to wait. A signal interrupts this call.
        while let Err(Errno::INTR) =
            waitid(WaitId::Pid(self.handle.0.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        let end = match self.handle.reap(&mut self.child) {
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
        self.handle.0.pidfd.as_fd()
    }
}

/// Kills a process, with no risk of hitting a later one with the same number.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    pidfd: Arc<OwnedFd>,
    pid: Pid,
    /// Until then, its number cannot belong to another process.
    is_reaped: Mutex<bool>,
}

impl Killer {
    /// Sends SIGKILL. It is not an error if the process is already gone.
    pub fn kill(&self) -> io::Result<()> {
        if pidfd_send_signal(&*self.0.pidfd, Signal::KILL).is_ok() {
            return Ok(());
        }
        // It is gone, or this call is forbidden, as it is in some containers.
        let is_reaped = self.0.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped { Ok(()) } else { Ok(kill_process(self.0.pid, Signal::KILL)?) }
    }

    /// Whether the process, a child of this one, is stopped (by SIGSTOP, for example). This leaves its state for whoever waits for it.
    pub fn is_stopped(&self) -> bool {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::PidFd(self.0.pidfd.as_fd()), options), Ok(Some(_)))
    }

    fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut is_reaped = self.0.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        *is_reaped = true;
        child.wait()
    }
}

/// Why the kernel may have killed a process that this one started.
pub fn reason_for_kill() -> &'static str {
    match rlimit::current(Resource::Cpu) {
        None => "out of memory",
        Some(_) => "out of memory, or of processor time, ulimit -t",
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGKILL => format!("SIGKILL ({}?)", reason_for_kill()),
        libc::SIGSEGV => "SIGSEGV".into(),
        libc::SIGBUS => "SIGBUS".into(),
        libc::SIGABRT => "SIGABRT".into(),
        libc::SIGILL => "SIGILL".into(),
        libc::SIGFPE => "SIGFPE".into(),
        libc::SIGTERM => "SIGTERM".into(),
        libc::SIGXCPU => "SIGXCPU (its limit of processor time, ulimit -t)".into(),
        libc::SIGSYS => "SIGSYS (a forbidden system call)".into(),
        other => format!("signal {other}"),
    }
}

/// What every process that this program starts of itself does first: from then on it dies with `parent`, which started it, is ended
/// before it if memory runs out, and has no descriptors other than 0, 1 and 2.
pub fn cut_off(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the parent died before that call, no signal will come.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
        return Err(io::Error::other("its parent process is gone"));
    }
    children::let_terminal_stop()?;
    // Without `/proc`, nothing is lost but this preference.
    let _ = super::oom::go_first();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};

    use super::*;

    /// Marks a process of its own, which takes a system call away from itself.
    const ALONE: &str = "WRUN_TEST_ALONE";

    #[test]
    fn a_process_is_killed_where_signals_by_descriptor_are_forbidden() {
        if std::env::var_os(ALONE).is_none() {
            let name = "sys::process::tests::a_process_is_killed_where_signals_by_descriptor_are_forbidden";
            let mut alone = Command::new("/proc/self/exe");
            let ended = alone.args(["--exact", name]).env(ALONE, "").output().expect("it starts");
            assert!(ended.status.success(), "{ended:?}");
            return;
        }
        let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture that wrun knows");
        let forbidden = BTreeMap::from([(libc::SYS_pidfd_send_signal, Vec::new())]);
        let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
        let filter = SeccompFilter::new(forbidden, SeccompAction::Allow, refuse, arch).expect("a filter");
        rlimit::no_new_privileges().expect("no new privileges");
        let program = seccompiler::BpfProgram::try_from(filter).expect("a program");
        apply_filter(&program).expect("a filter");

        let (_ours, theirs) = Socket::pair().expect("a pair");
        let process = Process::start(Path::new("/bin/sleep"), &["1000"], theirs).expect("it starts");
        assert!(pidfd_send_signal(&process, Signal::KILL).is_err(), "the control");
        assert!(!process.has_ended());
        let killer = process.killer();
        killer.kill().expect("it runs");
        assert!(process.wait().starts_with("was killed by SIGKILL"));
        killer.kill().expect("it is gone, which is no error");
    }
}
