//! The stack trace of a task that exceeds its time limit: requested by the pool's keeper thread, and written by the worker's main
//! thread, which does nothing else. This crate's README.md explains the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::layout::MAX_STACK_TRACE_BYTES;
use crate::layout::{STACK_TRACE_AREA, STACK_TRACE_WORDS};
use crate::sys::shared::SharedMemory;

/// The longest text that goes into the outcome's message, in bytes.
const MAX_SUMMARY_BYTES: usize = 512;

/// The worker's main thread sleeps while this 32-bit word is 0.
const ASKED: usize = STACK_TRACE_WORDS;
/// The ticket of the request, plus 1.
const ASKED_TICKET: usize = STACK_TRACE_WORDS + 8;
/// The answers, 128 bytes apart: the ticket plus 1, then the lengths of both texts.
const ANSWERS: usize = STACK_TRACE_WORDS + 128;
const ANSWER_BYTES: usize = 128;

/// Where a task was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackTrace {
    /// The end of a message, such as `in count_words (src/lib.rs:17)`; may be empty.
    pub summary: String,
    /// The active functions as a backtrace, the innermost first; may be empty.
    pub frames: String,
}

/// How detailed an answer is. What is known first is written first, because the worker may be killed at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The functions' names.
    Names,
    /// Everything there is to know.
    All,
}

/// The offsets of the words and of the text of an answer.
fn answer(detail: Detail) -> (usize, usize) {
    let index = detail as usize;
    (ANSWERS + index * ANSWER_BYTES, STACK_TRACE_AREA + index * MAX_STACK_TRACE_BYTES)
}

/// The pool's side. It trusts nothing that it reads.
#[derive(Debug)]
pub struct StackTraceReader(Arc<SharedMemory>);

impl StackTraceReader {
    pub(super) fn new(memory: Arc<SharedMemory>) -> Self {
        StackTraceReader(memory)
    }

    /// Requests the stack trace of the task with this ticket. Never waits.
    pub fn ask(&self, ticket: u64) {
        self.0.word(ASKED_TICKET).store(ticket + 1, Ordering::Relaxed);
        // Pairs with the exchange in `StackTraceWriter::next_asked`.
        self.0.half_word(ASKED).store(1, Ordering::Release);
        self.0.wake_sleeper(ASKED);
    }

    /// Whether the answer about the task with this ticket is complete.
    pub fn is_answered(&self, ticket: u64) -> bool {
        self.0.word(answer(Detail::All).0).load(Ordering::Relaxed) == ticket + 1
    }

    /// The stack trace of the task with this ticket: text of bounded length, without control characters except line ends between frames.
    pub fn read(&self, ticket: u64) -> Option<StackTrace> {
        [Detail::All, Detail::Names].into_iter().find_map(|detail| {
            let (words, text) = answer(detail);
            // Pairs with the release store in `StackTraceWriter::answer`.
            if self.0.word(words).load(Ordering::Acquire) != ticket + 1 {
                return None;
            }
            let len = |at: usize| usize::try_from(self.0.word(words + at).load(Ordering::Relaxed)).ok();
            let (summary_len, frames_len) = (len(8)?, len(16)?);
            let whole_len = summary_len.checked_add(frames_len).filter(|len| *len <= MAX_STACK_TRACE_BYTES)?;
            if summary_len > MAX_SUMMARY_BYTES {
                return None;
            }
            let mut bytes = Vec::new();
            self.0.copy_out(text, whole_len, &mut bytes);
            let (summary, frames) = bytes.split_at(summary_len);
            let harmless = |bytes: &[u8], line_ends: bool| -> String {
                let text = String::from_utf8_lossy(bytes);
                text.chars().filter(|char| !char.is_control() || (*char == '\n' && line_ends)).collect()
            };
            Some(StackTrace { summary: harmless(summary, false), frames: harmless(frames, true) })
        })
    }
}

/// The worker's side.
#[derive(Debug)]
pub struct StackTraceWriter {
    memory: Arc<SharedMemory>,
    /// Whether the worker ends.
    ended: AtomicBool,
}

impl StackTraceWriter {
    pub(super) fn new(memory: Arc<SharedMemory>) -> Self {
        StackTraceWriter { memory, ended: AtomicBool::new(false) }
    }

    /// Sleeps until the pool requests a stack trace; returns the task's ticket, or `None` after [`StackTraceWriter::end`].
    pub fn next_asked(&self) -> Option<u64> {
        loop {
            // Pairs with the release stores in `StackTraceReader::ask` and `end`. A later store makes the next sleep end at once.
            if self.memory.half_word(ASKED).swap(0, Ordering::Acquire) == 0 {
                self.memory.sleep_while_zero(ASKED);
                continue;
            }
            if self.ended.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(ticket) = self.memory.word(ASKED_TICKET).load(Ordering::Relaxed).checked_sub(1) {
                return Some(ticket);
            }
        }
    }

    /// Ends the sleep of [`StackTraceWriter::next_asked`] for good.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        // Pairs with the exchange in `next_asked`.
        self.memory.half_word(ASKED).store(1, Ordering::Release);
        self.memory.wake_sleeper(ASKED);
    }

    /// Writes the stack trace of the task with this ticket; texts that are too long are truncated.
    pub fn answer(&self, ticket: u64, detail: Detail, trace: &StackTrace) {
        let (words, text) = answer(detail);
        let summary = &trace.summary[..trace.summary.floor_char_boundary(MAX_SUMMARY_BYTES)];
        let frames = &trace.frames[..trace.frames.floor_char_boundary(MAX_STACK_TRACE_BYTES - summary.len())];
        self.memory.copy_in(text, summary.as_bytes());
        self.memory.copy_in(text + summary.len(), frames.as_bytes());
        self.memory.word(words + 8).store(summary.len() as u64, Ordering::Relaxed);
        self.memory.word(words + 16).store(frames.len() as u64, Ordering::Relaxed);
        // Pairs with the acquire load in `StackTraceReader::read`.
        self.memory.word(words).store(ticket + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::{PoolRing, WorkerRing};
    use super::*;

    fn both() -> (StackTraceReader, StackTraceWriter) {
        let (file, pool) = PoolRing::new().expect("memory");
        (pool.stack_trace(), WorkerRing::map(&file).expect("memory").stack_trace())
    }

    fn place(summary: &str, frames: &str) -> StackTrace {
        StackTrace { summary: summary.into(), frames: frames.into() }
    }

    #[test]
    fn an_answer_is_that_of_its_task_and_the_fullest_one() {
        let (pool, worker) = both();
        pool.ask(0);
        assert_eq!(worker.next_asked(), Some(0));
        assert_eq!((pool.read(0), pool.is_answered(0)), (None, false));
        worker.answer(0, Detail::Names, &place("in f", "0: f\n1: g"));
        assert_eq!((pool.read(0), pool.is_answered(0)), (Some(place("in f", "0: f\n1: g")), false));
        worker.answer(0, Detail::All, &place("in f (a.c:1)", ""));
        assert_eq!((pool.read(0), pool.is_answered(0)), (Some(place("in f (a.c:1)", "")), true));
        assert_eq!((pool.read(1), pool.is_answered(1)), (None, false));
    }

    #[test]
    fn who_sleeps_is_woken_by_a_question_and_by_the_end() {
        let (pool, worker) = both();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| (worker.next_asked(), worker.next_asked()));
            pool.ask(7);
            while pool.0.half_word(ASKED).load(Ordering::Relaxed) != 0 {
                std::thread::yield_now();
            }
            worker.end();
            assert_eq!(asked.join().expect("no panic"), (Some(7), None));
        });
    }

    #[test]
    fn texts_are_cut_to_what_there_is_room_for() {
        let (pool, worker) = both();
        worker.answer(3, Detail::All, &place(&"ä".repeat(1000), &"ö".repeat(10_000)));
        let read = pool.read(3).expect("an answer");
        assert_eq!(
            (read.summary.len(), read.frames.len()),
            (MAX_SUMMARY_BYTES, MAX_STACK_TRACE_BYTES - MAX_SUMMARY_BYTES)
        );
    }

    #[test]
    fn lies_are_harmless() {
        let (pool, worker) = both();
        worker.answer(3, Detail::Names, &place("in \u{1b}[2Jf\n", "0: \u{7}f\n\u{9b}1"));
        assert_eq!(pool.read(3), Some(place("in [2Jf", "0: f\n1")));
        let (words, text) = answer(Detail::Names);
        pool.0.copy_in(text, &[0xff, b'x']);
        assert!(pool.read(3).expect("an answer").summary.starts_with("\u{fffd}x"));
        let most = MAX_STACK_TRACE_BYTES as u64;
        for (summary, frames) in
            [(0, most + 1), (513, 0), (1, most), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)]
        {
            pool.0.word(words + 8).store(summary, Ordering::Relaxed);
            pool.0.word(words + 16).store(frames, Ordering::Relaxed);
            assert_eq!(pool.read(3), None, "{summary} {frames}");
        }
        pool.0.word(words + 8).store(0, Ordering::Relaxed);
        pool.0.word(words + 16).store(most, Ordering::Relaxed);
        assert!(pool.read(3).is_some(), "the control");
    }
}
