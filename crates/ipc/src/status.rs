//! How a task ended, in one word.

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The task function returned its result.
    Ok,
    /// The task itself reported that it failed.
    Error,
    /// The guest trapped, or called a host function with invalid arguments.
    Trap,
    /// The task ran longer than allowed.
    Timeout,
    /// The task exceeded a limit other than time.
    Limit,
    /// The task asked for something that was not granted.
    Denied,
    /// The task wrote to a read-only input, or the input changed under it.
    InputFault,
    /// The task's worker process died.
    WorkerLost,
    /// The run stopped before the task was done.
    Cancelled,
}

impl Status {
    /// All statuses, in the order of their definition.
    pub const ALL: [Status; 9] = {
        use Status::*;
        [Ok, Error, Trap, Timeout, Limit, Denied, InputFault, WorkerLost, Cancelled]
    };

    /// The word that JSON lines, job logs and messages use, such as `input-fault`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Trap => "trap",
            Status::Timeout => "timeout",
            Status::Limit => "limit",
            Status::Denied => "denied",
            Status::InputFault => "input-fault",
            Status::WorkerLost => "worker-lost",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether a task that ended like this may be retried: every failure except those that another attempt cannot change.
    pub fn may_be_retried(self) -> bool {
        !matches!(self, Status::Ok | Status::Denied | Status::Cancelled)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The error for text that is not a [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("not a status of a task, such as ok or worker-lost")]
pub struct ParseStatusError;

impl std::str::FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(word: &str) -> Result<Self, ParseStatusError> {
        Status::ALL.into_iter().find(|status| status.as_str() == word).ok_or(ParseStatusError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_may_be_retried_except_those_that_cannot_change() {
        let not_retried: Vec<Status> = Status::ALL.into_iter().filter(|status| !status.may_be_retried()).collect();
        assert_eq!(not_retried, [Status::Ok, Status::Denied, Status::Cancelled]);
    }
}
