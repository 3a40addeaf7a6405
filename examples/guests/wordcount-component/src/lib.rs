//! Counts words as the guest `wordcount` does, as a component: `run` makes a table of one piece of text, `merge` combines several tables
//! into one.
//!
//! ```text
//! wrun map wordcount-component.wasm --split 16M big.txt --reduce merge
//! ```

use std::collections::BTreeMap;

use bindings::Guest;
use bindings::wrun::task::inputs::{self, Input};
use bindings::wrun::task::output;

mod bindings {
    wit_bindgen::generate!({ world: "merging-task", path: "../../../guest-sdk/wit" });
}

bindings::export!(WordCount with_types_in bindings);

/// Bytes of a list that is read or written: a piece of an input need not be in memory as a whole.
const LIST_BYTES: usize = 1 << 20;

/// How often each word occurs.
type Counts = BTreeMap<Vec<u8>, u64>;

struct WordCount;

impl Guest for WordCount {
    fn run() -> Result<(), String> {
        let text = inputs::get(0).ok_or("there is no text: use --files or --split")?;
        write(&count(&text));
        Ok(())
    }

    fn merge() -> Result<(), String> {
        let mut merged = Counts::new();
        for index in 0..inputs::count() {
            let table = inputs::get(index).map(|table| table.read(0, table.len())).unwrap_or_default();
            add_table(&mut merged, &table).ok_or_else(|| format!("table {index} is not one of words and counts"))?;
        }
        write(&merged);
        Ok(())
    }
}

/// Counts the words of a text: runs of ASCII letters and digits.
fn count(text: &Input) -> Counts {
    let (mut counts, mut word, mut offset) = (Counts::new(), Vec::new(), 0);
    loop {
        let bytes = text.read(offset, LIST_BYTES as u64);
        offset += bytes.len() as u64;
        for part in bytes.split_inclusive(|byte| !byte.is_ascii_alphanumeric()) {
            match part.split_last() {
                Some((separator, rest)) if !separator.is_ascii_alphanumeric() => {
                    word.extend_from_slice(rest);
                    add(&mut counts, &word, 1);
                    word.clear();
                }
                // The word may go on in the next list.
                _ => word.extend_from_slice(part),
            }
        }
        if bytes.is_empty() {
            add(&mut counts, &word, 1);
            return counts;
        }
    }
}

/// Adds the lines `WORD COUNT` of a table; `None` if it has others.
fn add_table(counts: &mut Counts, table: &[u8]) -> Option<()> {
    for line in table.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let space = line.iter().position(|byte| *byte == b' ')?;
        let count = str::from_utf8(&line[space + 1..]).ok()?.parse().ok()?;
        add(counts, &line[..space], count);
    }
    Some(())
}

fn add(counts: &mut Counts, word: &[u8], count: u64) {
    if let Some(known) = counts.get_mut(word) {
        *known += count;
    } else if !word.is_empty() {
        counts.insert(word.to_vec(), count);
    }
}

/// Writes a line `WORD COUNT` for each word.
fn write(counts: &Counts) {
    let mut lines = Vec::new();
    for (word, count) in counts {
        lines.extend_from_slice(word);
        lines.extend_from_slice(format!(" {count}\n").as_bytes());
        if lines.len() >= LIST_BYTES {
            output::write(&lines);
            lines.clear();
        }
    }
    output::write(&lines);
}
