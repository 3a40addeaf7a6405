//! The settings for compiling modules.

use std::path::PathBuf;
use std::time::Duration;

use super::cache::Cache;
use crate::Sandbox;

/// Settings for reading and compiling modules.
///
/// ```no_run
/// # fn main() -> wrun::Result<()> {
/// let compiler = wrun::Compiler { timeout: std::time::Duration::from_secs(5), ..wrun::Compiler::default() };
/// let module = compiler.load("sqrt.wat")?;
/// assert_eq!(module.name(), "sqrt.wat");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The `wrun` executable to run as the compiler process. Unless set, it is this program, if it called [`crate::init`].
    pub exe: Option<PathBuf>,
    /// The directory for compiled modules; `None` for no cache. [`Cache::default_dir`] unless set.
    pub cache_dir: Option<PathBuf>,
    /// The time limit for one compilation (5 minutes unless set, which is three times what the largest modules in use take on two busy
    /// cores).
    pub timeout: Duration,
    /// The limit on the private memory of one compilation, in bytes (4 GiB unless set).
    pub memory_bytes: u64,
    /// Whether `.cwasm` files are accepted. They hold precompiled code, which is trusted.
    pub allow_precompiled: bool,
    /// Whether code counts the fuel that it uses, for [`Limits::fuel`](crate::Limits::fuel). Such code takes up to 2.5 times as long.
    pub count_fuel: bool,
    /// How strictly the system must confine the compiler process.
    pub sandbox: Sandbox,
    /// Whether a module that has an initializer (see [`Description::initializer`](crate::module::Description::initializer)) is compiled
    /// as a snapshot of what that leaves behind. If not, each instance calls it before its first task, with the same results. The limits
    /// above hold for the initializer, too.
    pub snapshot: bool,
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler {
            exe: None,
            cache_dir: Cache::default_dir(),
            timeout: Duration::from_secs(5 * 60),
            memory_bytes: 4 << 30,
            allow_precompiled: false,
            count_fuel: false,
            sandbox: Sandbox::Default,
            snapshot: true,
        }
    }
}
