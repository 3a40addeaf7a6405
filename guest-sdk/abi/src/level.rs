//! Log levels as numbers that host and guest agree on.

use core::fmt;

/// How important a log line is; its number is the first argument of [`LOG`](crate::import::LOG).
///
/// ```
/// use wrun_abi::Level;
///
/// assert_eq!(Level::try_from(2), Ok(Level::Warn));
/// assert_eq!(Level::try_from(9).unwrap_err().to_string(), "log level 9 is not between 1 (error) and 5 (trace)");
/// assert!(Level::Error < Level::Trace);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Level {
    /// The task's work is wrong or incomplete.
    Error = 1,
    /// Something looks wrong, but the task continues.
    Warn = 2,
    /// What users want to see by default.
    Info = 3,
    /// What the task's author wants to see.
    Debug = 4,
    /// Every detail.
    Trace = 5,
}

impl Level {
    /// All levels, most important first.
    pub const ALL: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

    /// The level's name in lower case, for example `warn`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<i32> for Level {
    type Error = UnknownLevel;

    fn try_from(number: i32) -> Result<Self, UnknownLevel> {
        Self::ALL.into_iter().find(|level| *level as i32 == number).ok_or(UnknownLevel(number))
    }
}

/// The error for a number that is not a [`Level`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLevel(pub i32);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log level {} is not between 1 (error) and 5 (trace)", self.0)
    }
}

impl core::error::Error for UnknownLevel {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_the_boundary() {
        for level in Level::ALL {
            assert_eq!(Level::try_from(level as i32), Ok(level));
        }
    }

    #[test]
    fn numbers_around_the_levels_are_refused() {
        assert_eq!(Level::try_from(0), Err(UnknownLevel(0)));
        assert_eq!(Level::try_from(6), Err(UnknownLevel(6)));
    }
}
