//! Which processes the kernel ends first when the machine runs out of memory.
//!
//! Source: proc_pid_oom_score_adj(5).

use std::fs::File;
use std::io::{self, Read, Write};

/// How much more likely this process becomes to be ended: as if it had this many thousandths of the machine's memory more.
const MORE: i32 = 300;
/// The highest value.
const MOST: i32 = 1000;

/// Makes the kernel end this process rather than the one that started it.
///
/// # Errors
///
/// If there is no `/proc`.
pub fn go_first() -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open("/proc/self/oom_score_adj")?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let inherited: i32 = text.trim().parse().map_err(io::Error::other)?;
    file.write_all(inherited.saturating_add(MORE).min(MOST).to_string().as_bytes())
}
