//! What the fuzzers in `fuzz/` do with their bytes: everything that a pool does with what a worker wrote.
//!
//! Each function panics if anything that must hold for all bytes does not.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::channel::{MAX_BYTES, ToPool};
use super::wire::{
    DONE_SLOT_WORDS, DoneSlot, Failure, InputFault, decode_log, decode_missing, decode_sandbox, encode_log_line,
    encode_missing, encode_sandbox,
};
use crate::sys::memory_file;
use crate::sys::socket::{Socket, SocketWait};

pub use super::ring::fuzz::ring;

/// The time limit for something that has to happen soon.
const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers taken from the fuzzer's bytes; zeros once the bytes are used up.
pub(super) struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number<const BYTES: usize>(&mut self) -> u64 {
        let (now, rest) = self.0.split_at(BYTES.min(self.0.len()));
        self.0 = rest;
        now.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// Decodes the bytes as each kind of data that comes from a worker: a completion's slot, a fault, a log, a message with descriptors.
pub fn wire(data: &[u8]) {
    slot(data);
    if let Some(fault) = InputFault::decode(data) {
        assert_eq!(InputFault::decode(&fault.encode()), Some(fault));
    }
    if let Some(failure) = Failure::decode(data) {
        let mut again = Vec::new();
        failure.encode(&mut again);
        assert_eq!(Failure::decode(&again), Some(failure));
    }
    log(data);
    if let Some(missing) = decode_missing(data) {
        let again = decode_missing(&encode_missing(&missing)).expect("what this module wrote");
        assert!(missing.iter().zip(&again).all(|(a, b)| a.layer == b.layer && a.why.starts_with(&b.why)));
    }
    if let Some(sandbox) = data.first().copied().and_then(decode_sandbox) {
        assert_eq!(encode_sandbox(sandbox), data[0]);
    }
    message(data);
}

fn slot(data: &[u8]) {
    let mut choices = Choices(data);
    let slot: [u64; DONE_SLOT_WORDS] = std::array::from_fn(|_| choices.number::<8>());
    let Some(done) = DoneSlot::decode(&slot) else { return };
    assert_eq!(DoneSlot::decode(&done.encode()), Some(done));
    if let Some(len) = done.payload_len() {
        let texts = u64::from(done.message_len) + u64::from(done.backtrace_len) + u64::from(done.log_len);
        assert_eq!(len - done.output_len, texts);
    }
}

fn log(data: &[u8]) {
    let lines = decode_log(data);
    assert!(lines.len() <= data.len() / 5, "each line has a level and a length");
    let mut again = Vec::new();
    lines.iter().for_each(|(level, text)| encode_log_line(*level, text, &mut again));
    assert_eq!(decode_log(&again), lines);
}

/// Sends the bytes after the first as one message, with the descriptors that the first byte chooses.
fn message(data: &[u8]) {
    let Some((&kinds, bytes)) = data.split_first() else { return };
    if bytes.is_empty() {
        return;
    }
    let (pool, worker) = Socket::pair().expect("a pair");
    // The other end of this pair shows whether a descriptor is kept.
    let (watched, watcher) = Socket::pair().expect("a pair");
    let file = (kinds & 0x40 != 0).then(|| memory_file::fixed("fuzz", 16).expect("memory"));
    let count = usize::from(kinds & 0x0f);
    let fd = |at: usize| match &file {
        Some(file) if at % 2 == 1 => file.as_fd(),
        _ => watched.as_fd(),
    };
    let fds: VecDeque<BorrowedFd<'_>> = (0..count).map(fd).collect();
    worker.send_anything(bytes, &Vec::from(fds), SocketWait::Never).expect("room for one message");
    let received = ToPool::<File>::receive(&pool);
    if bytes.len() > MAX_BYTES {
        assert!(received.is_err(), "a message that was cut short");
    }
    match received {
        Ok(Some(ToPool::Payload { file })) => {
            assert_eq!(count, 1);
            // The check that the pool makes before it keeps a file.
            let immutable = memory_file::is_immutable(&file).unwrap_or(false);
            assert!(!immutable, "a socket, or a file that can be written");
        }
        Ok(Some(ToPool::JobRefused { reason, .. })) => assert!(reason.len() <= 3 * bytes.len()),
        Ok(Some(ToPool::Unconfined { .. } | ToPool::Wake)) | Err(_) => {}
        Ok(None) => panic!("an end of file on an open socket"),
    }
    drop((watched, worker));
    assert!(matches!(ToPool::<File>::receive(&pool), Ok(None)), "the end follows the message");
    // The kernel collects sockets that are in flight in other sockets, and may hold one a moment longer.
    let start = Instant::now();
    while let Err(error) = watcher.receive(&mut [0; 8], SocketWait::Never) {
        assert!(start.elapsed() < PATIENCE, "a descriptor was kept: {error}");
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// How many changed inputs are derived from each input of the corpus.
    const CHANGED: u64 = 50;

    /// The fuzzers' inputs that were kept.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let entries = std::fs::read_dir(directory).expect("the corpus").flatten();
        entries.map(|entry| std::fs::read(entry.path()).expect("an input")).collect()
    }

    /// Runs `target` on each input of the corpus, and on changed copies.
    fn replay(name: &str, target: fn(&[u8])) {
        let corpus = corpus(name);
        assert!(corpus.len() >= 10, "{} inputs", corpus.len());
        for (number, input) in corpus.iter().enumerate() {
            target(input);
            // Pseudorandom numbers (xorshift), the same each time.
            let mut state = number as u64 + 1;
            let mut random = |below: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as usize % below.max(1)
            };
            for _ in 0..CHANGED {
                let mut changed = input.clone();
                for _ in 0..=random(4) {
                    let (from, to) = (random(changed.len()), random(changed.len()));
                    match random(4) {
                        0 => changed.truncate(to),
                        1 => changed.extend_from_within(from.min(to)..from.max(to)),
                        _ => {
                            if let Some(byte) = changed.get_mut(to) {
                                *byte = random(256) as u8;
                            }
                        }
                    }
                }
                target(&changed);
            }
        }
    }

    #[test]
    fn what_was_found_on_the_wire_is_survived() {
        replay("wire", wire);
    }

    #[test]
    fn what_was_found_in_the_ring_is_survived() {
        replay("ring", ring);
    }
}
