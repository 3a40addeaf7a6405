//! An ordinary WASI program that knows nothing about wrun: it greets its arguments, then shouts its standard input.
//!
//! ```text
//! $ wrun map hello-wasi.wasm alice bob
//! hello, alice
//! hello, bob
//! ```
//!
//! Standard input, for example an item that is a file, is then written in upper case. If the input is not UTF-8, or there
//! is nothing to do, it writes a line to standard error and exits with code 1.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello-wasi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut text = String::new();
    let mut stdin = io::stdin();
    if !stdin.is_terminal() {
        stdin.read_to_string(&mut text)?;
    }
    if names.is_empty() && text.is_empty() {
        return Err(io::Error::other("nothing to do: give names, or text on standard input"));
    }

    let mut stdout = io::stdout().lock();
    for name in names {
        writeln!(stdout, "hello, {name}")?;
    }
    write!(stdout, "{}", text.to_uppercase())?;
    stdout.flush()
}
