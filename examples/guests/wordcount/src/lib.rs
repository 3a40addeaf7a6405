//! Counts words: `count` makes a table of one piece of text, `merge` combines several tables into one.
//!
//! ```text
//! wrun map wordcount.wasm --call count --split 16M big.txt --reduce merge
//! ```
//!
//! A word is a maximal run of ASCII letters and digits; upper and lower case differ, and every other byte separates
//! words, so text in any encoding can be counted. A table has a line `WORD COUNT` for each word, in the order of the
//! words' bytes. Both tasks write such tables, and `merge` gives the same result for any grouping and order of them. These
//! standard tools print the same bytes:
//!
//! ```text
//! export LC_ALL=C
//! tr -cs '[:alnum:]' '\n' < big.txt | grep . | sort | uniq -c | awk '{ print $2, $1 }'
//! ```

mod table;
mod words;

use table::Table;
use wrun_guest::{Error, Input, Inputs, task};

/// The table of the words in the task's piece of text.
#[task]
fn count(input: Input) -> Result<Vec<u8>, Error> {
    let text = input.map()?;
    Ok(Table::of_text(&text).to_bytes())
}

/// One table of all words in several tables, with the counts of each word added up.
#[task]
fn merge(tables: Inputs) -> Result<Vec<u8>, Error> {
    let windows = tables.iter().map(|table| table.map()).collect::<Result<Vec<_>, _>>()?;
    let mut merged = Table::default();
    for (index, window) in windows.iter().enumerate() {
        merged.add_table(window).map_err(|error| Error::new(format_args!("table {index}: {error}")))?;
    }
    Ok(merged.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn counted(text: &[u8]) -> Vec<u8> {
        TestTask::new().input("text", text).run(|task| Ok(count(task.extract()?))).unwrap()
    }

    fn merged(tables: &[&[u8]]) -> Result<Vec<u8>, String> {
        let task = tables.iter().fold(TestTask::new(), |task, table| task.input("", table));
        task.run(|task| Ok(merge(task.extract()?)))
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let table = counted(b"The the, the; R2D2 caf\xc3\xa9 x_y -- \0The");
        assert_eq!(String::from_utf8(table).unwrap(), "R2D2 1\nThe 2\ncaf 1\nthe 2\nx 1\ny 1\n");
        assert_eq!(counted(b""), b"");
        assert_eq!(counted(b" .\n"), b"");
    }

    #[test]
    fn merging_in_any_grouping_is_counting_all() {
        let [a, b, c] = [&b"one two"[..], b"two three", b"three three four"].map(counted);
        let all = counted(b"one two two three three three four");
        assert_eq!(merged(&[&a, &b, &c]).unwrap(), all);
        assert_eq!(merged(&[&merged(&[&a, &b]).unwrap(), &c]).unwrap(), all);
        assert_eq!(merged(&[&c, &merged(&[&b, &a]).unwrap()]).unwrap(), all);
        assert_eq!(merged(&[]).unwrap(), b"");
    }

    #[test]
    fn text_that_is_not_a_table_is_refused() {
        assert_eq!(merged(&[b"a 1\n", b"a 1\nb\n"]).unwrap_err(), "table 1: line 2 is not `WORD COUNT`: \"b\"");
        for table in ["a -1\n", "a 0\n", " 1\n", "a b 1\n", "\n\n"] {
            assert!(merged(&[table.as_bytes()]).unwrap_err().contains("line 1"), "{table:?}");
        }
    }
}
