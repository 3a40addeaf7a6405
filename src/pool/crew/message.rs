//! A control message on its way to a worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::ipc::channel::ToWorker;
use crate::ipc::wire::PROTOCOL_VERSION;
use crate::pool::prepared_job::PreparedJob;
use crate::sandbox::Sandbox;
use crate::sys::read_ahead;
use crate::sys::socket::{Socket, SocketWait};
use crate::{Directory, Input};

/// A control message that waits for room in the socket.
#[derive(Debug)]
pub(super) enum Message {
    Hello(File, Sandbox, u32),
    Directory(Directory),
    File(u32, Input),
    Region(u32, Arc<File>),
    Close(u32),
    Stdio([File; 3]),
    Job(Arc<PreparedJob>, Input),
}

impl Message {
    /// Sends it, if the socket has room.
    pub fn send(&self, socket: &Socket) -> io::Result<()> {
        match self {
            Message::Hello(ring, sandbox, directories) => {
                let (version, sandbox, directories) = (PROTOCOL_VERSION, *sandbox, *directories);
                ToWorker::Hello { version, sandbox, directories, ring: ring.as_fd() }.send(socket, SocketWait::Never)
            }
            Message::Directory(directory) => {
                let (access, directory) = (directory.access(), directory.file().as_fd());
                ToWorker::Directory { access, directory }.send(socket, SocketWait::Never)
            }
            Message::File(number, input) => {
                let (file, _) = input.file();
                let own = read_ahead::own_state(file);
                ToWorker::File { number: *number, file: own.as_ref().unwrap_or(file).as_fd() }
                    .send(socket, SocketWait::Never)
            }
            Message::Region(number, file) => {
                ToWorker::File { number: *number, file: file.as_fd() }.send(socket, SocketWait::Never)
            }
            Message::Close(number) => {
                ToWorker::<BorrowedFd<'_>>::Close { number: *number }.send(socket, SocketWait::Never)
            }
            Message::Stdio(files) => {
                ToWorker::Stdio { fds: files.each_ref().map(AsFd::as_fd) }.send(socket, SocketWait::Never)
            }
            Message::Job(job, spec) => ToWorker::Job { code: job.module.code().as_fd(), spec: spec.file().0.as_fd() }
                .send(socket, SocketWait::Never),
        }
    }
}
