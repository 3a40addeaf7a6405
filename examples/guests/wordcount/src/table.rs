//! A table of words and counts.

use crate::words::{Word, for_each_word};

/// Words and how often each occurs; the words borrow from the text or the tables that they come from.
///
/// A hash table with open addressing: the number of slots is a power of two, and at most half of them are used.
pub struct Table<'a> {
    slots: Vec<Entry<'a>>,
    used: usize,
}

/// A word and its count, which is 0 in a free slot.
#[derive(Clone, Copy)]
struct Entry<'a> {
    word: Word<'a>,
    count: u64,
}

const FREE: Entry = Entry { word: Word { bytes: &[], head: 0, hash: 0 }, count: 0 };

impl Default for Table<'_> {
    fn default() -> Self {
        Table { slots: vec![FREE; 1 << 12], used: 0 }
    }
}

impl<'a> Table<'a> {
    /// Counts the words of a text.
    pub fn of_text(text: &'a [u8]) -> Self {
        let mut table = Table::default();
        for_each_word(text, |word| table.add(word, 1));
        table
    }

    /// Adds the counts of a table that [`to_bytes`](Self::to_bytes) wrote.
    pub fn add_table(&mut self, text: &'a [u8]) -> Result<(), String> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.is_empty() {
            return Ok(());
        }
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            let (word, count) = parse_line(line)
                .ok_or_else(|| format!("line {number} is not `WORD COUNT`: {:?}", String::from_utf8_lossy(line)))?;
            self.add(word, count);
        }
        Ok(())
    }

    fn add(&mut self, word: Word<'a>, count: u64) {
        let entry = self.find(&word);
        if entry.count == 0 {
            *entry = Entry { word, count };
            self.used += 1;
            if self.used > self.slots.len() / 2 {
                self.grow();
            }
        } else {
            entry.count += count;
        }
    }

    /// The word's slot, or the free slot where it belongs.
    fn find(&mut self, word: &Word) -> &mut Entry<'a> {
        let mask = self.slots.len() - 1;
        let mut index = word.hash as usize & mask;
        while self.slots[index].count != 0 && !self.slots[index].word.is_same(word) {
            index = (index + 1) & mask;
        }
        &mut self.slots[index]
    }

    fn grow(&mut self) {
        let larger = vec![FREE; 2 * self.slots.len()];
        for entry in std::mem::replace(&mut self.slots, larger) {
            if entry.count != 0 {
                *self.find(&entry.word) = entry;
            }
        }
    }

    /// A line `WORD COUNT` for each word, in the order of the words' bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries: Vec<&Entry> = self.slots.iter().filter(|entry| entry.count != 0).collect();
        entries.sort_unstable_by_key(|entry| (entry.word.head.swap_bytes(), entry.word.bytes));
        let mut text = Vec::with_capacity(entries.iter().map(|entry| entry.word.bytes.len() + 8).sum());
        for entry in entries {
            text.extend_from_slice(entry.word.bytes);
            text.extend_from_slice(format!(" {}\n", entry.count).as_bytes());
        }
        text
    }
}

fn parse_line(line: &[u8]) -> Option<(Word<'_>, u64)> {
    let space = line.iter().position(|byte| *byte == b' ').filter(|space| *space > 0)?;
    let count = std::str::from_utf8(&line[space + 1..]).ok()?.parse().ok().filter(|count| *count > 0)?;
    line[..space].iter().all(u8::is_ascii_alphanumeric).then(|| (Word::at(line, 0, space), count))
}
