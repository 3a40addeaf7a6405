//! Why a task failed.

use super::{Output, Status};

/// Why a task failed.
///
/// ```
/// use wrun::{Status, TaskError};
///
/// let error = TaskError::new(Status::Error, "line 3: not a number: \"abc\"");
/// assert_eq!(error.to_string(), "error: line 3: not a number: \"abc\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskError {
    /// The kind of failure; never [`Status::Ok`].
    pub status: Status,
    /// One or more lines for people, without the task's name: `line 3: not a number: "abc"`.
    pub message: String,
    /// The guest's stack, one frame per line, innermost first, if it is known.
    pub backtrace: Option<String>,
    /// The guest's memories, globals and stack when it trapped, if the job asked for them. The format is that of WebAssembly's
    /// tool conventions (Coredump.md). Mapped inputs are left out; zeros take their place.
    pub core_dump: Option<Box<Output>>,
}

impl TaskError {
    /// An error without a backtrace and a core dump.
    pub fn new(status: Status, message: impl Into<String>) -> TaskError {
        TaskError { status, message: message.into(), backtrace: None, core_dump: None }
    }

    /// Sets the guest's stack.
    #[must_use]
    pub fn backtrace(mut self, backtrace: Option<String>) -> Self {
        self.backtrace = backtrace;
        self
    }
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for TaskError {}
