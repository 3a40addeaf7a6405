//! The documented exit codes.

/// All tasks passed.
pub const OK: u8 = 0;
/// wrun itself failed.
pub const FAILURE: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// At least one task failed.
pub const TASK_FAILED: u8 = 100;
/// The run was interrupted (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
