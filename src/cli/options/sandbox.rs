//! The option that says how the system confines workers.

use wrun::Sandbox;

use crate::report::line_to_stderr;

/// How workers are confined.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sandbox")]
pub struct SandboxArgs {
    /// Confine workers and the compiler with all layers that this machine has (default), run only if no layer is missing (strict), or
    /// do not confine them (off, to debug wrun)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = SandboxChoice::Default)]
    sandbox: SandboxChoice,
}

/// The values of `--sandbox`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SandboxChoice {
    /// All layers that this machine has
    Default,
    /// All layers; an error if one is missing
    Strict,
    /// No layer
    Off,
}

impl SandboxArgs {
    /// The value for the library; prints a warning if workers are not confined.
    pub fn sandbox(&self) -> Sandbox {
        match self.sandbox {
            SandboxChoice::Default => Sandbox::Default,
            SandboxChoice::Strict => Sandbox::Strict,
            SandboxChoice::Off => {
                line_to_stderr("wrun: warning: --sandbox off: workers are not confined by the system");
                Sandbox::Off
            }
        }
    }
}
