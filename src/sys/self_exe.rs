//! Whether this program can start itself again as a worker or compiler, and from which file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The first of the hidden arguments with which this crate starts its program again.
pub const HIDDEN_ARGUMENT: &str = "__wrun";

static INITIALIZED: OnceLock<()> = OnceLock::new();

/// Remembers that this program's `main` begins with [`crate::init`], so that starting it again yields a worker rather than a second
/// run of the program.
pub fn mark_init() {
    // A second call changes nothing.
    let _ = INITIALIZED.set(());
}

/// The file from which to start this program again, if the program is known to begin with [`crate::init`].
///
/// This is the kernel's link rather than the path that it leads to: the link stays valid if the file is replaced or deleted while the
/// program runs.
pub fn self_exe() -> Option<PathBuf> {
    INITIALIZED.get().map(|()| Path::new("/proc/self/exe").to_path_buf())
}

/// Whether this process was itself started with the hidden arguments.
///
/// Such a process must never start another one: a program that is set as the workers' executable but does not call [`crate::init`]
/// would start itself again forever.
pub fn is_started_again() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == HIDDEN_ARGUMENT)
}
