//! Fuzzes a pool's ring with a worker that is honest at first, and then writes anything anywhere.

use std::collections::VecDeque;

use super::super::fuzz::Choices;
use super::*;
use crate::wire::DONE_SLOT_WORDS;

/// Both sides of a ring, and what a pool remembers in addition.
struct Play {
    pool: PoolRing,
    clock: TaskClock,
    /// `None` once the memory holds what would confuse an honest worker.
    worker: Option<WorkerRing>,
    /// The same memory, to write into.
    memory: std::sync::Arc<SharedMemory>,
    /// Ticket and position of the tasks that the worker holds.
    held: VecDeque<(u64, u64)>,
    next_ticket: u64,
    /// The task that the worker runs.
    running: Option<u64>,
    /// Completions that have not been read, while everything is legal: ticket, number of bytes, whether they are in the ring.
    sent: VecDeque<(u64, usize, bool)>,
    /// Whether nothing illegal has been written yet.
    legal: bool,
}

/// Lets both sides do what the bytes say, step by step.
///
/// # Panics
///
/// If the pool's side panics, gets bytes that are not a completion's, or reports a violation by an honest worker.
pub fn ring(data: &[u8]) {
    let (file, pool) = PoolRing::new().expect("memory for a ring");
    let mut play = Play {
        clock: pool.clock(),
        memory: pool.memory.clone(),
        pool,
        worker: Some(WorkerRing::map(&file).expect("the same memory")),
        held: VecDeque::new(),
        next_ticket: 1,
        running: None,
        sent: VecDeque::new(),
        legal: true,
    };
    let mut choices = Choices(data);
    while !choices.is_over() {
        play.step(&mut choices);
    }
    // The pool reads once more, as it does when a worker is gone.
    while play.pop() {}
}

impl Play {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.number::<1>() % 16 {
            0 | 1 => self.push(choices.number::<3>() as usize % (MAX_TASK_PAYLOAD_BYTES + 1)),
            2 => drop(self.pool.publish()),
            3 => self.take_back(),
            4 => drop(self.pop()),
            5 => while self.pop() {},
            6 => self.pool.release(),
            7 => {
                let slept = self.pool.fall_asleep(choices.number::<1>());
                assert!(slept || !self.legal || !self.sent.is_empty(), "nothing is there");
                self.pool.awake();
            }
            8 => self.look_at_the_clock(),
            9 | 10 => self.take(),
            11 => self.finish(choices.number::<3>() as usize % (2 * INLINE_MAX_BYTES)),
            12 => {
                if let Some(worker) = &self.worker {
                    let _ = (worker.pool_waits(), worker.fall_asleep());
                    worker.awake();
                }
            }
            13 => self.overwrite_a_word(choices),
            14 => self.lie(choices),
            _ => self.overwrite_bytes(choices),
        }
    }

    /// Pushes a task as the pool does.
    fn push(&mut self, len: usize) {
        if self.held.front().is_some_and(|(_, position)| self.pool.next_position() - position >= SLOTS as u64) {
            return;
        }
        let consumed = self.pool.task_head;
        let room = self.pool.has_room(len);
        assert!((consumed..=self.pool.task_tail).contains(&self.pool.task_head), "positions only grow");
        match room {
            Ok(false) => {}
            Ok(true) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                let position = self.pool.push(TaskSlot::plain(ticket), &vec![ticket as u8; len]);
                self.held.push_back((ticket, position));
            }
            Err(violation) => assert!(!self.legal, "{violation:?}"),
        }
    }

    fn take_back(&mut self) {
        if let Some(&(ticket, position)) = self.held.back()
            && self.pool.revoke(position)
        {
            assert!(!self.legal || (self.running != Some(ticket) && self.sent.iter().all(|sent| sent.0 != ticket)));
            self.held.pop_back();
        }
    }

    /// Reads a completion; returns whether there was one.
    fn pop(&mut self) -> bool {
        let mut payload = vec![1, 2, 3];
        match self.pool.pop(&mut payload) {
            Ok(None) => {
                assert!(!self.legal || self.sent.is_empty(), "a completion is lost");
                false
            }
            Ok(Some(done)) => {
                let len = done.payload_len().expect("it was checked") as usize;
                let in_ring = done.payload != Payload::File;
                assert_eq!(payload[..3], [1, 2, 3]);
                let bytes = &payload[3..];
                assert_eq!(bytes.len(), if in_ring { len } else { 0 });
                assert!(bytes.len() <= INLINE_MAX_BYTES);
                let is_first = self.held.front().is_some_and(|held| held.0 == done.ticket);
                if self.legal {
                    assert_eq!(self.sent.pop_front(), Some((done.ticket, len, in_ring)));
                    assert!(is_first, "tasks end in their order");
                    assert!(bytes.iter().all(|&byte| byte == done.ticket as u8));
                }
                if is_first {
                    self.held.pop_front();
                }
                true
            }
            Err(violation) => {
                assert!(!self.legal, "{violation:?}");
                false
            }
        }
    }

    fn look_at_the_clock(&self) {
        let current = self.clock.current();
        if self.legal {
            assert_eq!(current, self.running.map(|ticket| (ticket, ticket + 7)));
        }
    }

    fn take(&mut self) {
        let Some(worker) = self.worker.as_mut().filter(|_| self.running.is_none()) else { return };
        let mut payload = Vec::new();
        if let Some(slot) = worker.take(&mut payload) {
            assert_eq!(payload.len(), slot.payload_len as usize);
            if self.legal {
                assert!(self.held.iter().any(|held| held.0 == slot.ticket), "it was not taken back");
                assert!(payload.iter().all(|&byte| byte == slot.ticket as u8));
            }
            worker.begin(slot.ticket, slot.ticket.wrapping_add(7));
            self.running = Some(slot.ticket);
        }
    }

    fn finish(&mut self, len: usize) {
        let Some(worker) = &mut self.worker else { return };
        let Some(ticket) = self.running.take() else { return };
        let done = DoneSlot::ok(ticket, len as u64);
        let in_ring = worker.has_room(len);
        let _ = if in_ring {
            let bytes = vec![ticket as u8; len];
            worker.finish(done, &[&bytes[..len / 2], &bytes[len / 2..]])
        } else {
            worker.finish_with_file(done)
        };
        self.sent.push_back((ticket, len, in_ring));
    }

    /// Overwrites a word that belongs to the worker.
    fn overwrite_a_word(&mut self, choices: &mut Choices<'_>) {
        self.legal = false;
        let word = choices.number::<1>();
        // Close to where the pool reads next.
        let near = choices.number::<1>() % 8;
        let state = STATES + slot_index((self.pool.task_tail + near).saturating_sub(4)) * 4;
        let done = DONE_SLOTS + slot_index(self.pool.done_head + near) * DONE_SLOT_WORDS * 8;
        let half_word = match word % 16 {
            0 => Some(WORKER_SLEEPS),
            1 | 2 => Some(state),
            _ => None,
        };
        if let Some(at) = half_word {
            return self.memory.half_word(at).store(choices.number::<4>() as u32, Ordering::Relaxed);
        }
        let at = match word % 16 {
            3 => TASK_HEAD,
            4 | 5 => DONE_TAIL,
            6 => WAKE_AT,
            7 => CURRENT,
            8 => CURRENT_START,
            word => done + (word as usize - 9) * 8,
        };
        let before = self.memory.word(at).load(Ordering::Relaxed);
        self.memory.word(at).store(a_number(choices, before), Ordering::Relaxed);
    }

    /// Writes a completion that may be a lie where the pool reads next.
    fn lie(&mut self, choices: &mut Choices<'_>) {
        self.legal = false;
        let ticket = match (choices.number::<1>() % 4, self.held.front()) {
            (0, _) | (_, None) => choices.number::<1>(),
            (_, Some(held)) => held.0,
        };
        let [status, at, output, texts] = std::array::from_fn(|_| a_number(choices, 0));
        let slot = [ticket, (status & !0xff) | (status % 10), at, output, texts, status, at, output];
        let position = self.pool.done_head + choices.number::<1>() % 2;
        write_slot(&self.memory, DONE_SLOTS, position, &slot);
        self.memory.word(DONE_TAIL).store(position + 1, Ordering::Release);
    }

    /// Writes bytes anywhere, even over the pool's own words.
    fn overwrite_bytes(&mut self, choices: &mut Choices<'_>) {
        self.legal = false;
        // An honest worker trusts what the pool wrote, so it can no longer run.
        self.worker = None;
        let at = match choices.number::<1>() % 4 {
            0 => choices.number::<2>() as usize % STATES,
            1 => STATES + choices.number::<3>() as usize % (TASK_AREA - STATES),
            _ => choices.number::<3>() as usize % RING_BYTES,
        };
        let (byte, len) = (choices.number::<1>() as u8, choices.number::<2>() as usize);
        let bytes: Vec<u8> = (0..len.min(RING_BYTES - at)).map(|i| byte.wrapping_mul(i as u8 | 1)).collect();
        self.memory.copy_in(at, &bytes);
    }
}

/// A number at which something may go wrong; some are near `before`.
fn a_number(choices: &mut Choices<'_>, before: u64) -> u64 {
    let kind = choices.number::<1>();
    let small = choices.number::<1>();
    match kind % 8 {
        0 => choices.number::<8>(),
        1 => u64::MAX - small,
        2 => small << 8,
        3 => DONE_AREA_BYTES as u64 - small,
        4 => small << 32,
        5 => before.wrapping_add(small),
        6 => before.wrapping_sub(small),
        _ => 1 << (small % 64),
    }
}
