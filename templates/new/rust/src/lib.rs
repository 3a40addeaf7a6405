//! Counts words: `count` makes a table of one piece of text, `merge` combines several tables into one.
//!
//! A word is a maximal run of ASCII letters and digits. A table has a line `WORD COUNT` for each word, in the order of the words'
//! bytes. `merge` gives the same result for any grouping and order of its tables.

use std::collections::HashMap;
use std::str;

use wrun_guest::{Error, Input, Inputs, task};

/// Words and how often each occurs. The words are not copied: they are in the mapped inputs.
type Table<'a> = HashMap<&'a [u8], u64>;

/// The table of the words in the task's piece of text.
#[task]
fn count(input: Input) -> Result<Vec<u8>, Error> {
    let text = input.map()?;
    let mut table = Table::new();
    for word in text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        *table.entry(word).or_default() += 1;
    }
    Ok(to_bytes(&table))
}

/// One table of all words in several tables, with the counts of each word added up.
#[task]
fn merge(tables: Inputs) -> Result<Vec<u8>, Error> {
    let windows = tables.iter().map(|table| table.map()).collect::<Result<Vec<_>, _>>()?;
    let mut merged = Table::new();
    for (index, text) in windows.iter().enumerate() {
        for (line, row) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let (word, count) = parse(row.trim_ascii_end())
                .ok_or_else(|| Error::new(format_args!("table {index}: line {} is not `WORD COUNT`", line + 1)))?;
            *merged.entry(word).or_default() += count;
        }
    }
    Ok(to_bytes(&merged))
}

fn parse(row: &[u8]) -> Option<(&[u8], u64)> {
    let space = row.iter().position(|byte| *byte == b' ')?;
    let (word, count) = (&row[..space], &row[space + 1..]);
    let is_word = !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
    let count = str::from_utf8(count).ok()?.parse().ok().filter(|count| *count > 0)?;
    is_word.then_some((word, count))
}

fn to_bytes(table: &Table) -> Vec<u8> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_unstable();
    let mut text = Vec::new();
    for (word, count) in entries {
        text.extend_from_slice(word);
        text.extend_from_slice(format!(" {count}\n").as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn counted(text: &str) -> Vec<u8> {
        TestTask::new().input("text", text).run(|task| Ok(count(task.extract()?))).unwrap()
    }

    fn merged(tables: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let task = tables.iter().fold(TestTask::new(), |task, table| task.input("", table));
        task.run(|task| Ok(merge(task.extract()?)))
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(counted("the The, the; R2D2--x_y"), b"R2D2 1\nThe 1\nthe 2\nx 1\ny 1\n");
        assert_eq!(counted(""), b"");
    }

    #[test]
    fn counts_of_a_word_are_added() {
        assert_eq!(merged(&[counted("a b b"), counted("b c")]).unwrap(), counted("a b b b c"));
        assert_eq!(merged(&[b"a 1\nb\n".to_vec()]).unwrap_err(), "table 0: line 2 is not `WORD COUNT`");
    }
}
