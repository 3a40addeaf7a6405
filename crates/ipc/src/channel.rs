//! The messages on the socket between a pool and a worker: descriptors, the job, wake-ups.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::wire::{decode_access, decode_missing, decode_sandbox, encode_access, encode_missing, encode_sandbox};
use crate::confinement::{Access, MissingLayer, Sandbox};
use crate::sys::socket::{MAX_FDS, Received, Socket, SocketWait, is_no_room};

/// The longest message, in bytes; a job's description travels as a file.
pub const MAX_BYTES: usize = 1024;

/// A message from the pool.
#[derive(Debug)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum ToWorker<Fd> {
    /// The first message: the ring's memory, the protocol's version, how the worker confines itself, and how many
    /// [`ToWorker::Directory`] messages follow.
    Hello { version: u32, sandbox: Sandbox, directories: u32, ring: Fd },
    /// A directory that the worker may use once it is confined.
    Directory { access: Access, directory: Fd },
    /// A job: the code of its module, and its [`JobSpec`](super::wire::JobSpec) in postcard's format.
    Job { code: Fd, spec: Fd },
    /// A file that gets this number in the worker's table; a file that had the number is closed.
    File { number: u32, file: Fd },
    /// The file with this number is to be closed.
    Close { number: u32 },
    /// Standard input, output and error for tasks that are attached to them.
    Stdio { fds: [Fd; 3] },
    /// Look at the ring.
    Wake,
}

/// A message from a worker.
#[derive(Debug)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum ToPool<Fd> {
    /// The payload of a completion that follows in the ring.
    Payload { file: Fd },
    /// The job cannot be set up, and why.
    JobRefused { job: u64, reason: String },
    /// Layers of confinement that the worker could not apply, and why.
    Unconfined { missing: Vec<MissingLayer> },
    /// Look at the ring.
    Wake,
}

const HELLO: u8 = 1;
const JOB: u8 = 2;
const FILE: u8 = 3;
const STDIO: u8 = 4;
const WAKE: u8 = 5;
const PAYLOAD: u8 = 6;
const JOB_REFUSED: u8 = 7;
const UNCONFINED: u8 = 8;
const DIRECTORY: u8 = 9;
const CLOSE: u8 = 10;

impl<Fd: AsFd> ToWorker<Fd> {
    /// Sends the message.
    pub fn send(&self, socket: &Socket, wait: SocketWait) -> io::Result<()> {
        match self {
            ToWorker::Hello { version, sandbox, directories, ring } => {
                let mut body = [0; 9];
                body[..4].copy_from_slice(&version.to_le_bytes());
                body[4] = encode_sandbox(*sandbox);
                body[5..].copy_from_slice(&directories.to_le_bytes());
                send(socket, HELLO, &body, &[ring.as_fd()], wait)
            }
            ToWorker::Directory { access, directory } => {
                send(socket, DIRECTORY, &[encode_access(*access)], &[directory.as_fd()], wait)
            }
            ToWorker::Job { code, spec } => send(socket, JOB, &[], &[code.as_fd(), spec.as_fd()], wait),
            ToWorker::File { number, file } => send(socket, FILE, &number.to_le_bytes(), &[file.as_fd()], wait),
            ToWorker::Close { number } => send(socket, CLOSE, &number.to_le_bytes(), &[], wait),
            ToWorker::Stdio { fds } => send(socket, STDIO, &[], &fds.each_ref().map(AsFd::as_fd), wait),
            ToWorker::Wake => send(socket, WAKE, &[], &[], wait),
        }
    }
}

impl ToWorker<OwnedFd> {
    /// Receives a message; `None` if the pool is gone.
    pub fn receive(socket: &Socket, wait: SocketWait) -> io::Result<Option<Self>> {
        let mut buffer = [0; MAX_BYTES];
        let Received { len, fds } = socket.receive(&mut buffer, wait)?;
        let Some((&kind, body)) = buffer[..len].split_first() else { return Ok(None) };
        let number = || body.try_into().map(u32::from_le_bytes).map_err(|_| invalid());
        Ok(Some(match kind {
            // The version is at the same offset in every version.
            HELLO => {
                let (version, rest) = body.split_first_chunk().ok_or_else(invalid)?;
                let sandbox = rest.first().copied().and_then(decode_sandbox).unwrap_or_default();
                let directories =
                    rest.get(1..).and_then(|rest| rest.first_chunk()).map_or(0, |n| u32::from_le_bytes(*n));
                ToWorker::Hello { version: u32::from_le_bytes(*version), sandbox, directories, ring: one(fds)? }
            }
            DIRECTORY => {
                let access = body.first().copied().and_then(decode_access).ok_or_else(invalid)?;
                ToWorker::Directory { access, directory: one(fds)? }
            }
            JOB => {
                let [code, spec] = exactly(fds)?;
                ToWorker::Job { code, spec }
            }
            FILE => ToWorker::File { number: number()?, file: one(fds)? },
            CLOSE => ToWorker::Close { number: number()? },
            STDIO => ToWorker::Stdio { fds: exactly(fds)? },
            WAKE => ToWorker::Wake,
            _ => return Err(invalid()),
        }))
    }
}

impl<Fd: AsFd> ToPool<Fd> {
    /// Sends the message; waits while the socket is full.
    pub fn send(&self, socket: &Socket) -> io::Result<()> {
        match self {
            ToPool::Payload { file } => send(socket, PAYLOAD, &[], &[file.as_fd()], SocketWait::Block),
            ToPool::JobRefused { job, reason } => {
                let end = reason.floor_char_boundary(MAX_BYTES - 9);
                let body = [&job.to_le_bytes()[..], &reason.as_bytes()[..end]].concat();
                send(socket, JOB_REFUSED, &body, &[], SocketWait::Block)
            }
            ToPool::Unconfined { missing } => {
                send(socket, UNCONFINED, &encode_missing(missing), &[], SocketWait::Block)
            }
            ToPool::Wake => send(socket, WAKE, &[], &[], SocketWait::Block),
        }
    }
}

impl ToPool<File> {
    /// Receives a message without waiting: `Ok(None)` if the worker is gone, `WouldBlock` if there is no message. If this process has
    /// no room for the message's descriptor, the message is [left](ToPool::is_left).
    pub fn receive(socket: &Socket) -> io::Result<Option<Self>> {
        let mut buffer = [0; MAX_BYTES];
        let Received { len, fds } = socket.receive_or_leave(&mut buffer, SocketWait::Never)?;
        let Some((&kind, body)) = buffer[..len].split_first() else { return Ok(None) };
        Ok(Some(match kind {
            PAYLOAD => ToPool::Payload { file: File::from(one(fds)?) },
            JOB_REFUSED => {
                let (job, reason) = body.split_first_chunk().ok_or_else(invalid)?;
                ToPool::JobRefused {
                    job: u64::from_le_bytes(*job),
                    reason: String::from_utf8_lossy(reason).into_owned(),
                }
            }
            UNCONFINED => ToPool::Unconfined { missing: decode_missing(body).ok_or_else(invalid)? },
            WAKE => ToPool::Wake,
            _ => return Err(invalid()),
        }))
    }

    /// Whether [`ToPool::receive`] left the message in the socket, because this process may open no more files.
    pub fn is_left(error: &io::Error) -> bool {
        is_no_room(error)
    }

    /// Drops the next message.
    pub fn discard(socket: &Socket) {
        socket.discard();
    }
}

fn send(socket: &Socket, kind: u8, body: &[u8], fds: &[BorrowedFd<'_>], wait: SocketWait) -> io::Result<()> {
    let mut message = [0; MAX_BYTES];
    message[0] = kind;
    message[1..=body.len()].copy_from_slice(body);
    socket.send(&message[..=body.len()], fds, wait)
}

fn one(fds: Vec<OwnedFd>) -> io::Result<OwnedFd> {
    let [fd] = exactly(fds)?;
    Ok(fd)
}

fn exactly<const N: usize>(fds: Vec<OwnedFd>) -> io::Result<[OwnedFd; N]> {
    const { assert!(N <= MAX_FDS) };
    fds.try_into().map_err(|_| invalid())
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "invalid message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let (pool, worker) = Socket::pair().expect("a pair");
        ToWorker::File { number: 7, file: worker.as_fd() }.send(&pool, SocketWait::Never).expect("sent");
        let received = ToWorker::receive(&worker, SocketWait::Block).expect("valid").expect("open");
        assert!(matches!(received, ToWorker::File { number: 7, .. }));
        ToWorker::<OwnedFd>::Close { number: 7 }.send(&pool, SocketWait::Never).expect("sent");
        let closing = ToWorker::receive(&worker, SocketWait::Block).expect("valid").expect("open");
        assert!(matches!(closing, ToWorker::Close { number: 7 }));
        let refusal = ToPool::<OwnedFd>::JobRefused { job: 3, reason: "ä".repeat(2000) };
        refusal.send(&worker).expect("sent");
        match ToPool::receive(&pool).expect("valid").expect("open") {
            ToPool::JobRefused { job, reason } => assert_eq!((job, reason), (3, "ä".repeat((MAX_BYTES - 9) / 2))),
            other => panic!("{other:?}"),
        }
        drop((received, worker));
        assert!(ToPool::receive(&pool).expect("closed").is_none());
    }

    #[test]
    fn nonsense_is_an_error() {
        let (pool, worker) = Socket::pair().expect("a pair");
        worker.send(&[99], &[], SocketWait::Block).expect("sent");
        assert!(ToPool::receive(&pool).is_err(), "an unknown kind");
        worker.send(&[PAYLOAD], &[], SocketWait::Block).expect("sent");
        assert!(ToPool::receive(&pool).is_err(), "no descriptor");
        worker.send(&[PAYLOAD], &[worker.as_fd(), worker.as_fd()], SocketWait::Block).expect("sent");
        assert!(ToPool::receive(&pool).is_err(), "two descriptors");
    }
}
