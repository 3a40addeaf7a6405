//! Results of tasks: on standard output, or as files.

mod directory;
mod json;
pub mod task_object;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use wrun::{Outcome, Output};

use super::Screen;
use super::outlet::Outlet;
use super::text::{Keep, escape};
pub use directory::ResultsDir;
pub use json::{to_json, write_json};
use task_object::TaskObject;

/// The size of the buffer for results.
const BUFFER_BYTES: usize = 64 << 10;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// The bytes of the result.
    Text {
        /// Whether the item and a tab come before each line.
        tag: bool,
        /// Whether a result that does not end in a newline gets none.
        raw: bool,
    },
    /// One JSON object per line, for failed tasks as well.
    Json {
        /// Whether it has the memory that the task used.
        usage: bool,
    },
}

/// Prints results, through a buffer, to standard output (or, in tests, to something else).
pub struct ResultPrinter<W: Write = Stdout> {
    format: ResultFormat,
    out: BufWriter<W>,
}

/// Standard output without the line buffering of [`io::Stdout`].
pub struct Stdout {
    outlet: Outlet,
    /// The screen whose bar is cleared during a write; set if both go to terminals.
    screen: Option<Screen>,
    terminal: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.screen {
            Some(screen) => screen.around(|| self.outlet.write(bytes)),
            None => self.outlet.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ResultPrinter {
    /// Prints to standard output.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn to_stdout(format: ResultFormat, screen: &Screen) -> io::Result<ResultPrinter> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let terminal = file.is_terminal();
        let screen = (terminal && matches!(screen, Screen::Bar(_))).then(|| screen.clone());
        let stdout = Stdout { outlet: Outlet::new(file), screen, terminal };
        Ok(ResultPrinter { format, out: BufWriter::with_capacity(BUFFER_BYTES, stdout) })
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.out.get_ref().terminal
    }
}

impl<W: Write> ResultPrinter<W> {
    /// Prints a task's result, if it has one; as JSON, also its failure and the command line that runs it again.
    pub fn print(&mut self, outcome: &Outcome, rerun: Option<&str>) -> io::Result<()> {
        match (self.format, &outcome.result) {
            (ResultFormat::Json { usage }, _) => {
                self.object(&TaskObject::of_task(outcome).rerun(rerun).usage(outcome, usage))
            }
            (ResultFormat::Text { tag, raw }, Ok(output)) => {
                self.text(tag.then_some(&*outcome.task.argument), raw, output)
            }
            (ResultFormat::Text { .. }, Err(_)) => Ok(()),
        }
    }

    /// Prints the merged result, which lacks `missing` tasks; as JSON, its object has neither index nor item.
    pub fn print_merged(&mut self, outcome: &Outcome, missing: u64) -> io::Result<()> {
        match (self.format, &outcome.result) {
            (ResultFormat::Json { usage }, _) => {
                self.object(&TaskObject::of_merge(outcome).missing(missing).usage(outcome, usage))
            }
            (ResultFormat::Text { raw, .. }, Ok(output)) => self.text(None, raw, output),
            (ResultFormat::Text { .. }, Err(_)) => Ok(()),
        }
    }

    /// Writes what is still in the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints a result as text. An empty result prints nothing at all, not even a newline.
    fn text(&mut self, item: Option<&[u8]>, raw: bool, output: &Output) -> io::Result<()> {
        match item {
            None => self.out.write_all(output)?,
            Some(item) => {
                // The tag is one line without a tab, so that the first tab ends it.
                let tag = escape_tag(item);
                for line in output.split_inclusive(|byte| *byte == b'\n') {
                    self.out.write_all(&tag)?;
                    self.out.write_all(b"\t")?;
                    self.out.write_all(line)?;
                }
            }
        }
        match output.last() {
            None | Some(b'\n') => Ok(()),
            Some(_) if raw => Ok(()),
            Some(_) => self.out.write_all(b"\n"),
        }
    }

    fn object(&mut self, object: &TaskObject<'_>) -> io::Result<()> {
        write_json(&mut self.out, object)?;
        self.out.write_all(b"\n")
    }
}

/// The item's bytes, with escapes if there are control characters or backslashes among them.
fn escape_tag(item: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let needs_escapes = item.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\');
    if needs_escapes { escape(item, Keep::Identity).into_bytes().into() } else { item.into() }
}

#[cfg(test)]
mod tests {
    use super::task_object::tests::outcome;
    use super::*;

    fn printed(format: ResultFormat, items: &[(&str, &str)]) -> String {
        let mut results = ResultPrinter { format, out: BufWriter::new(Vec::new()) };
        for (item, output) in items {
            results.print(&outcome(item.as_bytes(), Ok(output.as_bytes())), None).unwrap();
        }
        results.print(&outcome(b"bad", Err("broken")), Some("wrun run x")).unwrap();
        String::from_utf8(results.out.into_inner().unwrap()).unwrap()
    }

    const ITEMS: [(&str, &str); 4] = [("a", "1"), ("b", "2\n"), ("c", ""), ("d\t", "3\n\n4")];

    #[test]
    fn results_end_in_a_newline_unless_raw_or_empty() {
        assert_eq!(printed(ResultFormat::Text { tag: false, raw: false }, &ITEMS), "1\n2\n3\n\n4\n");
        assert_eq!(printed(ResultFormat::Text { tag: false, raw: true }, &ITEMS), "12\n3\n\n4");
    }

    #[test]
    fn a_tag_stands_before_every_line() {
        assert_eq!(
            printed(ResultFormat::Text { tag: true, raw: false }, &ITEMS),
            "a\t1\nb\t2\nd\\t\t3\nd\\t\t\nd\\t\t4\n"
        );
    }

    #[test]
    fn items_that_differ_have_tags_that_differ() {
        let items: [&[u8]; 8] =
            [b"a\tb", br"a\tb", br"a\\tb", b"caf\xe9", b"caf\xe8", br"caf\xe9", b"caf\xe9\n", br"caf\xe9\n"];
        let tags: std::collections::HashSet<_> = items.iter().map(|item| escape_tag(item).into_owned()).collect();
        assert_eq!(tags.len(), items.len());
        assert_eq!(&*escape_tag(b"caf\xe9"), b"caf\xe9");
    }

    #[test]
    fn json_prints_failures_too() {
        let text = printed(ResultFormat::Json { usage: false }, &ITEMS[..1]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(r#"{"index":3,"item":"a","status":"ok","output":"1","start":"#), "{text}");
        assert!(lines[1].starts_with(r#"{"index":3,"item":"bad","status":"error","error":"broken","#), "{text}");
        assert!(lines[1].ends_with(r#""rerun":"wrun run x"}"#), "{text}");
    }
}
