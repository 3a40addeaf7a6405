//! The text of a stack trace.

use std::fmt;

use super::dwarf_lines::SourceLocation;

/// The active functions, the innermost first.
pub(in crate::guest) struct Backtrace {
    lines: Vec<BacktraceLine>,
    /// There are more callers, which are not reported.
    is_cut: bool,
}

/// One function.
#[derive(Clone, Debug)]
pub(super) struct BacktraceLine {
    pub function: String,
    /// Its position in source code.
    pub location: Option<SourceLocation>,
    /// Its offset in the module, in bytes.
    pub offset: Option<u32>,
    /// The compiler inlined it into the next one.
    pub inlined: bool,
}

impl Backtrace {
    /// Leaves out the functions of the standard library in which every panic of Rust ends.
    pub(super) fn new(mut lines: Vec<BacktraceLine>, is_cut: bool) -> Backtrace {
        let panics = lines.iter().take_while(|line| ends_panic(&line.function)).count();
        let is_panic = lines[..panics].iter().any(|line| line.function.contains("panicking::"));
        if is_panic && panics < lines.len() {
            lines.drain(..panics);
        }
        Backtrace { lines, is_cut }
    }

    /// The innermost function that is not in a standard library, and its position: `count_words (src/lib.rs:17)`.
    pub fn summary(&self) -> Option<String> {
        let library = |line: &&BacktraceLine| line.location.as_ref().is_some_and(|place| place.of_library);
        let line = self.lines.iter().find(|line| !library(line)).or(self.lines.first())?;
        Some(match &line.location {
            Some(place) => format!("{} ({}:{})", line.function, place.file, place.line),
            None => line.function.clone(),
        })
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{index:>4}: ")?;
            match (&line.location, line.offset) {
                (Some(place), _) => write!(f, "{} at {place}", line.function)?,
                (None, Some(offset)) => write!(f, "{offset:#8x} - {}", line.function)?,
                (None, None) => f.write_str(&line.function)?,
            }
            if line.inlined {
                f.write_str(" (inlined)")?;
            }
        }
        if self.is_cut { f.write_str("\n  ...: and callers of these") } else { Ok(()) }
    }
}

/// Whether a panic runs this function before it ends the guest. `abort` is the C library's, which Rust's calls.
fn ends_panic(function: &str) -> bool {
    const FUNCTIONS: [&str; 8] = [
        "abort",
        "rust_panic",
        "rust_begin_unwind",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::result::unwrap_failed",
        "std::process::abort",
        "std::sys::pal::wasi::helpers::abort_internal",
    ];
    const PLACES: [&str; 5] = [
        "core::panicking::",
        "std::panicking::",
        "panic_abort::",
        "std::sys::backtrace::__rust_end_short_backtrace",
        "__rustc::",
    ];
    // Without type parameters.
    let function = function.split('<').next().unwrap_or_default();
    FUNCTIONS.contains(&function) || PLACES.iter().any(|place| function.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(function: &str, place: Option<(&str, u32)>) -> BacktraceLine {
        let location = place.map(|(file, line)| SourceLocation {
            file: file.into(),
            line,
            column: Some(5),
            of_library: file.starts_with("library/"),
        });
        BacktraceLine { function: function.into(), location, offset: Some(0x2f), inlined: false }
    }

    fn text(functions: &[&str]) -> String {
        Backtrace::new(functions.iter().map(|function| line(function, None)).collect(), false).to_string()
    }

    #[test]
    fn lines_say_where_in_source_code_or_in_the_module() {
        let inlined = BacktraceLine { inlined: true, ..line("next", Some(("library/core/src/iter.rs", 3))) };
        let nothing = BacktraceLine { offset: None, ..line("g", None) };
        let trace =
            Backtrace::new(vec![inlined, line("count", Some(("src/lib.rs", 17))), line("f", None), nothing], false);
        let expected = "   0: next at library/core/src/iter.rs:3:5 (inlined)\n   1: count at src/lib.rs:17:5\n   2:     0x2f - f\n   3: g";
        assert_eq!(trace.to_string(), expected);
        assert_eq!(trace.summary().as_deref(), Some("count (src/lib.rs:17)"));
    }

    #[test]
    fn the_summary_names_something_where_there_is_something() {
        assert_eq!(Backtrace::new(vec![line("f", None)], false).summary().as_deref(), Some("f"));
        let library = || line("sort", Some(("library/core/src/slice.rs", 9)));
        assert_eq!(
            Backtrace::new(vec![library()], false).summary().as_deref(),
            Some("sort (library/core/src/slice.rs:9)")
        );
        assert_eq!(Backtrace::new(vec![line("f", None)], true).to_string().lines().count(), 2);
        assert_eq!(Backtrace::new(vec![], false).summary(), None);
    }

    #[test]
    fn the_end_of_a_panic_is_left_out_and_nothing_else() {
        let panic = ["abort", "std::process::abort", "__rustc::rust_panic", "core::panicking::panic_fmt"];
        assert_eq!(text(&[&panic[..], &["core::option::unwrap_failed", "user"]].concat()), "   0:     0x2f - user");
        assert_eq!(text(&[&panic[..], &["user", "core::panicking::panic_fmt"]].concat()).lines().count(), 2);
        assert_eq!(text(&panic).lines().count(), 4, "there is nothing else");
        assert_eq!(text(&["abort", "user"]).lines().count(), 2, "no panic");
    }
}
