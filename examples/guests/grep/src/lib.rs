//! Prints the lines of files that match a regular expression, like `grep -n`, without a trailing carriage return.
//!
//! ```text
//! wrun map grep.wasm --call grep --input pattern=pattern.txt --files src/*.rs
//! ```
//!
//! The pattern is the shared input `pattern`: a file with one expression in the syntax of the `regex` crate, in which `^`
//! and `$` match the start and end of a line. The result has a line `ITEM:NUMBER:TEXT` for each matching line, and is
//! empty if there are none. Lines are bytes and need not be UTF-8. With `--files`, ITEM is the path. With `--split`, it is
//! the piece's path and range, and line numbers count from the start of the piece.

use std::io::{self, BufWriter, Write};

use regex::bytes::Regex;
use wrun_guest::{Error, Input, Inputs, Output, task};

/// The matching lines of the task's file.
#[task]
fn grep(item: &[u8], input: Input, inputs: Inputs, output: Output) -> Result<(), Error> {
    let pattern = inputs.named("pattern")?;
    if pattern.index() == input.index() {
        return Err(Error::new("there is no file to search: use --files or --split"));
    }
    let pattern = pattern.map()?;
    let pattern = pattern.to_str().map_err(|error| Error::new(format_args!("the pattern is not UTF-8: {error}")))?;
    let regex = Regex::new(pattern.trim_end_matches(['\r', '\n'])).map_err(Error::new)?;
    write_matches(item, input, &regex, BufWriter::with_capacity(64 << 10, output)).map_err(Error::new)
}

fn write_matches(item: &[u8], input: Input, regex: &Regex, mut output: impl Write) -> io::Result<()> {
    for (line, number) in input.lines().zip(1u64..) {
        if regex.is_match(&line) {
            output.write_all(item)?;
            write!(output, ":{number}:")?;
            output.write_all(&line)?;
            output.write_all(b"\n")?;
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn search(pattern: &str, text: &[u8]) -> Result<String, String> {
        let task = TestTask::new().arg("a.txt").input("a.txt", text).input("pattern", pattern);
        let result = task.run(|task| Ok(grep(task.extract()?, task.extract()?, task.extract()?, task.extract()?)));
        result.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn matching_lines_are_numbered() {
        assert_eq!(search("^b|c$\n", b"abc\nxx\nbx\n\xffc").unwrap(), "a.txt:1:abc\na.txt:3:bx\na.txt:4:\u{fffd}c\n");
        assert_eq!(search("q", b"abc\n").unwrap(), "");
        assert_eq!(search("^$", b"a\n\nb\n").unwrap(), "a.txt:2:\n");
    }

    #[test]
    fn bad_pattern_is_shown() {
        assert!(search("a(b", b"").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn pattern_alone_is_nothing_to_search() {
        let task = TestTask::new().input("pattern", "a");
        let result = task.run(|task| Ok(grep(task.extract()?, task.extract()?, task.extract()?, task.extract()?)));
        assert_eq!(result.unwrap_err(), "there is no file to search: use --files or --split");
    }
}
