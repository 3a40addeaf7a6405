//! Looks each item up in a dictionary of 200,000 words.
//!
//! ```text
//! wrun map dictionary.wasm bebo dalati
//! ```
//!
//! The dictionary is text in the module. The initializer parses it once, and `wrun` keeps a snapshot of the table that it makes:
//! instances begin with it. With `--no-snapshot`, each instance parses the text again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;

use wrun_guest::{Error, init, task};

/// One `WORD<TAB>MEANING` a line.
const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/dictionary.txt"));

/// Without random numbers, which an initializer does not get.
type Table = HashMap<&'static str, &'static str, BuildHasherDefault<DefaultHasher>>;

static TABLE: OnceLock<Table> = OnceLock::new();

fn table() -> &'static Table {
    TABLE.get_or_init(|| TEXT.lines().filter_map(|line| line.split_once('\t')).collect())
}

#[init]
fn parse() {
    table();
}

/// What a word means.
#[task]
fn meaning(word: &str) -> Result<&'static str, Error> {
    table().get(word).copied().ok_or_else(|| Error::new(format_args!("there is no word {word:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_a_meaning() {
        assert_eq!(table().len(), 200_000);
        assert_eq!(meaning("be").unwrap().split(' ').next_back(), Some("1"));
        assert_eq!(meaning("bo").unwrap().split(' ').next_back(), Some("3"));
        assert_eq!(meaning("xyz").unwrap_err().to_string(), "there is no word \"xyz\"");
    }
}
