//! Workers that are threads of this process: with the loop, ring and socket of a worker process, but no sandbox around them.

use std::io;
use std::thread::JoinHandle;

use crate::sys::socket::Socket;
use crate::worker;

/// A thread that is a worker.
#[derive(Debug)]
pub(super) struct WorkerThread(JoinHandle<io::Result<()>>);

impl WorkerThread {
    /// Starts one; it ends once the other end of `socket` is closed and it runs no task.
    pub fn start(socket: Socket) -> io::Result<WorkerThread> {
        worker::in_thread(socket).map(WorkerThread)
    }

    /// Waits for its end and returns how it ended.
    pub fn wait(self) -> String {
        match self.0.join() {
            Ok(Ok(())) => "ended".into(),
            Ok(Err(error)) => format!("ended: {error}"),
            // The panic has been printed.
            Err(_) => "panicked".into(),
        }
    }
}
