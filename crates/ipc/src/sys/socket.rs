//! A pair of connected sockets that keep message boundaries and carry file descriptors.
//!
//! Sources: unix(7) for `SOCK_SEQPACKET`, `SCM_RIGHTS` and what becomes of descriptors that the receiver has no room for (the rest is
//! closed, and `MSG_CTRUNC` set), recv(2) for `MSG_CMSG_CLOEXEC`, `MSG_CTRUNC` and `MSG_PEEK`.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The most file descriptors that one message carries.
pub const MAX_FDS: usize = 4;

/// One end of a pair.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// Whether a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketWait {
    /// Until it can be done.
    Block,
    /// Not at all: `ErrorKind::WouldBlock` instead.
    Never,
}

/// What [`Socket::receive`] got.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the message; 0 with no descriptors means that the other end is closed.
    pub len: usize,
    /// The descriptors that came with it, in order, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

impl Socket {
    /// Two connected ends.
    pub fn pair() -> io::Result<(Socket, Socket)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Socket(a), Socket(b)))
    }

    /// Takes over a descriptor that is known to be one end of such a pair (a worker's standard input).
    pub fn from_fd(fd: OwnedFd) -> Self {
        Socket(fd)
    }

    /// Returns the descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Closes the connection for both sides; each sees this as an end of file.
    pub fn shut_down(&self) {
        // It is not an error if the connection is already closed.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }

    /// Sends one message of at least one byte, with at most [`MAX_FDS`] descriptors.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], wait: SocketWait) -> io::Result<()> {
        debug_assert!(!bytes.is_empty() && fds.len() <= MAX_FDS);
        self.send_with(bytes, fds, wait, &mut [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))])
    }

    /// Sends what neither side normally sends: up to 16 descriptors, or no bytes.
    #[cfg(any(test, feature = "test-support"))]
    pub fn send_anything(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], wait: SocketWait) -> io::Result<()> {
        self.send_with(bytes, fds, wait, &mut [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))])
    }

    fn send_with(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        wait: SocketWait,
        space: &mut [MaybeUninit<u8>],
    ) -> io::Result<()> {
        let mut ancillary = SendAncillaryBuffer::new(space);
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::DONTWAIT, wait == SocketWait::Never);
        loop {
            match sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                // As many of this user's descriptors are in sockets as a process may have open; each that is received makes room for
                // another (unix(7), `ETOOMANYREFS`).
                Err(Errno::TOOMANYREFS) if wait == SocketWait::Never => return Err(ErrorKind::WouldBlock.into()),
                Err(Errno::TOOMANYREFS) => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives one message into `buffer`.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the message is longer, or carries too many descriptors; `EMFILE` if this process has no room for one of
    /// them. The message is lost either way.
    pub fn receive(&self, buffer: &mut [u8], wait: SocketWait) -> io::Result<Received> {
        self.receive_with(buffer, wait, RecvFlags::empty())
    }

    /// As [`Socket::receive`], but a message whose descriptors this process has no room for can be received again. Only one thread may
    /// receive from this socket.
    ///
    /// # Errors
    ///
    /// As [`Socket::receive`].
    pub fn receive_or_leave(&self, buffer: &mut [u8], wait: SocketWait) -> io::Result<Received> {
        let received = match self.receive_with(buffer, wait, RecvFlags::PEEK) {
            Err(error) if error.kind() != ErrorKind::InvalidData => return Err(error),
            received => received,
        };
        self.discard();
        received
    }

    /// Removes the next message, if there is one.
    pub fn discard(&self) {
        let mut nothing = RecvAncillaryBuffer::default();
        // There is nothing to do about an error: the next receive meets it as well.
        while let Err(Errno::INTR) = recvmsg(&self.0, &mut [], &mut nothing, RecvFlags::DONTWAIT) {}
    }

    fn receive_with(&self, buffer: &mut [u8], wait: SocketWait, flags: RecvFlags) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut flags = flags | RecvFlags::CMSG_CLOEXEC;
        flags.set(RecvFlags::DONTWAIT, wait == SocketWait::Never);
        let message = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        let mut fds = Vec::new();
        for item in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = item {
                fds.extend(rights);
            }
        }
        // Descriptors are missing, although there was space for them.
        if message.flags.contains(ReturnFlags::CTRUNC) && fds.len() < MAX_FDS {
            return Err(no_room());
        }
        // The space is at least as large as asked for, and may hold more.
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) || fds.len() > MAX_FDS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message is too long or carries too many descriptors",
            ));
        }
        Ok(Received { len: message.bytes, fds })
    }
}

/// Whether a message could not be received because this process has no room for its descriptors.
pub fn is_no_room(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MFILE.raw_os_error())
}

/// The error of a process that may open no more files (`EMFILE`).
pub fn no_room() -> io::Error {
    Errno::MFILE.into()
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_carry_descriptors() {
        let (a, b) = Socket::pair().expect("a pair");
        a.send(b"one", &[], SocketWait::Block).expect("sent");
        a.send(b"two", &[a.as_fd(), a.as_fd()], SocketWait::Block).expect("sent");
        let mut buffer = [0; 16];
        let first = b.receive(&mut buffer, SocketWait::Block).expect("received");
        assert_eq!((&buffer[..first.len], first.fds.len()), (&b"one"[..], 0));
        let second = b.receive(&mut buffer, SocketWait::Block).expect("received");
        assert_eq!((&buffer[..second.len], second.fds.len()), (&b"two"[..], 2));
        let empty = b.receive(&mut buffer, SocketWait::Never).expect_err("nothing is there");
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        drop((a, second));
        assert_eq!(b.receive(&mut buffer, SocketWait::Block).expect("closed").len, 0);
    }

    /// Marks a process of its own, whose limit of descriptors the test may lower.
    const ALONE: &str = "WRUN_TEST_ALONE";

    #[test]
    fn a_message_that_there_is_no_descriptor_for_can_be_received_later() {
        if std::env::var_os(ALONE).is_none() {
            let name = "sys::socket::tests::a_message_that_there_is_no_descriptor_for_can_be_received_later";
            let mut alone = std::process::Command::new("/proc/self/exe");
            let ended = alone.args(["--exact", name]).env(ALONE, "").output().expect("it starts");
            assert!(ended.status.success(), "{ended:?}");
            return;
        }
        let (a, b) = Socket::pair().expect("a pair");
        a.send(b"one", &[a.as_fd()], SocketWait::Block).expect("sent");
        a.send(b"two", &[a.as_fd(); 2], SocketWait::Block).expect("sent");
        a.send(b"six", &[], SocketWait::Block).expect("sent");
        let mut buffer = [0; 16];
        let next = b.as_fd().try_clone_to_owned().expect("a descriptor");
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let allow = |descriptors: u64| {
            let few = rustix::process::Rlimit { current: Some(descriptors), ..limit };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, few).expect("a lower limit");
        };
        let free = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&next)).expect("a number");
        drop(next);
        allow(free);
        for _ in 0..2 {
            let error = b.receive_or_leave(&mut buffer, SocketWait::Never).expect_err("no descriptor is left");
            assert!(is_no_room(&error), "{error}");
        }
        allow(free + 1);
        let one = b.receive_or_leave(&mut buffer, SocketWait::Never).expect("there is one");
        assert_eq!((&buffer[..one.len], one.fds.len()), (&b"one"[..], 1));
        drop(one);
        let error = b.receive_or_leave(&mut buffer, SocketWait::Never).expect_err("it takes two");
        assert!(is_no_room(&error), "{error}");
        b.discard();
        let six = b.receive_or_leave(&mut buffer, SocketWait::Never).expect("none is needed");
        assert_eq!((&buffer[..six.len], six.fds.len()), (&b"six"[..], 0));
    }

    #[test]
    fn more_descriptors_than_a_message_may_have_are_the_senders_fault() {
        let (a, b) = Socket::pair().expect("a pair");
        for count in [MAX_FDS + 1, 16] {
            a.send_anything(b"x", &vec![a.as_fd(); count], SocketWait::Block).expect("sent");
            let error = b.receive_or_leave(&mut [0; 16], SocketWait::Never).expect_err("too many");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{count}");
        }
        let nothing = b.receive_or_leave(&mut [0; 16], SocketWait::Never).expect_err("it is gone");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_message_longer_than_the_buffer_is_an_error() {
        let (a, b) = Socket::pair().expect("a pair");
        a.send(&[7; 32], &[], SocketWait::Block).expect("sent");
        let error = b.receive(&mut [0; 16], SocketWait::Block).expect_err("cut short");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
