//! `wrun completions`: completion scripts for shells.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::cli::stdout;

/// Print a completion script for a shell
///
/// Save it where the shell looks for such scripts, for example:
/// wrun completions bash > ~/.local/share/bash-completion/completions/wrun
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Print the script for this shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script for `definition`, the definition of the whole command line.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written.
    pub fn execute(self, mut definition: clap::Command) -> anyhow::Result<ExitCode> {
        let name = definition.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition, name, &mut script);
        stdout::print(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
