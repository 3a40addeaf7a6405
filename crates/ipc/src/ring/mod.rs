//! The ring pair in shared memory. This crate's README.md explains the protocol; this module and [`crate::stack_trace`] are the only
//! users of shared words.
//!
//! Everything that is read from shared memory is copied to private memory once and then checked.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

pub use self::task_memory::{MemoryNotes, TaskMemory};
use crate::layout::*;
pub use crate::layout::{INLINE_MAX_BYTES, MAX_TASK_PAYLOAD_BYTES, RING_BYTES, SLOTS};
use crate::stack_trace::{StackTraceReader, StackTraceWriter};
use crate::sys::memory_file;
use crate::sys::shared::SharedMemory;
use crate::wire::{DoneSlot, Payload, TaskSlot};

/// State of a slot whose task the worker has not begun.
const READY: u32 = 1;
/// State of a slot whose task the worker has begun.
const TAKEN: u32 = 2;
/// State of a slot whose task the pool took back.
const REVOKED: u32 = 3;

/// The value of `wake_at` while the pool is awake.
const NEVER: u64 = u64::MAX;

/// Something impossible that the worker wrote or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

#[inline]
fn read_slot<const WORDS: usize>(memory: &SharedMemory, base: usize, position: u64) -> [u64; WORDS] {
    let at = base + slot_index(position) * WORDS * 8;
    std::array::from_fn(|word| memory.word(at + word * 8).load(Ordering::Relaxed))
}

#[inline]
fn write_slot<const WORDS: usize>(memory: &SharedMemory, base: usize, position: u64, slot: &[u64; WORDS]) {
    let at = base + slot_index(position) * WORDS * 8;
    for (word, &value) in slot.iter().enumerate() {
        memory.word(at + word * 8).store(value, Ordering::Relaxed);
    }
}

#[inline]
fn slot_index(position: u64) -> usize {
    (position % SLOTS as u64) as usize
}

/// The producer's private record of which bytes of a payload area are in use.
#[derive(Debug)]
struct Area {
    size: u64,
    /// The lowest position at which the next payload can begin.
    tail: u64,
    /// Everything below this position is free again.
    free_below: u64,
    /// The position at which the payload of each slot ends.
    ends: [u64; SLOTS],
}

impl Area {
    fn new(size: usize) -> Self {
        Area { size: size as u64, tail: 0, free_below: 0, ends: [0; SLOTS] }
    }

    /// The position for `len` contiguous bytes, if they are free.
    #[inline]
    fn place(&self, len: usize) -> Option<u64> {
        let len = len as u64;
        let offset = self.tail % self.size;
        let start = if offset + len > self.size { self.tail + self.size - offset } else { self.tail };
        (start + len <= self.free_below + self.size).then_some(start)
    }

    /// Notes that the slot of `position` uses the bytes that [`Area::place`] found.
    #[inline]
    fn take(&mut self, position: u64, start: u64, len: usize) {
        self.tail = start + len as u64;
        self.ends[slot_index(position)] = self.tail;
    }

    /// Notes that all slots below `position` have been consumed.
    #[inline]
    fn free_until(&mut self, position: u64) {
        if let Some(last) = position.checked_sub(1) {
            self.free_below = self.ends[slot_index(last)];
        }
    }
}

/// The pool's side.
#[derive(Debug)]
pub struct PoolRing {
    memory: Arc<SharedMemory>,
    /// Tasks written, published or not.
    task_tail: u64,
    /// Tasks that the worker has copied out, as last read.
    task_head: u64,
    area: Area,
    /// Completions read.
    done_head: u64,
    /// Completions that were there at the last check.
    done_tail: u64,
}

impl PoolRing {
    /// Makes the memory for a new worker; the file is to be sent to the worker.
    pub fn new() -> io::Result<(File, PoolRing)> {
        let file = memory_file::fixed("wrun-ring", RING_BYTES as u64)?;
        let memory = Arc::new(SharedMemory::map(&file, RING_BYTES)?);
        memory.word(WAKE_AT).store(NEVER, Ordering::Relaxed);
        let ring = PoolRing {
            memory,
            task_tail: 0,
            task_head: 0,
            area: Area::new(TASK_AREA_BYTES),
            done_head: 0,
            done_tail: 0,
        };
        Ok((file, ring))
    }

    /// What the thread that enforces deadlines needs.
    pub fn clock(&self) -> TaskClock {
        TaskClock(self.memory.clone())
    }

    /// For requesting a task's stack trace, and reading it.
    pub fn stack_trace(&self) -> StackTraceReader {
        StackTraceReader::new(self.memory.clone())
    }

    /// Whether the worker has set itself up, by its own account.
    #[inline]
    pub fn worker_is_ready(&self) -> bool {
        // Pairs with the store in `WorkerRing::say_ready`; no data depends on its order.
        self.memory.word(WORKER_READY).load(Ordering::Relaxed) != 0
    }

    /// Whether a task with this many bytes of payload can be pushed now.
    #[inline]
    pub fn has_room(&mut self, payload_len: usize) -> Result<bool, Violation> {
        if self.fits(payload_len) {
            return Ok(true);
        }
        // Pairs with the release store in `WorkerRing::take`.
        let head = self.memory.word(TASK_HEAD).load(Ordering::Acquire);
        if head < self.task_head || head > self.task_tail {
            return Err(Violation("it moved its task ring to an impossible position"));
        }
        self.task_head = head;
        self.area.free_until(head);
        Ok(self.fits(payload_len))
    }

    /// The position of the next task that is pushed.
    #[inline]
    pub fn next_position(&self) -> u64 {
        self.task_tail
    }

    #[inline]
    fn fits(&self, payload_len: usize) -> bool {
        self.task_tail - self.task_head < SLOTS as u64 && self.area.place(payload_len).is_some()
    }

    /// Writes a task, filling in `slot.payload` and `slot.payload_len`. The task becomes visible with [`PoolRing::publish`]. Returns
    /// its position.
    ///
    /// # Panics
    ///
    /// If [`PoolRing::has_room`] would have returned false.
    #[inline]
    pub fn push(&mut self, mut slot: TaskSlot, payload: &[u8]) -> u64 {
        let position = self.task_tail;
        let start = self.area.place(payload.len()).expect("the caller asked for room");
        self.memory.copy_in(TASK_AREA + (start % TASK_AREA_BYTES as u64) as usize, payload);
        self.area.take(position, start, payload.len());
        slot.payload = start;
        slot.payload_len = payload.len() as u32;
        write_slot(&self.memory, TASK_SLOTS, position, &slot.encode());
        self.memory.half_word(STATES + slot_index(position) * 4).store(READY, Ordering::Relaxed);
        self.task_tail += 1;
        position
    }

    /// Makes all pushed tasks visible to the worker. Returns whether the worker sleeps and has to be woken.
    #[inline]
    #[must_use]
    pub fn publish(&self) -> bool {
        // Pairs with the acquire load in `WorkerRing::take`.
        self.memory.word(TASK_TAIL).store(self.task_tail, Ordering::Release);
        // Pairs with the fence in `WorkerRing::fall_asleep`: either it sees the new tail, or we see that it sleeps.
        fence(Ordering::SeqCst);
        let sleeps = self.memory.half_word(WORKER_SLEEPS);
        sleeps.load(Ordering::Relaxed) == 1 && sleeps.swap(0, Ordering::Relaxed) == 1
    }

    /// Takes a published task back. Returns `false` if the worker has begun it.
    #[inline]
    pub fn revoke(&self, position: u64) -> bool {
        // Pairs with the exchange in `WorkerRing::take`; no data depends on its order.
        self.memory
            .half_word(STATES + slot_index(position) * 4)
            .compare_exchange(READY, REVOKED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Reads the next completion. If its payload is in the ring, it is appended to `payload`.
    #[inline]
    pub fn pop(&mut self, payload: &mut Vec<u8>) -> Result<Option<DoneSlot>, Violation> {
        if self.done_head == self.done_tail {
            // Pairs with the release store in `WorkerRing::finish`.
            let tail = self.memory.word(DONE_TAIL).load(Ordering::Acquire);
            if tail < self.done_head || tail - self.done_head > SLOTS as u64 {
                return Err(Violation("it moved its completion ring to an impossible position"));
            }
            self.done_tail = tail;
            if tail == self.done_head {
                return Ok(None);
            }
        }
        let slot = read_slot(&self.memory, DONE_SLOTS, self.done_head);
        let done = DoneSlot::decode(&slot).ok_or(Violation("it wrote an impossible completion"))?;
        let len = done.payload_len().ok_or(Violation("it wrote an impossible length"))?;
        if let Payload::Ring(position) = done.payload {
            let offset = position % DONE_AREA_BYTES as u64;
            if len > INLINE_MAX_BYTES as u64 || offset + len > DONE_AREA_BYTES as u64 {
                return Err(Violation("it wrote an impossible length"));
            }
            self.memory.copy_out(DONE_AREA + offset as usize, len as usize, payload);
        }
        self.done_head += 1;
        Ok(Some(done))
    }

    /// Returns the slots and payload space of all completions read so far to the worker.
    #[inline]
    pub fn release(&self) {
        // Pairs with the acquire load in `WorkerRing::room_for`.
        self.memory.word(DONE_HEAD).store(self.done_head, Ordering::Release);
    }

    /// Asks to be woken when `count` more completions are there. Returns `false` if they are already there: then do not sleep.
    #[inline]
    #[must_use]
    pub fn fall_asleep(&self, count: u64) -> bool {
        self.memory.word(WAKE_AT).store(self.done_head + count.max(1), Ordering::Relaxed);
        // Pairs with the store in `WorkerRing::publish`: either it sees the request, or we see its completion.
        fence(Ordering::SeqCst);
        self.memory.word(DONE_TAIL).load(Ordering::Relaxed) < self.done_head + count.max(1)
    }

    /// Withdraws the request to be woken.
    #[inline]
    pub fn awake(&self) {
        self.memory.word(WAKE_AT).store(NEVER, Ordering::Relaxed);
    }
}

/// Reads which task a worker runs and since when, from any thread.
#[derive(Debug)]
pub struct TaskClock(Arc<SharedMemory>);

impl TaskClock {
    /// The ticket of the running task and its start time (nanoseconds of `CLOCK_MONOTONIC`), according to the worker.
    #[inline]
    pub fn current(&self) -> Option<(u64, u64)> {
        // Pairs with the stores in `WorkerRing::begin`: the same ticket before and after means that the start is its own.
        let before = self.0.word(CURRENT).load(Ordering::Acquire);
        let start = self.0.word(CURRENT_START).load(Ordering::Acquire);
        let after = self.0.word(CURRENT).load(Ordering::Relaxed);
        (before != 0 && before == after).then(|| (before - 1, start))
    }

    /// Whether the worker has set itself up, by its own account.
    pub fn worker_is_ready(&self) -> bool {
        // As `PoolRing::worker_is_ready`.
        self.0.word(WORKER_READY).load(Ordering::Relaxed) != 0
    }
}

/// The worker's side. It trusts the pool.
#[derive(Debug)]
pub struct WorkerRing {
    memory: Arc<SharedMemory>,
    task_head: u64,
    done_tail: u64,
    area: Area,
}

impl WorkerRing {
    /// Maps the file that the pool sent.
    pub fn map(file: &File) -> io::Result<WorkerRing> {
        let memory = Arc::new(SharedMemory::map(file, RING_BYTES)?);
        Ok(WorkerRing { memory, task_head: 0, done_tail: 0, area: Area::new(DONE_AREA_BYTES) })
    }

    /// What the thread that reports a guest's stack trace needs.
    pub fn stack_trace(&self) -> StackTraceWriter {
        StackTraceWriter::new(self.memory.clone())
    }

    /// The clock that the pool reads.
    pub fn clock(&self) -> TaskClock {
        TaskClock(self.memory.clone())
    }

    /// For noting the running task's memory.
    pub fn memory_notes(&self) -> MemoryNotes {
        MemoryNotes(self.memory.clone())
    }

    /// Announces that this worker has set itself up.
    pub fn say_ready(&self) {
        // Pairs with the load in `PoolRing::worker_is_ready`.
        self.memory.word(WORKER_READY).store(1, Ordering::Relaxed);
    }

    /// Takes the next task, or returns `None` if there is none. The task's payload replaces the contents of `payload`.
    #[inline]
    pub fn take(&mut self, payload: &mut Vec<u8>) -> Option<TaskSlot> {
        loop {
            // Pairs with the release store in `PoolRing::publish`.
            if self.memory.word(TASK_TAIL).load(Ordering::Acquire) == self.task_head {
                return None;
            }
            let position = self.task_head;
            self.task_head += 1;
            let state = self.memory.half_word(STATES + slot_index(position) * 4);
            // Pairs with the exchange in `PoolRing::revoke`.
            let taken = state.compare_exchange(READY, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            let slot = taken.then(|| TaskSlot::decode(&read_slot(&self.memory, TASK_SLOTS, position)));
            if let Some(slot) = slot {
                let offset = (slot.payload % TASK_AREA_BYTES as u64) as usize;
                payload.clear();
                self.memory.copy_out(TASK_AREA + offset, slot.payload_len as usize, payload);
            }
            // Pairs with the acquire load in `PoolRing::has_room`.
            self.memory.word(TASK_HEAD).store(self.task_head, Ordering::Release);
            if slot.is_some() {
                return slot;
            }
        }
    }

    /// Announces which task runs, and since when.
    #[inline]
    pub fn begin(&self, ticket: u64, start_ns: u64) {
        // Pairs with the loads in `TaskClock::current`.
        self.memory.word(CURRENT).store(0, Ordering::Release);
        self.memory.word(CURRENT_START).store(start_ns, Ordering::Release);
        MemoryNotes::reset(&self.memory);
        self.memory.word(CURRENT).store(ticket + 1, Ordering::Release);
    }

    /// Whether `len` bytes of payload can travel in the ring now.
    #[inline]
    pub fn has_room(&mut self, len: usize) -> bool {
        len <= INLINE_MAX_BYTES && self.room_for(len).is_some()
    }

    #[inline]
    fn room_for(&mut self, len: usize) -> Option<u64> {
        // Pairs with the release store in `PoolRing::release`.
        self.area.place(len).or_else(|| {
            self.area.free_until(self.memory.word(DONE_HEAD).load(Ordering::Acquire));
            self.area.place(len)
        })
    }

    /// Writes and publishes a completion with its payload, which is the concatenation of `parts`; fills in `done.payload`. Returns whether
    /// the pool has to be woken.
    ///
    /// # Panics
    ///
    /// If [`WorkerRing::has_room`] would have returned false.
    #[inline]
    #[must_use]
    pub fn finish(&mut self, mut done: DoneSlot, parts: &[&[u8]]) -> bool {
        let len = parts.iter().map(|part| part.len()).sum();
        let start = self.room_for(len).expect("the caller asked for room");
        let mut at = DONE_AREA + (start % DONE_AREA_BYTES as u64) as usize;
        for part in parts {
            self.memory.copy_in(at, part);
            at += part.len();
        }
        self.area.take(self.done_tail, start, len);
        done.payload = Payload::Ring(start);
        self.publish(&done)
    }

    /// Writes and publishes a completion whose payload was sent through the socket. Returns whether the pool has to be woken.
    #[inline]
    #[must_use]
    pub fn finish_with_file(&mut self, mut done: DoneSlot) -> bool {
        self.area.take(self.done_tail, self.area.tail, 0);
        done.payload = Payload::File;
        self.publish(&done)
    }

    #[inline]
    fn publish(&mut self, done: &DoneSlot) -> bool {
        self.memory.word(CURRENT).store(0, Ordering::Release);
        write_slot(&self.memory, DONE_SLOTS, self.done_tail, &done.encode());
        self.done_tail += 1;
        // Pairs with the acquire load in `PoolRing::pop`; and, together with the load in `wants_waking`, with the fence in
        // `PoolRing::fall_asleep`. It takes the place of a fence of our own, which would cost more.
        self.memory.word(DONE_TAIL).store(self.done_tail, Ordering::SeqCst);
        self.wants_waking()
    }

    #[inline]
    fn wants_waking(&self) -> bool {
        let wake_at = self.memory.word(WAKE_AT);
        let at = wake_at.load(Ordering::SeqCst);
        at <= self.done_tail && wake_at.compare_exchange(at, NEVER, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Announces that this worker will sleep. Returns `false` if a task has come: then do not sleep.
    #[inline]
    #[must_use]
    pub fn fall_asleep(&self) -> bool {
        self.memory.half_word(WORKER_SLEEPS).store(1, Ordering::Relaxed);
        // Pairs with the fence in `PoolRing::publish`.
        fence(Ordering::SeqCst);
        self.memory.word(TASK_TAIL).load(Ordering::Relaxed) == self.task_head
    }

    /// Withdraws the announcement.
    #[inline]
    pub fn awake(&self) {
        self.memory.half_word(WORKER_SLEEPS).store(0, Ordering::Relaxed);
    }

    /// Before this worker sleeps: whether the pool waits for more completions than will come, and so has to be woken.
    #[inline]
    #[must_use]
    pub fn pool_waits(&self) -> bool {
        let wake_at = self.memory.word(WAKE_AT);
        let at = wake_at.load(Ordering::Relaxed);
        at != NEVER && wake_at.compare_exchange(at, NEVER, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(any(test, feature = "test-support"))]
pub mod forge;
#[cfg(any(test, feature = "test-support"))]
pub mod fuzz;
mod task_memory;
#[cfg(test)]
mod tests;
