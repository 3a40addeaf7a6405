//! Options of the compiler, which every subcommand that reads a module has.

use std::time::Duration;

use wrun::Compiler;

use super::parse;

/// What one compilation may use, and what is accepted without one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compiler")]
pub struct CompilerArgs {
    /// Accept precompiled code (.cwasm), which can do whatever wrun can: allow it only for files that you trust
    #[arg(long)]
    allow_precompiled: bool,

    /// Give up on a module that takes longer than this to compile (500ms, 2s, 1m)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse::duration)]
    compile_timeout: Duration,

    /// Give up on a module that takes more bytes of memory than this to compile
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = parse::size_above_0)]
    compile_memory: u64,
}

impl CompilerArgs {
    /// The settings for the library.
    pub fn compiler(&self) -> Compiler {
        Compiler {
            allow_precompiled: self.allow_precompiled,
            timeout: self.compile_timeout,
            memory_bytes: self.compile_memory,
            ..Compiler::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        compiler: CompilerArgs,
    }

    #[test]
    fn the_defaults_shown_are_those_of_the_library() {
        let compiler = Line::parse_from(["wrun"]).compiler.compiler();
        assert_eq!(format!("{compiler:?}"), format!("{:?}", Compiler::default()));
    }
}
