//! The error by which host code ends a task.

use std::fmt;

use crate::ipc::Setting;
use crate::ipc::wire::InputFault;

/// An end of the task that is not the guest's own trap; the error type of imports.
#[derive(Debug)]
pub(super) enum HostError {
    /// More than allowed.
    Limit(LimitReached),
    /// The file behind an input changed or cannot be read.
    Input(InputFault),
    /// The task's argument cannot be an argument of a program.
    Argument(LimitReached),
    /// An initializer used what it was not granted.
    Denied(LimitReached),
}

/// Why a task got no more of something.
#[derive(Debug, Default)]
pub(super) struct LimitReached {
    pub message: String,
    /// What would allow more.
    pub setting: Option<Setting>,
}

impl LimitReached {
    /// A limit that this setting raises.
    pub fn of(setting: Setting, message: String) -> LimitReached {
        LimitReached { message, setting: Some(setting) }
    }

    /// A limit that no setting raises.
    pub fn fixed(message: String) -> LimitReached {
        LimitReached { message, setting: None }
    }
}

impl HostError {
    /// The end of a task that wrote more result than allowed.
    pub fn output_limit(limit_bytes: u64) -> HostError {
        let message = format!("its result is longer than the limit of {limit_bytes} bytes");
        HostError::Limit(LimitReached::of(Setting::OutputSize, message))
    }

    /// The end of a task that could not get something, whatever the settings.
    pub fn fixed_limit(message: String) -> HostError {
        HostError::Limit(LimitReached::fixed(message))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Limit(reached) | HostError::Argument(reached) | HostError::Denied(reached) => {
                f.write_str(&reached.message)
            }
            HostError::Input(fault) => write!(f, "{fault:?}"),
        }
    }
}

impl std::error::Error for HostError {}
