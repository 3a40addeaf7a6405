//! What the command prints, and which exit code it ends with, when it cannot do what was asked.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::error::ErrorKind;

use super::{exit_codes, stdout};
use crate::report::{advice, limit_advice};

/// A wrong command line, explained in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// An error that ends the command with [`exit_codes::USAGE`].
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// The message for an error. If the system's message does not name the limit that was reached, it is added with advice.
pub fn message_of(error: &anyhow::Error) -> String {
    let mut message = format!("{error:#}");
    if let Some(setting) = error.chain().find_map(|cause| cause.downcast_ref::<wrun::Error>()?.setting()) {
        message = format!("{message}; {}", advice(setting));
    }
    match limit_advice(&message) {
        Some(advice) => format!("{message}: {advice}"),
        None => message,
    }
}

/// The lines that follow the message: where an initializer failed.
pub fn details_of(error: &anyhow::Error) -> impl Iterator<Item = &str> {
    let backtrace = error.chain().find_map(|cause| cause.downcast_ref::<wrun::Error>()?.backtrace());
    backtrace.unwrap_or_default().lines()
}

/// The exit code for an error of [`run`](super::run).
pub fn exit_code_of(error: &anyhow::Error) -> ExitCode {
    let wrong_usage = error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.downcast_ref::<wrun::Error>().is_some_and(|error| error.kind() == wrun::ErrorKind::Request)
    });
    ExitCode::from(if wrong_usage { exit_codes::USAGE } else { exit_codes::FAILURE })
}

/// Prints the help or version that was asked for; turns any other message of the parser into a usage error.
pub fn print_help(error: &clap::Error) -> anyhow::Result<ExitCode> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = if io::stdout().is_terminal() { text.ansi().to_string() } else { text.to_string() };
            stdout::print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Ok(ExitCode::from(exit_codes::USAGE))
        }
        _ => Err(usage(without_usage_text(&error.render().to_string()))),
    }
}

/// The parser's message and tips in one line, without its usage text, which `--help` shows better.
pub fn without_usage_text(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // The words after `--` belong to a command, so the tip to put a value there would mislead.
    let useless = |line: &str| line.is_empty() || line.starts_with("For more") || line.contains("as a value, use '--");
    let useful: Vec<&str> = lines.filter(|line| !useless(line)).collect();
    let joined = useful.join("; ").replace(":; ", ": ");
    format!("{joined}; --help shows all options")
}
