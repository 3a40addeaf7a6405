//! Receives what a worker sends: completions through its ring, messages and large results through its socket.

use std::io;

use super::spare::SpareDescriptor;
use super::worker::Worker;
use crate::ipc::channel::ToPool;
use crate::ipc::ring::{SLOTS, Violation};
use crate::ipc::wire::{DoneSlot, Payload};
use crate::module::explain::one_line;
use crate::pool::completion::SentResult;
use crate::pool::record::Pending;

/// How many results may have come through the socket without having been announced yet.
const MAX_PAYLOADS: usize = 2;

/// The state in which a worker's socket was found.
pub(super) enum SocketState {
    /// There is nothing more for now.
    Open,
    /// The process is gone, or sent what no honest worker sends.
    Gone(Option<Violation>),
}

impl Worker {
    /// The next completion, with the task that it ends. If its payload came through the ring, it replaces the contents of `payload`.
    pub fn next_done(
        &mut self,
        payload: &mut Vec<u8>,
        spare: &mut SpareDescriptor,
    ) -> Result<Option<(DoneSlot, Pending, Option<SentResult>)>, Violation> {
        payload.clear();
        let Some(done) = self.ring.pop(payload)? else {
            // A worker announces each result before it sends the next.
            return match self.payloads.len() {
                MAX_PAYLOADS.. => Err(Violation("it sent more results than it ended tasks")),
                _ => Ok(None),
            };
        };
        // Tasks run in the order in which they were given. A task that the worker lies about stays with it, and ends with it.
        if self.held.front().is_none_or(|held| held.ticket != done.ticket) {
            return Err(Violation("it finished a task that it did not have"));
        }
        let sent = match done.payload {
            Payload::Ring(_) => None,
            Payload::File => {
                if self.payloads.is_empty()
                    && let SocketState::Gone(Some(violation)) = self.read_socket(spare)
                {
                    return Err(violation);
                }
                Some(self.payloads.pop_front().ok_or(Violation("it did not send a result that it announced"))?)
            }
        };
        self.last_done = Some(done.ticket);
        let held = self.held.pop_front().map(|held| self.release(held));
        Ok(held.map(|pending| (done, pending, sent)))
    }

    /// Reads the messages that are there. Where this process may open no more files, results are copied, one after the other, by means
    /// of the `spare` descriptor.
    pub fn read_socket(&mut self, spare: &mut SpareDescriptor) -> SocketState {
        // The rest is read the next time, so that a worker that floods its pool holds nobody else up.
        for _ in 0..2 * SLOTS {
            // Further results can wait in the socket: here, each costs a descriptor.
            if self.payloads.len() >= MAX_PAYLOADS {
                return SocketState::Open;
            }
            match ToPool::receive(&self.socket) {
                Ok(Some(ToPool::Wake)) => {}
                Ok(Some(ToPool::Payload { file })) => match SentResult::new(file) {
                    Ok(sent) => self.payloads.push_back(sent),
                    Err(violation) => return SocketState::Gone(Some(violation)),
                },
                Err(error) if ToPool::is_left(&error) => match spare.lend(|| self.copy_sent()) {
                    Ok(sent) => self.payloads.push_back(sent),
                    Err(violation) => return SocketState::Gone(Some(violation)),
                },
                Ok(Some(ToPool::JobRefused { job, reason })) => self.refused = Some((job, one_line(&reason))),
                Ok(Some(ToPool::Unconfined { mut missing })) => {
                    missing.iter_mut().for_each(|missing| missing.why = one_line(&missing.why));
                    self.unconfined = missing;
                }
                Ok(None) => return SocketState::Gone(None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return SocketState::Open,
                // Returned once if the worker died with messages unread; what it sent comes after that.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(_) => return SocketState::Gone(Some(Violation("it sent a message that makes no sense"))),
            }
        }
        SocketState::Open
    }

    /// Receives a result that could not be received before for want of a descriptor, and copies it.
    fn copy_sent(&self) -> Result<SentResult, Violation> {
        match ToPool::receive(&self.socket) {
            Ok(Some(ToPool::Payload { file })) => SentResult::new(file)?.copied(self.most_payload_bytes),
            // Another thread of this process took the descriptor.
            Err(error) if ToPool::is_left(&error) => {
                ToPool::discard(&self.socket);
                Ok(SentResult::Lost(error))
            }
            _ => Err(Violation("it sent a message that makes no sense")),
        }
    }
}
