//! Lines that tasks log.

#[doc(inline)]
pub use wrun_abi::Level;

/// A line that a task logged.
///
/// ```
/// use wrun::result::{Level, LogLine};
///
/// let line = LogLine::new(Level::Warn, "3 rows have no date");
/// assert!(line.level < Level::Info);
/// assert_eq!(format!("{}: {}", line.level, line.text), "warn: 3 rows have no date");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// How important it is.
    pub level: Level,
    /// The text, without a line end.
    pub text: String,
}

impl LogLine {
    /// A line of this level.
    pub fn new(level: Level, text: impl Into<String>) -> LogLine {
        LogLine { level, text: text.into() }
    }

    /// A line whose level is a number that an untrusted worker sent. One that is out of range becomes the nearest level.
    pub(crate) fn from_wire((level, text): (u8, String)) -> LogLine {
        let nearest = if level == 0 { Level::Error } else { Level::Trace };
        LogLine { level: Level::try_from(i32::from(level)).unwrap_or(nearest), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_out_of_range_become_the_nearest() {
        let level = |number| LogLine::from_wire((number, String::new())).level;
        assert_eq!([0, 1, 3, 5, 6, 255].map(level), {
            use Level::*;
            [Error, Error, Info, Trace, Trace, Trace]
        });
    }
}
