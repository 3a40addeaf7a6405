//! An ordinary WASI program that knows nothing of wrun: it greets its arguments, then shouts its standard input.
//!
//! ```text
//! $ wrun map hello-wasi.wasm alice bob
//! hello, alice
//! hello, bob
//! ```
//!
//! What is on standard input, for example an item that is a file, is written after that in upper case. Input that is
//! not UTF-8, and nothing to do at all, are errors: a line on standard error and exit code 1.

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
