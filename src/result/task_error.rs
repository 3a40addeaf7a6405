//! Why a task failed.

use super::{Output, Setting, Status};

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
    /// If the task was refused something, what to change so that it gets it.
    pub setting: Option<Setting>,
    /// The guest's stack, one frame per line, innermost first, if it is known.
    pub backtrace: Option<String>,
    /// The guest's memories, globals and stack when it trapped, if the job asked for them. The format is that of WebAssembly's
    /// tool conventions (Coredump.md). Mapped inputs are left out; zeros take their place.
    pub core_dump: Option<Box<Output>>,
}

impl TaskError {
    /// An error without a backtrace and a core dump.
    pub fn new(status: Status, message: impl Into<String>) -> TaskError {
        TaskError { status, message: message.into(), setting: None, backtrace: None, core_dump: None }
    }

    /// Sets what to change so that the task gets what it was refused.
    #[must_use]
    pub fn setting(mut self, setting: Option<Setting>) -> Self {
        self.setting = setting;
        self
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
        write!(f, "{}: {}", self.status, self.message)?;
        match self.setting {
            Some(setting) => write!(f, "; {}", setting.advice()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TaskError {}
