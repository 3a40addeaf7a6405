//! What became of a task, in one word.

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The task function returned its result.
    Ok,
    /// The task said itself that it failed.
    Error,
    /// The guest trapped, or a host call refused impossible arguments.
    Trap,
    /// The task ran longer than allowed.
    Timeout,
    /// The task needed more of something than allowed.
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
    /// All of them, in the order of this definition.
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

    /// Whether a task that ended like this may be tried again: any failure but those that cannot become better.
    pub fn may_be_retried(self) -> bool {
        !matches!(self, Status::Ok | Status::Denied | Status::Cancelled)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is no status.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a status of a task, such as ok or worker-lost")]
pub struct NoStatus;

impl std::str::FromStr for Status {
    type Err = NoStatus;

    fn from_str(word: &str) -> Result<Self, NoStatus> {
        Status::ALL.into_iter().find(|status| status.as_str() == word).ok_or(NoStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_tried_again_but_those_that_cannot_become_better() {
        let not_retried: Vec<Status> = Status::ALL.into_iter().filter(|status| !status.may_be_retried()).collect();
        assert_eq!(not_retried, [Status::Ok, Status::Denied, Status::Cancelled]);
    }
}
