//! The settings of the compiler.

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
    /// The `wrun` executable that compiles, in a process of its own; this program where it called [`crate::init`].
    pub exe: Option<PathBuf>,
    /// Where compiled modules are kept; `None` keeps nothing. [`Cache::default_dir`] unless set.
    pub cache_dir: Option<PathBuf>,
    /// How long one compilation may take (60 s unless set).
    pub timeout: Duration,
    /// Bytes of private memory that one compilation may use (4 GiB unless set).
    pub memory_bytes: u64,
    /// Whether `.cwasm` files (precompiled code, which is trusted code) are accepted.
    pub allow_precompiled: bool,
    /// Whether code counts the fuel that it uses, for [`Limits::fuel`](crate::Limits::fuel); it takes up to 2.5 times as long.
    pub count_fuel: bool,
    /// How much confinement of the compiler process by the system is insisted on.
    pub sandbox: Sandbox,
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler {
            exe: None,
            cache_dir: Cache::default_dir(),
            timeout: Duration::from_secs(60),
            memory_bytes: 4 << 30,
            allow_precompiled: false,
            count_fuel: false,
            sandbox: Sandbox::Default,
        }
    }
}
