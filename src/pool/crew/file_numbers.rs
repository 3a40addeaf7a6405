//! Which of a worker's file numbers stands for which open file.

use std::collections::HashMap;

use crate::sys::rlimit;
use crate::{Input, sandbox};

/// The numbers of one worker. The job's shared files have the lowest ones for as long as the job lasts. The others go to files of
/// single tasks and are reused for other files once no task under way refers to them.
#[derive(Debug, Default)]
pub(super) struct FileNumbers {
    slots: Vec<FileSlot>,
    by_file: HashMap<u64, u32>,
    /// Numbers of files that the worker has closed.
    closed: Vec<u32>,
    /// Numbers that no task refers to, oldest first; some entries are out of date.
    idle: std::collections::VecDeque<u32>,
    pinned: u32,
    /// How many files may stay open beyond those in use.
    max_idle: usize,
    /// How many files of single tasks the worker may have open.
    most: u64,
}

#[derive(Debug)]
struct FileSlot {
    /// The file's number in this process ([`Input::file`]), or [`NO_FILE`].
    file: u64,
    /// Tasks under way that refer to it.
    uses: u32,
    /// Whether it is listed in `idle`.
    listed: bool,
}

/// Stands for no file.
const NO_FILE: u64 = u64::MAX;

/// A worker's other descriptors: its standard streams, its socket, its module, those of granted directories, and some to spare.
const OTHERS: u64 = 32;

/// How many files of single tasks a worker may keep open beyond those of tasks under way.
const MAX_IDLE: usize = 64;

impl FileNumbers {
    /// Begins a job whose shared files have the numbers below `pinned`.
    pub fn begin_job(&mut self, pinned: u32) {
        // The worker may have as many descriptors as this process.
        let max_idle = usize::try_from(rlimit::descriptors() / 8).unwrap_or(MAX_IDLE).min(MAX_IDLE);
        let most = rlimit::descriptors().min(sandbox::DESCRIPTORS).saturating_sub(u64::from(pinned) + OTHERS);
        *self = FileNumbers { pinned, max_idle, most, ..FileNumbers::default() };
    }

    /// Whether the worker has room for this many more files.
    pub fn has_room(&self, more: usize) -> bool {
        let open = self.slots.len() - self.closed.len();
        (open + more) as u64 <= self.most
    }

    /// The number for an input of a task that is about to be sent, and whether the file has to be sent to the worker first.
    pub fn take(&mut self, input: &Input) -> (u32, bool) {
        let (_, file) = input.file();
        if let Some(&number) = self.by_file.get(&file) {
            self.slots[number as usize].uses += 1;
            return (self.pinned + number, false);
        }
        let number = match self.closed.pop().or_else(|| self.reusable()) {
            Some(number) => {
                let slot = &mut self.slots[number as usize];
                self.by_file.remove(&slot.file);
                (slot.file, slot.uses) = (file, 1);
                number
            }
            None => {
                self.slots.push(FileSlot { file, uses: 1, listed: false });
                self.slots.len() as u32 - 1
            }
        };
        self.by_file.insert(file, number);
        (self.pinned + number, true)
    }

    /// Notes that a task that referred to `input` is no longer under way.
    pub fn give_back(&mut self, input: &Input) {
        let (_, file) = input.file();
        if let Some(&number) = self.by_file.get(&file) {
            let slot = &mut self.slots[number as usize];
            slot.uses -= 1;
            if slot.uses == 0 && !slot.listed {
                slot.listed = true;
                self.idle.push_back(number);
            }
        }
    }

    /// Notes the same for a file that no later task will refer to, so that it does not stay open in the worker for nothing. Returns
    /// its number if the worker has to close it.
    pub fn close(&mut self, input: &Input) -> Option<u32> {
        let (_, file) = input.file();
        let number = *self.by_file.get(&file)?;
        let slot = &mut self.slots[number as usize];
        slot.uses -= 1;
        if slot.uses > 0 {
            return None;
        }
        slot.file = NO_FILE;
        self.by_file.remove(&file);
        // A number that is listed as idle is reused from there.
        if !slot.listed {
            self.closed.push(number);
        }
        Some(self.pinned + number)
    }

    fn reusable(&mut self) -> Option<u32> {
        while self.idle.len() > self.max_idle {
            let number = self.idle.pop_front()?;
            let slot = &mut self.slots[number as usize];
            slot.listed = false;
            if slot.uses == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_number_and_numbers_are_used_again() {
        let mut numbers = FileNumbers::default();
        numbers.begin_job(3);
        let inputs: Vec<Input> = (0..200).map(|n| Input::from_bytes(&n.to_string(), b"x").expect("memory")).collect();
        assert_eq!(numbers.take(&inputs[0]), (3, true));
        assert_eq!(numbers.take(&inputs[0].slice(0..1).expect("a range")), (3, false), "the same file");
        assert_eq!(numbers.take(&inputs[1]), (4, true));
        numbers.give_back(&inputs[1]);
        let mut highest = 0;
        for input in &inputs[2..] {
            let (number, new) = numbers.take(input);
            assert!(new);
            assert_ne!(number, 3, "its file is in use");
            highest = highest.max(number);
            numbers.give_back(input);
        }
        assert!(highest <= 3 + 2 + MAX_IDLE as u32, "{highest}");
    }

    #[test]
    fn a_worker_has_room_for_no_more_files_than_it_may_open() {
        let mut numbers = FileNumbers::default();
        numbers.begin_job(3);
        let most = numbers.most as usize;
        assert!(most < sandbox::DESCRIPTORS as usize && numbers.has_room(most) && !numbers.has_room(most + 1));
        let inputs: Vec<Input> = (0..2).map(|n| Input::from_bytes(&n.to_string(), b"x").expect("memory")).collect();
        inputs.iter().for_each(|input| assert!(numbers.take(input).1));
        assert!(numbers.has_room(most - 2) && !numbers.has_room(most - 1));
        numbers.close(&inputs[0]);
        assert!(numbers.has_room(most - 1), "one is closed");
        numbers.begin_job(most as u32 + 100);
        assert!(!numbers.has_room(1));
    }

    #[test]
    fn a_file_that_is_closed_leaves_its_number_to_the_next() {
        let mut numbers = FileNumbers::default();
        numbers.begin_job(3);
        let inputs: Vec<Input> = (0..200).map(|n| Input::from_bytes(&n.to_string(), b"x").expect("memory")).collect();
        for input in &inputs {
            assert_eq!(numbers.take(input), (3, true));
            assert_eq!(numbers.take(input), (3, false));
            assert_eq!(numbers.close(input), None, "one task still refers to it");
            assert_eq!(numbers.close(input), Some(3));
            assert_eq!(numbers.close(input), None, "it is closed");
        }
        // A number that is listed as idle is reused only once.
        assert_eq!(numbers.take(&inputs[0]), (3, true));
        numbers.give_back(&inputs[0]);
        assert_eq!(numbers.take(&inputs[0]), (3, false));
        assert_eq!(numbers.close(&inputs[0]), Some(3));
        let mut taken: Vec<u32> = inputs.iter().map(|input| numbers.take(input).0).collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), inputs.len());
    }
}
