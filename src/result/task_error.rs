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
    /// What wrun adds to the task's own words, if it knows more: `no directory is open`.
    pub hint: Option<String>,
    /// If the task was refused something, what to change so that it gets it.
    pub setting: Option<Setting>,
    /// What a WASI command wrote to standard output before it failed, if it wrote anything. It is lost if its worker was: after a
    /// timeout, for example.
    pub stdout: Option<Box<Output>>,
    /// The guest's stack, one frame per line, innermost first, if it is known.
    pub backtrace: Option<String>,
    /// The guest's memories, globals and stack when it trapped, if the job asked for them. The format is that of WebAssembly's
    /// tool conventions (Coredump.md). Mapped inputs are left out; zeros take their place.
    pub core_dump: Option<Box<Output>>,
}

impl TaskError {
    /// An error with this message alone.
    pub fn new(status: Status, message: impl Into<String>) -> TaskError {
        TaskError {
            status,
            message: message.into(),
            hint: None,
            setting: None,
            stdout: None,
            backtrace: None,
            core_dump: None,
        }
    }

    /// Sets what to change so that the task gets what it was refused.
    #[must_use]
    pub fn setting(mut self, setting: Option<Setting>) -> Self {
        self.setting = setting;
        self
    }

    /// Sets what wrun adds to the task's own words.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Sets what the command wrote to standard output.
    #[must_use]
    pub fn stdout(mut self, stdout: Option<Output>) -> Self {
        self.stdout = stdout.map(Box::new);
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
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        match self.setting {
            Some(setting) => write!(f, "; {}", setting.advice()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TaskError {}
