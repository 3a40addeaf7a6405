//! `wrun completions`: what a shell needs to complete wrun's words.

use std::process::ExitCode;

use clap_complete::Shell;

use super::print;

/// Print completions for a shell, to be put where that shell looks for them
///
/// For example: wrun completions bash > ~/.local/share/bash-completion/completions/wrun
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the completions of `command`, which is the whole command line's definition.
    ///
    /// # Errors
    ///
    /// Where standard output cannot be written.
    pub fn execute(self, mut command: clap::Command) -> anyhow::Result<ExitCode> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print::to_stdout(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
