//! Why a call about a file fails.

use crate::ipc::wire::InputFault;

/// Why a call about a file fails, as POSIX distinguishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum FileError {
    /// The descriptor was not opened for this.
    BadDescriptor,
    Busy,
    /// The two paths lie in different file systems.
    CrossDevice,
    Exists,
    FileTooLarge,
    Invalid,
    IsDirectory,
    /// Too many symbolic links on the way.
    Loop,
    NameTooLong,
    NoEntry,
    /// The scratch directory is full.
    NoSpace,
    NotDirectory,
    NotEmpty,
    /// A path that leads out of its directory, say.
    NotPermitted,
    /// The file is not the task's to change.
    ReadOnly,
    /// The file behind an input changed or cannot be read. This ends the task.
    Input(InputFault),
}
