//! The `wrun` command.

mod cli;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    wrun::init();
    cli::run(std::env::args_os()).unwrap_or_else(|error| {
        // A message names modules, functions and files as strangers named them.
        report::line_to_stderr(&report::one_line(&format!("wrun: {}", cli::message_of(&error))));
        cli::exit_code_of(&error)
    })
}
