//! What the end of a worker that had not ended a task says about the next one.

/// Whether a worker ended, or refused its job, because it could start no thread or process (`EAGAIN`), had no memory (`ENOMEM`) or could
/// open no more files (`ENFILE`, `EMFILE`).
///
/// The worker says so as text, and may lie. Only how many workers there are, and how often a task may be returned, depends on it.
pub(in crate::pool) fn is_exhaustion(reason: &str) -> bool {
    const SIGNS: [&str; 5] =
        ["(os error 11)", "(os error 12)", "(os error 23)", "(os error 24)", "memory allocation of"];
    SIGNS.iter().any(|sign| reason.contains(sign))
}

/// Whether somebody else killed the worker, or the kernel did for want of memory: the next one may well start.
pub(super) fn is_kill(reason: &str) -> bool {
    reason.starts_with("was killed by SIGKILL")
}
