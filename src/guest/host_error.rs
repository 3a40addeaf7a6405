//! The error by which host code ends a task.

use std::fmt;

use crate::ipc::wire::InputFault;

/// An end of the task that is not the guest's own trap; the error type of imports.
#[derive(Debug)]
pub(super) enum HostError {
    /// More than allowed.
    Limit(String),
    /// The file behind an input changed or cannot be read.
    Input(InputFault),
}

impl HostError {
    /// The end of a task that wrote more result than allowed.
    pub fn output_limit(limit_bytes: u64) -> HostError {
        HostError::Limit(format!(
            "its result is longer than the limit of {limit_bytes} bytes; raise it with --max-output"
        ))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Limit(message) => f.write_str(message),
            HostError::Input(fault) => write!(f, "{fault:?}"),
        }
    }
}

impl std::error::Error for HostError {}
