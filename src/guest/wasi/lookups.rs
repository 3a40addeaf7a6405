//! Which paths a task looked for where only its own files are. Programs look for many files that need not be there, so this alone is
//! no reason why one fails.

use std::collections::VecDeque;

/// How many paths are kept, and how many bytes of each.
const MAX_PATHS: usize = 64;
const MAX_PATH_BYTES: usize = 512;

/// The last paths that were not found, or not writable.
#[derive(Debug, Default)]
pub(in crate::guest) struct Lookups {
    missed: VecDeque<Box<str>>,
    last_failed: bool,
}

impl Lookups {
    /// Notes that a call about a path succeeded, or failed for a reason that no grant would change.
    pub fn pass(&mut self) {
        self.last_failed = false;
    }

    /// Notes that a call about this path failed.
    pub fn miss(&mut self, path: &str) {
        self.last_failed = true;
        let mut start = path.len().saturating_sub(MAX_PATH_BYTES);
        while !path.is_char_boundary(start) {
            start += 1;
        }
        let path = path[start..].trim_end_matches('/');
        if self.missed.iter().any(|missed| **missed == *path) {
            return;
        }
        if self.missed.len() == MAX_PATHS {
            self.missed.pop_front();
        }
        self.missed.push_back(path.into());
    }

    /// Whether the last call about a path failed.
    pub fn last_failed(&self) -> bool {
        self.last_failed
    }

    /// Whether these words name one of the paths, or the file at its end.
    pub fn are_named_in(&self, words: &str) -> bool {
        self.missed.iter().any(|path| {
            let file = path.rsplit('/').next().unwrap_or(path);
            names(words, path) || names(words, file)
        })
    }
}

/// Whether a name stands in a text, and is not a part of a longer one.
fn names(text: &str, name: &str) -> bool {
    let is_part = |at: char| at.is_alphanumeric() || matches!(at, '_' | '-');
    let stands_alone = |at: usize| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let goes_on = after.strip_prefix('.').unwrap_or(after).starts_with(is_part);
        !before.ends_with(is_part) && !goes_on
    };
    !matches!(name, "" | "." | "..") && text.match_indices(name).any(|(at, _)| stands_alone(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_a_path_or_its_file() {
        let mut lookups = Lookups::default();
        lookups.miss("data/t.csv");
        assert!(lookups.are_named_in("No such file or directory: '/data/t.csv'"));
        assert!(lookups.are_named_in("t.csv: No such file or directory."));
        for other in ["cannot open data/t.csv.gz", "cannot open at.csv", "t.csv2", "no file", ""] {
            assert!(!lookups.are_named_in(other), "{other}");
        }
        lookups.miss("a");
        assert!(lookups.are_named_in("a: not found") && !lookups.are_named_in("at data"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut lookups = Lookups::default();
        for number in 0..1000 {
            lookups.miss(&format!("{}/é{number}", "d".repeat(9000)));
        }
        assert_eq!(lookups.missed.len(), MAX_PATHS);
        assert!(lookups.missed.iter().all(|path| path.len() <= MAX_PATH_BYTES));
        assert!(lookups.are_named_in("é999") && !lookups.are_named_in("é1"));
        assert!(lookups.last_failed());
        lookups.pass();
        assert!(!lookups.last_failed());
    }
}
