//! Writes into a ring what no honest worker writes, for tests.

use super::*;
use crate::wire::DONE_SLOT_WORDS;

/// Raw access to a worker's ring.
#[derive(Debug)]
pub struct Forge(SharedMemory);

impl Forge {
    /// Maps the ring in this file.
    pub fn map(file: &File) -> io::Result<Forge> {
        Ok(Forge(SharedMemory::map(file, RING_BYTES)?))
    }

    /// Announces completions up to `position`.
    pub fn announce(&self, position: u64) {
        self.0.word(DONE_TAIL).store(position, Ordering::Release);
    }

    /// Writes the completion at `position` and announces it.
    pub fn write(&self, position: u64, slot: &[u64; DONE_SLOT_WORDS]) {
        write_slot(&self.0, DONE_SLOTS, position, slot);
        self.announce(position + 1);
    }

    /// Claims that all tasks up to `position` have been copied out.
    pub fn consume(&self, position: u64) {
        self.0.word(TASK_HEAD).store(position, Ordering::Release);
    }

    /// Takes all tasks.
    pub fn take_all(&self) {
        for slot in 0..SLOTS {
            self.0.half_word(STATES + slot * 4).store(TAKEN, Ordering::Relaxed);
        }
    }

    /// Flips a bit of a word that `random` chooses, more often one in the header or in a completion.
    pub fn flip(&self, random: u64) {
        let limits = [WAKE_AT + 128, TASK_SLOTS, TASK_AREA, RING_BYTES];
        let below = limits[(random % 4) as usize] as u64;
        let at = (random >> 8) % (below / 8) * 8;
        self.0.word(at as usize).fetch_xor(1 << (random >> 58), Ordering::Relaxed);
    }
}
