//! Writes into a ring what no worker writes, for tests.

use super::*;

/// A second hand on a worker's ring.
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

    /// Says that all tasks up to `position` have been copied out.
    pub fn consume(&self, position: u64) {
        self.0.word(TASK_HEAD).store(position, Ordering::Release);
    }

    /// Takes all tasks.
    pub fn take_all(&self) {
        for slot in 0..SLOTS {
            self.0.half_word(STATES + slot * 4).store(TAKEN, Ordering::Relaxed);
        }
    }

    /// Changes a word that `random` chooses; more often one of the header or of a completion.
    pub fn flip(&self, random: u64) {
        let places = [WAKE_AT + 128, TASK_SLOTS, TASK_AREA, RING_BYTES];
        let below = places[(random % 4) as usize] as u64;
        let at = (random >> 8) % (below / 8) * 8;
        self.0.word(at as usize).fetch_xor(1 << (random >> 58), Ordering::Relaxed);
    }
}
