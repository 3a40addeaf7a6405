//! The `wrun` command.

mod cli;
mod closed_streams;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    wrun::init();
    cli::run(std::env::args_os()).unwrap_or_else(|error| {
        // Names of modules, functions and files in the message may contain anything.
        report::line_to_stderr(&report::one_line(&format!("wrun: {}", cli::message_of(&error))));
        cli::exit_code_of(&error)
    })
}
