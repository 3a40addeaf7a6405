//! The `wrun` command.

#[path = "sys/blocking.rs"]
mod blocking;
mod cli;
mod closed_streams;
#[path = "sys/inherited.rs"]
mod inherited;
mod report;

use std::process::ExitCode;

const STACK_BYTES: usize = 4 << 20;

fn main() -> ExitCode {
    wrun::init();
    inherited::put_right();
    // The main thread's stack may be small (ulimit -s).
    let run = || stacker::maybe_grow(STACK_BYTES, STACK_BYTES, || cli::run(std::env::args_os()));
    run().unwrap_or_else(|error| {
        // Names of modules, functions and files in the message may contain anything.
        report::line_to_stderr(&report::one_line(&format!("wrun: {}", cli::message_of(&error))));
        cli::details_of(&error).for_each(|line| report::line_to_stderr(&report::one_line(line)));
        cli::exit_code_of(&error)
    })
}
